// loadgen verify: sends the probes, collects and checks their telemetry, and reports the result.
#pragma once

#include <expected>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "common/concurrency/clock.h"
#include "loadgen/target.h"
#include "loadgen/verify/collector.h"
#include "loadgen/verify/report.h"

namespace dice::loadgen {

class Verify {
 public:
  struct Options {
    ProbeOptions probes;
    Collector::Options collect;
    /// A window is the time from the reading of the metrics before the probes to the last one after them. If a replica
    /// is replaced within it, it is discarded, and new probes are sent, up to these limits.
    int max_windows = 10;
    Seconds max_duration{300};
    /// Before the second window; doubles each time, up to ten seconds.
    Seconds pause{1};
    /// Called with a line of progress; may be empty.
    std::function<void(const std::string&)> progress = {};
  };

  /// All references must outlive this object.
  Verify(Options options, Target& target, Sources sources, Clock& clock)
      : options_(std::move(options)), target_(target), sources_(sources), clock_(clock) {}

  /// Call once. The error says why the target cannot be reached.
  std::expected<Report, std::string> run();

 private:
  /// Sends probes and collects their telemetry. Returns an error if the target cannot be reached.
  std::expected<void, std::string> run_window();
  /// The same error.
  std::expected<std::vector<Probe>, std::string> choose_probes();
  /// Sends each probe on a separate thread. The threads must end before `collected_` is destroyed.
  std::vector<std::jthread> send(const std::vector<Probe>& probes);

  const Options options_;
  Target& target_;
  const Sources sources_;
  Clock& clock_;
  Collected collected_;
};

}  // namespace dice::loadgen

// loadgen verify: sends the probes, collects and checks their telemetry, and reports the result.
#pragma once

#include <expected>
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
  };

  /// All references must outlive this object.
  Verify(Options options, Target& target, Sources sources, Clock& clock)
      : options_(std::move(options)), target_(target), clock_(clock), collected_{.sources = sources, .probes = {}} {}

  /// Call once. The error says why the target cannot be reached.
  std::expected<Report, std::string> run();

 private:
  /// Returns an error if the target cannot be reached.
  std::expected<std::vector<Probe>, std::string> choose_probes();
  /// Sends each probe on a separate thread. The threads must end before `collected_` is destroyed.
  std::vector<std::jthread> send(const std::vector<Probe>& probes);

  const Options options_;
  Target& target_;
  Clock& clock_;
  Collected collected_;
};

}  // namespace dice::loadgen

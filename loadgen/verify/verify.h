// Sends the probes, has their telemetry collected and checked, and reports.
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

  /// What is passed in outlives it.
  Verify(Options options, Target& target, Sources sources, Clock& clock)
      : options_(std::move(options)), target_(target), clock_(clock), collected_{.sources = sources, .probes = {}} {}

  /// Once. The error says why the target can't be reached.
  std::expected<Report, std::string> run();

 private:
  /// An error when the target can't be reached.
  std::expected<std::vector<Probe>, std::string> choose_probes();
  /// Each probe on a thread of its own; they must end before `collected_` does.
  std::vector<std::jthread> send(const std::vector<Probe>& probes);

  const Options options_;
  Target& target_;
  Clock& clock_;
  Collected collected_;
};

}  // namespace dice::loadgen

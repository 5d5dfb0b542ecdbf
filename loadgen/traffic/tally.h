// Counts and latencies of a run's requests, and the summary.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "loadgen/model/answer.h"
#include "loadgen/statistics.h"

namespace dice::loadgen {

/// Not thread-safe.
class Tally {
 public:
  /// `expected_failures` are error codes that do not fail the run.
  explicit Tally(std::set<std::string> expected_failures) : expected_(std::move(expected_failures)) {}

  /// `latency` is measured from the time at which the request was due.
  void add(const std::string& route, const Answer& answer, double latency, const std::string& trace_id);

  struct Failure {
    std::uint64_t count = 0;
    bool expected = false;
    /// Details of the first one.
    std::string route;
    std::string outcome;
    std::string message;
    std::string trace_id;
  };

  std::uint64_t count() const { return all_.count(); }
  std::uint64_t unexpected() const { return unexpected_; }
  const LatencyHistogram& latency() const { return all_; }
  /// By route.
  const std::map<std::string, LatencyHistogram>& latencies() const { return latencies_; }
  /// By route and outcome ("200", "500 roll_failed").
  const std::map<std::pair<std::string, std::string>, std::uint64_t>& outcomes() const { return outcomes_; }
  /// By error code.
  const std::map<std::string, Failure>& failures() const { return failures_; }

 private:
  const std::set<std::string> expected_;
  LatencyHistogram all_;
  std::map<std::string, LatencyHistogram> latencies_;
  std::map<std::pair<std::string, std::string>, std::uint64_t> outcomes_;
  std::map<std::string, Failure> failures_;
  std::uint64_t unexpected_ = 0;
};

/// The result of a run.
struct TrafficSummary {
  std::string target;
  std::uint64_t seed = 0;
  double seconds = 0;
  /// Target rate in open loop; 0 in closed loop.
  double rate = 0;
  /// Requests sent per second.
  double sent_rate = 0;
  /// Open loop: requests were sent at the target rate, within 1 %.
  bool rate_reached = true;
  Tally tally;

  bool passed() const { return rate_reached && tally.unexpected() == 0; }
};

std::string to_table(const TrafficSummary& summary);
std::string to_json(const TrafficSummary& summary);

}  // namespace dice::loadgen

// Counts and latencies of a run's requests, and the summary.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/base/json.h"
#include "common/base/json_view.h"
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
  /// Adds all requests of another tally; examples of failures that are known already stay.
  void add(const Tally& other);

  struct Failure {
    std::uint64_t count = 0;
    bool expected = false;
    /// Details of the first one.
    std::string route;
    std::string outcome;
    std::string message;
    std::string trace_id;
  };

  std::uint64_t count() const;
  /// Number of unexpected failures.
  std::uint64_t unexpected() const;
  /// Of all routes together.
  LatencyHistogram latency() const;
  /// By route.
  const std::map<std::string, LatencyHistogram>& latencies() const { return latencies_; }
  /// By route and outcome ("200", "500 roll_failed").
  const std::map<std::pair<std::string, std::string>, std::uint64_t>& outcomes() const { return outcomes_; }
  /// By error code.
  const std::map<std::string, Failure>& failures() const { return failures_; }

  /// Members of a JSON object from which `read` restores all of the above.
  void write(JsonWriter& writer) const;
  /// Empty if something is missing.
  static std::optional<Tally> read(JsonView json);

 private:
  std::set<std::string> expected_;
  std::map<std::string, LatencyHistogram> latencies_;
  std::map<std::pair<std::string, std::string>, std::uint64_t> outcomes_;
  std::map<std::string, Failure> failures_;
};

/// The result of a run, or of one or several parts of it.
struct TrafficSummary {
  std::string target;
  /// Number of parts that this is the result of, and of all.
  std::uint64_t finished_parts = 1;
  std::uint64_t parts = 1;
  /// What is known about each part that is missing.
  std::vector<std::string> missing;
  std::uint64_t seed = 0;
  double seconds = 0;
  /// Target rate in open loop, of these parts; 0 in closed loop.
  double rate = 0;
  /// Requests sent per second.
  double sent_rate = 0;
  /// Open loop: requests were sent at the target rate, within 1 %.
  bool rate_reached = true;
  Tally tally;

  bool passed() const { return rate_reached && tally.unexpected() == 0 && missing.empty(); }
  /// Adds another part of the same run.
  void add(const TrafficSummary& other);
};

std::string to_table(const TrafficSummary& summary);
std::string to_json(const TrafficSummary& summary);
/// Restores it from its JSON, except `missing`; empty if something is missing.
std::optional<TrafficSummary> read_summary(JsonView json);

}  // namespace dice::loadgen

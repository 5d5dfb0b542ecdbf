// The checks of verify: pure functions that compare requests and responses with the telemetry found.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "loadgen/model/log_line.h"
#include "loadgen/model/snapshot.h"
#include "loadgen/trace.h"
#include "loadgen/verify/finding.h"
#include "loadgen/verify/probe.h"

namespace dice::loadgen {

/// Checks a response against the contract.
std::vector<Finding> check_answer(const Sent& sent);

/// A span that the request must have created.
struct ExpectedSpan {
  std::string service;
  std::string name;
  SpanKind kind = SpanKind::internal;
  /// Index of the parent in the list; the parent of the first span is the request's own context.
  std::size_t parent = 0;
};
std::vector<ExpectedSpan> expected_spans(const Sent& sent);

/// `clock_skew_seconds` is the maximum clock difference between two services.
std::vector<Finding> check_trace(const Sent& sent, const Trace& trace, double clock_skew_seconds);

/// The results of a batch's rolls.
struct RollCounts {
  std::int64_t cancelled = 0;
  std::int64_t failed = 0;
  /// By value.
  std::map<std::int64_t, std::int64_t> succeeded;

  std::int64_t successes() const;
};
/// From the response if it has them, otherwise from the trace, which may be null. Empty if neither has them.
std::optional<RollCounts> roll_counts(const Sent& sent, const Trace* trace);

/// The number of log lines that the contract requires, by service.
std::map<std::string, int> expected_lines(const Sent& sent, const Trace* trace);

/// `lines` are those of this trace. `trace` is null if it did not arrive; then the lines are not compared with it.
std::vector<Finding> check_logs(const Sent& sent, const Trace* trace, const std::vector<LogLine>& lines);

struct MetricsExpectation {
  /// Other clients use the system: counters may increase by more than the requests sent, and gauges need not be 0.
  bool shared = false;
  /// Every span must have been exported.
  bool exported = false;
};
struct MetricsCheck {
  std::vector<Finding> findings;
  /// Number of counters compared that had to increase.
  std::int64_t counters = 0;
};
/// `traces` are those that arrived, by trace id.
MetricsCheck check_metrics(const std::vector<Sent>& sent, const std::map<std::string, Trace>& traces,
                           const Snapshot& before, const Snapshot& after, const MetricsExpectation& expectation);

/// Follows an exemplar to its trace, to its log lines, and back to the service's metric.
std::vector<Finding> check_correlation(const Series& series, const Series::Exemplar& exemplar, const Trace& trace,
                                       const std::optional<std::vector<LogLine>>& lines, const Snapshot& metrics);

}  // namespace dice::loadgen

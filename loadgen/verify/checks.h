// The checks of verify: what was sent and what was found in, what does not agree out. No clock, no network.
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

/// The contract, field by field.
std::vector<Finding> check_answer(const Sent& sent);

/// A span that the request must have left.
struct ExpectedSpan {
  std::string service;
  std::string name;
  SpanKind kind = SpanKind::internal;
  /// Position of the parent in the list; the first one's is the request's own context.
  std::size_t parent = 0;
};
std::vector<ExpectedSpan> expected_spans(const Sent& sent);

/// `clock_skew_seconds`: by how much the clocks of two services may differ.
std::vector<Finding> check_trace(const Sent& sent, const Trace& trace, double clock_skew_seconds);

/// How the rolls of a batch ended.
struct RollCounts {
  std::int64_t cancelled = 0;
  std::int64_t failed = 0;
  /// By value.
  std::map<std::int64_t, std::int64_t> succeeded;

  std::int64_t successes() const;
};
/// Read from the answer, or where it does not tell from the trace, which may be null. Nothing when neither tells.
std::optional<RollCounts> roll_counts(const Sent& sent, const Trace* trace);

/// Services that must have left log lines, and how many of those that the contract names.
std::map<std::string, int> expected_lines(const Sent& sent, const Trace* trace);

/// `lines` are those of this trace. `trace` is null when it did not arrive: then the lines are not compared with it.
std::vector<Finding> check_logs(const Sent& sent, const Trace* trace, const std::vector<LogLine>& lines);

struct MetricsExpectation {
  /// Others use the system: counters move by at least what was sent, and gauges need not be at 0.
  bool shared = false;
  /// Every span must have been delivered by its service's exporter.
  bool exported = false;
};
/// `traces` by trace id, as far as they arrived.
std::vector<Finding> check_metrics(const std::vector<Sent>& sent, const std::map<std::string, Trace>& traces,
                                   const Snapshot& before, const Snapshot& after,
                                   const MetricsExpectation& expectation);

/// From an exemplar to its trace, to its log lines, and back to the service's metric.
std::vector<Finding> check_correlation(const Series& series, const Series::Exemplar& exemplar, const Trace& trace,
                                       const std::optional<std::vector<LogLine>>& lines, const Snapshot& metrics);

}  // namespace dice::loadgen

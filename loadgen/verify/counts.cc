#include "loadgen/verify/counts.h"

#include <algorithm>
#include <set>
#include <utility>

#include "loadgen/verify/collector.h"

namespace dice::loadgen {
namespace {

/// All spans of a trace that has not arrived are missing.
Counts count_spans(const ProbeState& probe) {
  const auto expected = static_cast<std::int64_t>(expected_spans(probe.sent).size());
  return probe.trace ? count(expected, probe.trace_findings) : Counts{.expected = expected, .missing = expected};
}

Counts count_lines(const ProbeState& probe) {
  const auto* trace = probe.is_trace_sound() ? &*probe.trace : nullptr;
  std::int64_t expected = 0;
  for (const auto& [service, lines] : expected_lines(probe.sent, trace)) expected += lines;
  return probe.lines_checked ? count(expected, probe.log_findings) : Counts{.expected = expected, .missing = expected};
}

}  // namespace

Counts& Counts::operator+=(const Counts& other) {
  expected += other.expected;
  missing += other.missing;
  duplicated += other.duplicated;
  wrong += other.wrong;
  return *this;
}

Counts count(std::int64_t expected, const std::vector<Finding>& findings) {
  std::set<std::pair<Finding::Kind, std::string>> items;
  Counts counts{.expected = expected};
  for (const auto& finding : findings) {
    if (!finding.item.empty() && !items.insert({finding.kind, finding.item}).second) continue;
    switch (finding.kind) {
      case Finding::Kind::wrong: ++counts.wrong; break;
      case Finding::Kind::missing: ++counts.missing; break;
      case Finding::Kind::duplicated: ++counts.duplicated; break;
      case Finding::Kind::consequence: break;
    }
  }
  counts.expected = std::max(counts.expected, counts.missing);
  return counts;
}

std::map<std::string, Counts> counts_of(const Collected& collected) {
  const auto& [traces, logs, metrics] = collected.sources;
  std::map<std::string, Counts> all;
  for (const auto& probe : collected.probes) {
    auto& answers = all[signal::kAnswers];
    ++answers.expected;
    if (!probe.answered) {
      ++answers.missing;
      continue;
    }
    const auto found = count(1, check_answer(probe.sent));
    answers += {.missing = found.missing, .wrong = found.wrong > 0 ? 1 : 0};
    if (!probe.expected_answer) continue;
    if (traces != nullptr) all[signal::kTraces] += count_spans(probe);
    if (logs != nullptr) all[signal::kLogs] += count_lines(probe);
  }
  if (metrics != nullptr && collected.metrics_read) {
    all[signal::kMetrics] = count(collected.counters, collected.metrics_findings);
  }
  if (metrics != nullptr && traces != nullptr && collected.metrics_read) {
    const auto found = collected.correlated ? Counts{} : count(1, collected.correlation_findings);
    all[signal::kCorrelation] = {.expected = 1, .missing = found.missing > 0 ? 1 : 0, .wrong = found.wrong > 0 ? 1 : 0};
  }
  return all;
}

}  // namespace dice::loadgen

// How much of the telemetry arrived: spans, log lines and counters, by signal.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "loadgen/verify/finding.h"

namespace dice::loadgen {

namespace signal {
inline constexpr const char* kAnswers = "answers";
inline constexpr const char* kTraces = "traces";
inline constexpr const char* kLogs = "logs";
inline constexpr const char* kMetrics = "metrics";
inline constexpr const char* kCorrelation = "correlation";
}  // namespace signal

/// In the order of the reports.
inline constexpr std::array<const char*, 5> kSignals = {signal::kAnswers, signal::kTraces, signal::kLogs,
                                                        signal::kMetrics, signal::kCorrelation};

/// Of answers: requests; of traces: spans; of logs: lines; of metrics: counters that had to increase; of the
/// correlation: 1.
struct Counts {
  std::int64_t expected = 0;
  /// Not in the source: `expected` without those found.
  std::int64_t missing = 0;
  std::int64_t duplicated = 0;
  std::int64_t wrong = 0;

  std::int64_t found() const { return expected - missing; }
  bool complete() const { return missing == 0 && duplicated == 0 && wrong == 0; }
  Counts& operator+=(const Counts& other);
};

/// Counts the items of these findings, each once per kind.
Counts count(std::int64_t expected, const std::vector<Finding>& findings);

struct Collected;

/// Of each signal that is checked, as far as it is known: also while the telemetry is being collected.
std::map<std::string, Counts> counts_of(const Collected& collected);

}  // namespace dice::loadgen

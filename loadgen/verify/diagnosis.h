// Diagnosis: derives likely causes from what is missing.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace dice::loadgen {

/// The evidence about one service.
struct ServiceEvidence {
  std::int64_t spans_expected = 0;
  std::int64_t spans_found = 0;
  std::int64_t lines_expected = 0;
  std::int64_t lines_found = 0;
  /// One of its log lines or exemplars has the trace id of a probe, so the context reached it.
  bool context_seen = false;
  bool metrics_found = false;
  double requests_expected = 0;
  double requests_counted = 0;
  double spans_exported = 0;
  double spans_dropped = 0;
  /// In the last reading.
  double spans_queued = 0;
};

/// The evidence about the source of a signal.
struct SourceEvidence {
  /// False if the signal is not checked.
  bool checked = false;
  /// "Loki at http://…"
  std::string name = {};
  /// Why it could not be read in the last attempt; empty if it could.
  std::string error = {};
  /// What is missing and why, according to the source itself.
  std::string detail = {};
};

struct Evidence {
  std::map<std::string, ServiceEvidence> services;
  SourceEvidence traces;
  SourceEvidence logs;
  SourceEvidence metrics;
  /// A response of the frontend had another trace id than the request.
  bool traceparent_ignored = false;
  bool export_required = false;
};

/// One line per cause, the most likely first; empty if there is no general problem.
std::vector<std::string> diagnose(const Evidence& evidence);

}  // namespace dice::loadgen

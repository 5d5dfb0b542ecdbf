// Names the likely causes, from what is missing where.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace dice::loadgen {

/// What is known of one service after the probes.
struct ServiceEvidence {
  std::int64_t spans_expected = 0;
  std::int64_t spans_found = 0;
  std::int64_t lines_expected = 0;
  std::int64_t lines_found = 0;
  /// Something of its own, a log line or an exemplar, carries a trace id of the probes: the context reached it.
  bool context_seen = false;
  bool metrics_found = false;
  double requests_expected = 0;
  double requests_counted = 0;
  double spans_exported = 0;
  double spans_dropped = 0;
  /// At the end.
  double spans_queued = 0;
};

/// The source of a signal.
struct SourceEvidence {
  /// False when it was not checked.
  bool checked = false;
  /// "Loki at http://…"
  std::string name = {};
  /// Why it could not be read at the end; empty when it could be.
  std::string error = {};
  /// What is missing and why, as far as the source itself says.
  std::string detail = {};
};

struct Evidence {
  std::map<std::string, ServiceEvidence> services;
  SourceEvidence traces;
  SourceEvidence logs;
  SourceEvidence metrics;
  /// The frontend answered with another trace id than the one it was sent.
  bool traceparent_ignored = false;
  bool export_required = false;
};

/// One line for each cause, the most likely first; empty when nothing is broken as a whole.
std::vector<std::string> diagnose(const Evidence& evidence);

}  // namespace dice::loadgen

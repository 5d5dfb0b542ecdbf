// The causes that the canary names, each about one or several signals.
#pragma once

#include <span>
#include <string_view>

namespace dice {

enum class CauseId {
  source_unreadable,
  scrape_missing,
  scrape_stale,
  collector_down,
  spans_dropped,
  spans_not_exported,
  no_spans,
  spans_lost,
  traces_lost,
  context_not_propagated,
  no_logs,
  lines_lost,
  duplicated,
  wrong,
  late,
  unreachable,
};

struct CauseRow {
  CauseId id;
  /// The value of the label `cause`.
  std::string_view name;
  /// Comma-separated: the signals that it is said about.
  std::string_view signals;
  std::string_view meaning;
};

/// All of them. The table in docs/loadgen.md is generated from them.
std::span<const CauseRow> cause_rows();
const CauseRow& describe(CauseId id);
inline std::string_view name_of(CauseId id) { return describe(id).name; }
bool is_said_about(const CauseRow& row, std::string_view signal);

}  // namespace dice

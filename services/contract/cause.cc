#include "contract/cause.h"

#include <algorithm>
#include <array>
#include <ranges>

#include "contract/table.h"

namespace dice {
namespace {

using enum CauseId;

constexpr std::array kRows = {
    CauseRow{source_unreadable, "source_unreadable", "logs,metrics,traces", "The backend cannot be read."},
    CauseRow{scrape_missing, "scrape_missing", "metrics", "There are no metrics of a service."},
    CauseRow{scrape_stale, "scrape_stale", "metrics",
             "The metrics of a service do not change, or increase by less than the requests sent."},
    CauseRow{collector_down, "collector_down", "logs,traces",
             "The services cannot deliver spans: they are queued or dropped. For logs: they are missing, too."},
    CauseRow{spans_dropped, "spans_dropped", "traces", "Services drop some of their spans; others are delivered."},
    CauseRow{spans_not_exported, "spans_not_exported", "traces", "A service does not export its spans."},
    CauseRow{no_spans, "no_spans", "traces", "No span of any service, or of one of them, arrives."},
    CauseRow{spans_lost, "spans_lost", "traces", "Spans are missing in traces of which others have arrived."},
    CauseRow{traces_lost, "traces_lost", "traces", "Whole traces are missing: sampled away, or lost in one piece."},
    CauseRow{context_not_propagated, "context_not_propagated", "traces", "The trace context does not reach a service."},
    CauseRow{no_logs, "no_logs", "logs", "No log line of any service, or of one of them, arrives."},
    CauseRow{lines_lost, "lines_lost", "logs", "Log lines are missing."},
    CauseRow{duplicated, "duplicated", "logs,traces", "Spans or log lines arrive more than once."},
    CauseRow{wrong, "wrong", "answers,correlation,logs,metrics,traces",
             "Something arrives, but differs from what was sent."},
    CauseRow{late, "late", "logs,metrics,traces", "Everything arrives, but later than `--late-after`."},
    CauseRow{unreachable, "unreachable", "answers", "The frontend does not answer, or not every request."},
};

static_assert(is_indexed_by(kRows, &CauseRow::id, unreachable), "kRows is indexed by the id");

}  // namespace

std::span<const CauseRow> cause_rows() { return kRows; }
const CauseRow& describe(CauseId id) { return kRows[static_cast<std::size_t>(id)]; }

bool is_said_about(const CauseRow& row, std::string_view signal) {
  return std::ranges::any_of(std::views::split(row.signals, ','),
                             [signal](const auto& one) { return std::string_view(one.begin(), one.end()) == signal; });
}

}  // namespace dice

#include "loadgen/trace.h"

#include <algorithm>
#include <queue>
#include <utility>

namespace dice::loadgen {

std::string describe(const TraceSpan& span) {
  const auto* kind = !span.kind                       ? "KIND? "
                     : *span.kind == SpanKind::server ? "SERVER "
                     : *span.kind == SpanKind::client ? "CLIENT "
                                                      : "";
  return kind + span.name + " of " + (span.service.empty() ? "a service without a name" : span.service);
}

std::size_t max_overlap(const std::vector<const TraceSpan*>& spans) {
  std::vector<std::pair<std::int64_t, int>> changes;
  for (const auto* span : spans) {
    changes.emplace_back(span->start_nanoseconds, 1);
    changes.emplace_back(span->end_nanoseconds, -1);
  }
  std::ranges::sort(changes);  // at the same time, an end is before a start
  int now = 0;
  int max = 0;
  for (const auto& [time, change] : changes) {
    now += change;
    max = std::max(max, now);
  }
  return static_cast<std::size_t>(max);
}

double makespan(const std::vector<double>& seconds, std::size_t workers) {
  std::priority_queue<double, std::vector<double>, std::greater<>> free_at;
  for (std::size_t i = 0; i < workers; ++i) free_at.push(0);
  double last = 0;
  for (const auto one : seconds) {
    const auto end = free_at.top() + one;
    free_at.pop();
    free_at.push(end);
    last = std::max(last, end);
  }
  return last;
}

}  // namespace dice::loadgen

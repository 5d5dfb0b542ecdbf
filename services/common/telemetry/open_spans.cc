#include "common/telemetry/open_spans.h"

namespace dice {

void OpenSpans::add(SpanRecord& span) {
  auto& shard = shard_of(span.trace());
  const Lock lock(shard.mutex);
  span.place = shard.spans.size();
  shard.spans.push_back(&span);
}

void OpenSpans::remove(SpanRecord& span) {
  auto& shard = shard_of(span.trace());
  const Lock lock(shard.mutex);
  auto* const last = shard.spans.back();
  last->place = span.place;
  shard.spans[span.place] = last;
  shard.spans.pop_back();
}

std::vector<EncodedSpan> OpenSpans::find(const TraceId& trace, std::size_t max_bytes) const {
  std::vector<EncodedSpan> found;
  std::size_t bytes = 0;
  const auto& shard = shard_of(trace);
  const Lock lock(shard.mutex);
  for (const auto* span : shard.spans) {
    if (span->trace() != trace) continue;
    found.push_back(span->encoded());
    bytes += found.back()->size();
    if (bytes >= max_bytes) break;
  }
  return found;
}

}  // namespace dice

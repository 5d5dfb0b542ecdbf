#include "common/telemetry/span_memory.h"

#include <utility>

namespace dice {

/// The text, plus the overhead of the entry, the string, its reference counts, the allocator and the tables.
std::size_t SpanMemory::cost(const std::string& span) { return span.size() + 160; }

void SpanMemory::forget_oldest() {
  const auto& oldest = entries_.front();
  const auto found = traces_.find(oldest.trace);
  auto& trace = found->second;
  trace.spans.erase(trace.spans.begin());
  trace.bytes -= cost(*oldest.span);
  if (trace.spans.empty()) traces_.erase(found);
  bytes_ -= cost(*oldest.span);
  entries_.pop_front();
  ++first_;
}

void SpanMemory::add(const TraceId& trace, EncodedSpan span) {
  const auto size = cost(*span);
  if (!enabled() || size > limits_.trace_bytes || size > limits_.bytes) return;
  const Lock lock(mutex_);
  if (const auto known = traces_.find(trace); known != traces_.end()) {
    if (known->second.bytes + size > limits_.trace_bytes) return;
  }
  while (!entries_.empty() && (entries_.size() >= limits_.spans || bytes_ + size > limits_.bytes)) forget_oldest();
  auto& spans = traces_[trace];
  spans.spans.push_back(first_ + entries_.size());
  spans.bytes += size;
  bytes_ += size;
  entries_.push_back({trace, std::move(span)});
}

std::vector<EncodedSpan> SpanMemory::find(const TraceId& trace) const {
  std::vector<EncodedSpan> spans;
  const Lock lock(mutex_);
  const auto found = traces_.find(trace);
  if (found == traces_.end()) return spans;
  spans.reserve(found->second.spans.size());
  for (const auto number : found->second.spans) spans.push_back(entries_[number - first_].span);
  return spans;
}

std::size_t SpanMemory::bytes() const {
  const Lock lock(mutex_);
  return bytes_;
}

}  // namespace dice

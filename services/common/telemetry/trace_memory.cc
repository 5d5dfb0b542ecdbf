#include "common/telemetry/trace_memory.h"

#include <utility>

namespace dice {
namespace {

/// The entry in the queue, the string, its reference counts and what the allocator adds.
constexpr std::size_t kEntryOverhead = 136;
/// The trace's node in the table, and its bucket.
constexpr std::size_t kTraceOverhead = 96;

}  // namespace

std::size_t TraceMemory::cost(const std::string& text) { return text.size() + kEntryOverhead; }

void TraceMemory::forget_oldest() {
  const auto& oldest = entries_.front();
  const auto size = cost(*oldest.text);
  const auto found = traces_.find(oldest.trace);
  auto& trace = found->second;
  trace.bytes -= size;
  bytes_ -= size;
  if (trace.first == trace.last) {
    traces_.erase(found);
    bytes_ -= kTraceOverhead;
  } else {
    trace.first = oldest.next;
  }
  entries_.pop_front();
  ++first_;
}

void TraceMemory::add(const TraceId& trace, TraceEntry entry) {
  const auto size = cost(*entry);
  const auto most = size + kTraceOverhead;
  if (!enabled() || most > limits_.trace_bytes || most > limits_.bytes) return;
  const Lock lock(mutex_);
  if (const auto known = traces_.find(trace); known != traces_.end()) {
    if (known->second.bytes + size > limits_.trace_bytes) return;
  }
  while (!entries_.empty() && (entries_.size() >= limits_.entries || bytes_ + most > limits_.bytes)) forget_oldest();
  const auto number = first_ + entries_.size();
  const auto [place, is_new] = traces_.try_emplace(trace, Trace{number, number, kTraceOverhead});
  auto& kept = place->second;
  if (is_new) bytes_ += kTraceOverhead;
  else entries_[kept.last - first_].next = number;
  kept.last = number;
  kept.bytes += size;
  bytes_ += size;
  entries_.push_back({trace, std::move(entry)});
}

std::vector<TraceEntry> TraceMemory::find(const TraceId& trace) const {
  std::vector<TraceEntry> found;
  const Lock lock(mutex_);
  const auto known = traces_.find(trace);
  if (known == traces_.end()) return found;
  for (auto number = known->second.first;; number = entries_[number - first_].next) {
    found.push_back(entries_[number - first_].text);
    if (number == known->second.last) return found;
  }
}

std::size_t TraceMemory::bytes() const {
  const Lock lock(mutex_);
  return bytes_;
}

}  // namespace dice

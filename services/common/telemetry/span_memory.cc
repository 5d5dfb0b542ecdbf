#include "common/telemetry/span_memory.h"

#include <utility>

namespace dice {

void SpanMemory::add(const TraceId& trace, std::string span) {
  if (capacity_ == 0) return;
  Entry entry{trace, std::move(span)};
  const Lock lock(mutex_);
  if (entries_.size() < capacity_) {
    entries_.push_back(std::move(entry));
    return;
  }
  std::swap(entries_[next_], entry);
  next_ = (next_ + 1) % capacity_;
}

std::vector<std::string> SpanMemory::find(const TraceId& trace) const {
  std::vector<std::string> found;
  const Lock lock(mutex_);
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    const auto& entry = entries_[(next_ + i) % entries_.size()];
    if (entry.trace == trace) found.push_back(entry.span);
  }
  return found;
}

}  // namespace dice

// The most recent spans of this process, for drawing a trace without a backend.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "common/concurrency/mutex.h"
#include "common/telemetry/trace_context.h"

namespace dice {

/// Holds at most `capacity` spans; a new one takes the oldest one's place. Thread-safe.
class SpanMemory {
 public:
  explicit SpanMemory(std::size_t capacity) : capacity_(capacity) {}

  /// `span` in any encoding; it comes back as it went in.
  void add(const TraceId& trace, std::string span);

  /// Spans of the trace in the order in which they came.
  std::vector<std::string> find(const TraceId& trace) const;

 private:
  struct Entry {
    TraceId trace;
    std::string span;
  };

  const std::size_t capacity_;
  mutable Mutex mutex_;
  /// A ring once it is full; `next_` is then its oldest entry.
  std::vector<Entry> entries_ GUARDED_BY(mutex_);
  std::size_t next_ GUARDED_BY(mutex_) = 0;
};

}  // namespace dice

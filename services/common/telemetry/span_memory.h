// The most recent spans of this process, for drawing a trace without a backend.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/concurrency/mutex.h"
#include "common/telemetry/trace_context.h"

namespace dice {

/// An ended span, encoded once: opentelemetry.proto.trace.v1.Span. Never null.
using EncodedSpan = std::shared_ptr<const std::string>;

/// Bounded in spans and in bytes: a new span takes the place of the oldest ones. Thread-safe; a call takes as long as
/// the spans of one trace, not as long as all of them.
class SpanMemory {
 public:
  struct Limits {
    /// 0 = nothing is kept.
    std::size_t spans = 20'000;
    /// What an entry costs besides its text is counted in.
    std::size_t bytes = 32UL << 20U;
    /// Of one trace: further spans of it are not kept.
    std::size_t trace_bytes = 512UL << 10U;
  };

  explicit SpanMemory(const Limits& limits) : limits_(limits) {}

  bool enabled() const { return limits_.spans > 0; }

  void add(const TraceId& trace, EncodedSpan span);

  /// Spans of the trace in the order in which they came.
  std::vector<EncodedSpan> find(const TraceId& trace) const;

  std::size_t bytes() const;

 private:
  struct Entry {
    TraceId trace;
    EncodedSpan span;
  };
  struct Trace {
    /// Numbers of its spans, in order.
    std::vector<std::uint64_t> spans;
    std::size_t bytes = 0;
  };
  struct Hash {
    std::size_t operator()(const TraceId& id) const {
      std::size_t hash = 0;
      std::memcpy(&hash, id.data() + id.size() - sizeof hash, sizeof hash);
      return hash;
    }
  };

  static std::size_t cost(const std::string& span);
  void forget_oldest() REQUIRES(mutex_);

  const Limits limits_;
  mutable Mutex mutex_;
  /// The number of the first one is `first_`; they are numbered without a gap.
  std::deque<Entry> entries_ GUARDED_BY(mutex_);
  std::uint64_t first_ GUARDED_BY(mutex_) = 0;
  std::size_t bytes_ GUARDED_BY(mutex_) = 0;
  std::unordered_map<TraceId, Trace, Hash> traces_ GUARDED_BY(mutex_);
};

}  // namespace dice

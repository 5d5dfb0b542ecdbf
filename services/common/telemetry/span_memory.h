// The most recent spans of this process, kept in memory to show traces without a backend.
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

/// Bounded in spans and bytes: new spans replace the oldest. Thread-safe. The duration of a call depends on the size of
/// one trace, not on the total.
class SpanMemory {
 public:
  struct Limits {
    /// 0 = keep none.
    std::size_t spans = 20'000;
    /// Including the overhead per span.
    std::size_t bytes = 32UL << 20U;
    /// Limit per trace; further spans of it are not kept.
    std::size_t trace_bytes = 512UL << 10U;
  };

  explicit SpanMemory(const Limits& limits) : limits_(limits) {}

  bool enabled() const { return limits_.spans > 0; }

  void add(const TraceId& trace, EncodedSpan span);

  /// Spans of the trace in the order in which they were added.
  std::vector<EncodedSpan> find(const TraceId& trace) const;

  std::size_t bytes() const;

 private:
  struct Entry {
    TraceId trace;
    EncodedSpan span;
  };
  struct Trace {
    /// Numbers of its spans, in ascending order.
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
  /// Numbered consecutively, starting with `first_`.
  std::deque<Entry> entries_ GUARDED_BY(mutex_);
  std::uint64_t first_ GUARDED_BY(mutex_) = 0;
  std::size_t bytes_ GUARDED_BY(mutex_) = 0;
  std::unordered_map<TraceId, Trace, Hash> traces_ GUARDED_BY(mutex_);
};

}  // namespace dice

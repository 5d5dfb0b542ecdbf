// The spans of this process that have started and not ended, so that a running trace can be read.
#pragma once

#include <array>
#include <cstddef>
#include <vector>

#include "common/concurrency/mutex.h"
#include "common/telemetry/span_record.h"

namespace dice {

/// Thread-safe. `add` and `remove` take constant time.
class OpenSpans {
 public:
  /// The trace must be set. Does not own `span`, which must be removed before it is destroyed.
  void add(SpanRecord& span);
  /// On return, `find` no longer uses `span`.
  void remove(SpanRecord& span);

  /// The spans of the trace as they are now, up to about `max_bytes`.
  std::vector<EncodedSpan> find(const TraceId& trace, std::size_t max_bytes) const;

 private:
  struct Shard {
    mutable Mutex mutex;
    /// Each knows its place.
    std::vector<SpanRecord*> spans GUARDED_BY(mutex);
  };

  Shard& shard_of(const TraceId& trace) { return shards_[trace.back() % shards_.size()]; }
  const Shard& shard_of(const TraceId& trace) const { return shards_[trace.back() % shards_.size()]; }

  std::array<Shard, 16> shards_;
};

}  // namespace dice

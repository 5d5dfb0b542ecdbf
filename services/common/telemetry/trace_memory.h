// The most recent spans, or log lines, of this process, to show traces without a backend.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <limits>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/concurrency/mutex.h"
#include "common/telemetry/trace_context.h"

namespace dice {

/// A span, encoded once, or a log line. Never null.
using TraceEntry = std::shared_ptr<const std::string>;

/// Bounded in entries and bytes: new entries replace the oldest. Thread-safe. The duration of a call depends on the
/// size of one trace, not on the total.
class TraceMemory {
 public:
  struct Limits {
    /// 0 = keep none.
    std::size_t entries = std::numeric_limits<std::size_t>::max();
    /// Including the overhead per entry and trace. 0 = keep none.
    std::size_t bytes = 0;
    /// Limit per trace; further entries of it are not kept.
    std::size_t trace_bytes = 0;
  };

  explicit TraceMemory(const Limits& limits) : limits_(limits) {}

  bool enabled() const { return limits_.entries > 0 && limits_.bytes > 0; }
  const Limits& limits() const { return limits_; }

  void add(const TraceId& trace, TraceEntry entry);

  /// Entries of the trace in the order in which they were added.
  std::vector<TraceEntry> find(const TraceId& trace) const;

  std::size_t bytes() const;

 private:
  struct Entry {
    TraceId trace;
    TraceEntry text;
    /// The number of the trace's next entry, if there is one.
    std::uint64_t next = 0;
  };
  struct Trace {
    /// The numbers of its entries.
    std::uint64_t first = 0;
    std::uint64_t last = 0;
    std::size_t bytes = 0;
  };
  struct Hash {
    std::size_t operator()(const TraceId& id) const {
      std::size_t hash = 0;
      std::memcpy(&hash, id.data() + id.size() - sizeof hash, sizeof hash);
      return hash;
    }
  };

  static std::size_t cost(const std::string& text);
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

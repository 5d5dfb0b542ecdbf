// Stops calling a downstream service that keeps failing, and tries again after a pause.
// https://learn.microsoft.com/azure/architecture/patterns/circuit-breaker
#pragma once

#include "common/concurrency/clock.h"
#include "common/concurrency/mutex.h"

namespace dice {

/// Thread-safe. Time is handed in.
class CircuitBreaker {
 public:
  /// The numbers are the values of the metric.
  enum class State { closed = 0, half_open = 1, open = 2 };

  struct Options {
    /// In a row; 0 = the breaker never opens.
    int failures = 5;
    Seconds pause{2};
  };

  explicit CircuitBreaker(Options options) : options_(options) {}

  /// Whether a call may be made now. After true, report its end by `succeeded` or `failed`: in half-open, one call at a
  /// time is the probe.
  [[nodiscard]] bool allow(TimePoint now);
  /// Whether this closed the breaker.
  bool succeeded();
  /// Whether this opened the breaker.
  bool failed(TimePoint now);

  State state() const;

 private:
  const Options options_;
  mutable Mutex mutex_;
  State state_ GUARDED_BY(mutex_) = State::closed;
  int failures_ GUARDED_BY(mutex_) = 0;
  bool probing_ GUARDED_BY(mutex_) = false;
  TimePoint opened_at_ GUARDED_BY(mutex_){};
};

}  // namespace dice

// Circuit breaker: pauses calls to a failing downstream service, and retries after the pause.
// https://learn.microsoft.com/azure/architecture/patterns/circuit-breaker
#pragma once

#include <cstdint>
#include <optional>
#include <utility>

#include "common/concurrency/clock.h"
#include "common/concurrency/mutex.h"

namespace dice {

/// Thread-safe. Time is passed in. Must outlive its tickets.
class CircuitBreaker {
 public:
  /// The numeric values are those of the metric.
  enum class State { closed = 0, half_open = 1, open = 2 };

  struct Options {
    /// Consecutive failures that open the breaker; 0 = never.
    int failures = 5;
    Seconds pause{2};
  };

  /// Permission for one call. If it is destroyed without a result, such as after a cancelled call, the breaker does not
  /// change; if the call was the probe, the next call may become the probe. The result of a call that was started
  /// before the last state change is ignored. Not thread-safe.
  class Ticket {
   public:
    Ticket(Ticket&& other) noexcept : owner_(std::exchange(other.owner_, nullptr)), generation_(other.generation_) {}
    Ticket& operator=(Ticket&&) = delete;
    ~Ticket();

    /// Whether this closed the breaker.
    bool succeeded() &&;
    /// Whether this opened the breaker.
    bool failed(TimePoint now) &&;

   private:
    friend class CircuitBreaker;
    Ticket(CircuitBreaker* owner, std::uint64_t generation) : owner_(owner), generation_(generation) {}
    CircuitBreaker* owner_;
    std::uint64_t generation_;
  };

  explicit CircuitBreaker(Options options) : options_(options) {}

  /// Empty if calls are blocked. In the half-open state, one call at a time is allowed, as the probe.
  std::optional<Ticket> try_acquire(TimePoint now);

  State state() const;

 private:
  void change(State state) REQUIRES(mutex_);

  const Options options_;
  mutable Mutex mutex_;
  State state_ GUARDED_BY(mutex_) = State::closed;
  /// Number of state changes.
  std::uint64_t generation_ GUARDED_BY(mutex_) = 0;
  int failures_ GUARDED_BY(mutex_) = 0;
  bool probing_ GUARDED_BY(mutex_) = false;
  TimePoint opened_at_ GUARDED_BY(mutex_){};
};

}  // namespace dice

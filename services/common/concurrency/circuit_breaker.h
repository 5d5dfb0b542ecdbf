// Stops calling a downstream service that keeps failing, and tries again after a pause.
// https://learn.microsoft.com/azure/architecture/patterns/circuit-breaker
#pragma once

#include <cstdint>
#include <optional>
#include <utility>

#include "common/concurrency/clock.h"
#include "common/concurrency/mutex.h"

namespace dice {

/// Thread-safe. Time is handed in. Outlives its tickets.
class CircuitBreaker {
 public:
  /// The numbers are the values of the metric.
  enum class State { closed = 0, half_open = 1, open = 2 };

  struct Options {
    /// In a row; 0 = the breaker never opens.
    int failures = 5;
    Seconds pause{2};
  };

  /// The permission for one call. Destroyed without a verdict, as after a call that was given up, it says nothing about
  /// the service; if it was the probe, the next call may be it. A verdict on a call from before the breaker last
  /// changed its state says nothing about now and is ignored. Not thread-safe.
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

  /// Nothing while no call may be made. In half-open, one call at a time is the probe.
  std::optional<Ticket> try_acquire(TimePoint now);

  State state() const;

 private:
  void change(State state) REQUIRES(mutex_);

  const Options options_;
  mutable Mutex mutex_;
  State state_ GUARDED_BY(mutex_) = State::closed;
  /// Counts changes of state.
  std::uint64_t generation_ GUARDED_BY(mutex_) = 0;
  int failures_ GUARDED_BY(mutex_) = 0;
  bool probing_ GUARDED_BY(mutex_) = false;
  TimePoint opened_at_ GUARDED_BY(mutex_){};
};

}  // namespace dice

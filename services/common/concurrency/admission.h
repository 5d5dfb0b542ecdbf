// Admission control: limits on concurrent work and on its rate.
#pragma once

#include <atomic>
#include <cstddef>
#include <optional>
#include <utility>

#include "common/concurrency/clock.h"
#include "common/concurrency/mutex.h"

namespace dice {

/// Limits concurrent work to `limit` units. Thread-safe; never blocks. Must outlive its tickets.
class Admission {
 public:
  /// Holds its units until released or destroyed. Not thread-safe.
  class Ticket {
   public:
    Ticket(Ticket&& other) noexcept : owner_(std::exchange(other.owner_, nullptr)), units_(other.units_) {}
    Ticket& operator=(Ticket&&) = delete;
    ~Ticket() { release(); }

    void release() {
      if (auto* owner = std::exchange(owner_, nullptr)) owner->in_use_.fetch_sub(units_, std::memory_order_release);
    }

   private:
    friend class Admission;
    Ticket(Admission* owner, std::size_t units) : owner_(owner), units_(units) {}
    Admission* owner_;
    std::size_t units_;
  };

  explicit Admission(std::size_t limit) : limit_(limit) {}

  /// Acquires all `units`, or nothing.
  std::optional<Ticket> try_acquire(std::size_t units);

  std::size_t in_use() const { return in_use_.load(std::memory_order_acquire); }

 private:
  const std::size_t limit_;
  std::atomic<std::size_t> in_use_ = 0;
};

/// Generic cell rate algorithm (ITU-T I.371): `per_second` on average, bursts of up to one second's worth, and at least
/// one. Thread-safe.
class RateLimit {
 public:
  /// `per_second` 0 = no limit.
  explicit RateLimit(double per_second) : per_second_(per_second) {}

  [[nodiscard]] bool try_acquire(TimePoint now);

 private:
  const double per_second_;
  Mutex mutex_;
  TimePoint full_at_ GUARDED_BY(mutex_){};
};

}  // namespace dice

// A manual clock, which a test moves.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <iterator>
#include <mutex>
#include <set>

#include "common/concurrency/clock.h"

namespace dice {

/// Thread-safe.
class ManualClock final : public Clock {
 public:
  TimePoint now() const override {
    const std::lock_guard lock(mutex_);
    return now_;
  }

  bool sleep(Seconds duration, const std::stop_token& stop) override {
    std::unique_lock lock(mutex_);
    const auto deadline = now_ + to_steady(duration);
    const auto mine = deadlines_.insert(deadline);
    changed_.notify_all();
    const bool over = changed_.wait(lock, stop, [&] { return now_ >= deadline; });
    deadlines_.erase(mine);
    changed_.notify_all();
    return over && !stop.stop_requested();
  }

  /// Moves the clock and ends every sleep that is due.
  void advance(Seconds duration) {
    const std::lock_guard lock(mutex_);
    now_ += to_steady(duration);
    changed_.notify_all();
  }

  /// Number of sleeps in progress; those that are due do not count, even if their thread has not woken up yet.
  std::size_t sleepers() const {
    const std::lock_guard lock(mutex_);
    return count();
  }

  /// Blocks until exactly `expected` sleeps are in progress. False after `timeout` of real time.
  bool wait_for_sleepers(std::size_t expected, std::chrono::seconds timeout = std::chrono::seconds(30)) const {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, timeout, [&] { return count() == expected; });
  }

 private:
  std::size_t count() const {
    return static_cast<std::size_t>(std::distance(deadlines_.upper_bound(now_), deadlines_.end()));
  }

  mutable std::mutex mutex_;
  mutable std::condition_variable_any changed_;
  TimePoint now_{std::chrono::hours(1)};
  std::multiset<TimePoint> deadlines_;
};

}  // namespace dice

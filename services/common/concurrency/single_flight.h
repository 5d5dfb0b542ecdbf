// Shares one run of expensive work between concurrent callers.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

#include "common/concurrency/mutex.h"

namespace dice {

/// Thread-safe; a call may block for the duration of two runs.
template <typename Value>
class SingleFlight {
 public:
  /// The result of a run of `make` that started after this call: calls made during a run share the next run.
  std::shared_ptr<const Value> run(const std::function<Value()>& make) {
    mutex_.lock();
    const auto wanted = runs_ + (running_ ? 2 : 1);
    while (runs_ < wanted && running_) ended_.wait(mutex_);
    if (runs_ >= wanted) {
      auto value = value_;
      mutex_.unlock();
      return value;
    }
    running_ = true;
    mutex_.unlock();
    std::shared_ptr<const Value> value;
    try {
      value = std::make_shared<const Value>(make());
    } catch (...) {
      end(nullptr);
      throw;
    }
    end(value);
    return value;
  }

 private:
  /// Without a value, the run does not count: one of the waiting callers starts the next.
  void end(const std::shared_ptr<const Value>& value) {
    const Lock lock(mutex_);
    running_ = false;
    if (value) {
      value_ = value;
      ++runs_;
    }
    ended_.notify_all();
  }

  Mutex mutex_;
  Condition ended_;
  bool running_ GUARDED_BY(mutex_) = false;
  std::uint64_t runs_ GUARDED_BY(mutex_) = 0;
  std::shared_ptr<const Value> value_ GUARDED_BY(mutex_);
};

}  // namespace dice

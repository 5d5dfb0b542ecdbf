// A mutex and a condition variable with locking checked by clang at compile time (-Wthread-safety).
// https://clang.llvm.org/docs/ThreadSafetyAnalysis.html
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

#if defined(__clang__)
#define DICE_THREAD_ANNOTATION(x) __attribute__((x))
#else
#define DICE_THREAD_ANNOTATION(x)
#endif

#define GUARDED_BY(x) DICE_THREAD_ANNOTATION(guarded_by(x))
#define REQUIRES(...) DICE_THREAD_ANNOTATION(requires_capability(__VA_ARGS__))
#define EXCLUDES(...) DICE_THREAD_ANNOTATION(locks_excluded(__VA_ARGS__))

namespace dice {

class DICE_THREAD_ANNOTATION(capability("mutex")) Mutex {
 public:
  void lock() DICE_THREAD_ANNOTATION(acquire_capability()) { mutex_.lock(); }
  void unlock() DICE_THREAD_ANNOTATION(release_capability()) { mutex_.unlock(); }

 private:
  friend class Condition;
  std::mutex mutex_;
};

class DICE_THREAD_ANNOTATION(scoped_lockable) Lock {
 public:
  explicit Lock(Mutex& mutex) DICE_THREAD_ANNOTATION(acquire_capability(mutex)) : mutex_(mutex) { mutex_.lock(); }
  ~Lock() DICE_THREAD_ANNOTATION(release_capability()) { mutex_.unlock(); }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

 private:
  Mutex& mutex_;
};

/// Wake-ups may be spurious: wait in a loop that checks the condition.
class Condition {
 public:
  void wait(Mutex& mutex) REQUIRES(mutex) {
    std::unique_lock lock(mutex.mutex_, std::adopt_lock);
    condition_.wait(lock);
    lock.release();
  }

  /// False if `deadline` has passed.
  bool wait_until(Mutex& mutex, std::chrono::steady_clock::time_point deadline) REQUIRES(mutex) {
    std::unique_lock lock(mutex.mutex_, std::adopt_lock);
    const bool in_time = condition_.wait_until(lock, deadline) == std::cv_status::no_timeout;
    lock.release();
    return in_time;
  }

  void notify_one() { condition_.notify_one(); }
  void notify_all() { condition_.notify_all(); }

 private:
  std::condition_variable condition_;
};

}  // namespace dice

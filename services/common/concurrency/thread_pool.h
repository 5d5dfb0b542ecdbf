// Thread pool for blocking work.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "common/concurrency/clock.h"
#include "common/concurrency/mutex.h"

namespace dice {

/// Threads are created on demand, reused, and end after `idle_timeout` without work.
/// Nothing is queued: a task either starts immediately on its own thread or is rejected.
/// Thread-safe. A task must not throw. Creating a thread delays only the caller, by about 30 µs.
class ThreadPool {
 public:
  struct Options {
    std::size_t max_threads = 1024;
    std::chrono::milliseconds idle_timeout{10'000};
  };

  using Task = std::move_only_function<void()>;

  explicit ThreadPool(Options options) : options_(options) {}
  /// Waits for running tasks.
  ~ThreadPool();
  /// Rejects all further tasks and waits for running ones; false if some are still running at `deadline`.
  bool stop(TimePoint deadline);
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  /// Runs `task` on a thread of the pool. False, with `task` unchanged, if `max_threads` threads are busy.
  [[nodiscard]] bool try_run(Task& task);

  /// Leases `threads` threads for the caller, runs `body` concurrently on each of them once all are available, and
  /// returns when every call has returned. False, without running anything, if not enough threads are free.
  [[nodiscard]] bool try_run_on_each(std::size_t threads, const std::function<void()>& body);

  /// Calls `body` with 0, …, `count` - 1 on up to `threads` threads at the same time, and returns when every call has
  /// returned. If not enough threads are free, all calls are made on the caller's thread.
  void run_for_each(std::size_t count, std::size_t threads, const std::function<void(std::size_t)>& body);

  /// Number of threads, including idle ones.
  std::size_t size() const;

 private:
  /// Number of threads whose call for `try_run_on_each` has not returned.
  struct Lease {
    std::size_t working = 0;
    Condition returned;
  };

  struct Worker {
    std::thread thread;
    /// Its own, so that a thread that wakes up meets no other.
    Mutex mutex;
    Condition wake;
    Task task GUARDED_BY(mutex);
    bool leave GUARDED_BY(mutex) = false;
    /// Written before the task is given; null for `try_run`.
    Lease* lease = nullptr;
  };
  /// Shared, because the thread may have ended when the call that notified it returns.
  using Pointer = std::shared_ptr<Worker>;

  /// Whether this many additional threads may be used.
  bool has_room(std::size_t threads) const REQUIRES(mutex_);
  /// Requires an idle thread.
  Pointer take_idle() REQUIRES(mutex_);
  /// Passes a task to a thread that was taken or created.
  static void give(Worker& worker, Task task, Lease* lease);
  /// A thread that waits for its task; null if the system cannot create one.
  Pointer make();
  void stop_idle() REQUIRES(mutex_);
  void work(const Pointer& self);
  /// The next task; empty if none has come by `deadline`, or if the thread must leave.
  static Task next_task(Worker& self, TimePoint deadline);
  void becomes_idle(const Pointer& self);
  /// False if the thread has been taken meanwhile, so that a task is coming.
  bool leaves(const Pointer& self);

  const Options options_;
  /// Held while a batch's threads are created: the kernel creates the threads of a process one by one, and callers that
  /// create a single thread, such as I/O threads, must not wait for the threads of several batches.
  Mutex batch_;
  mutable Mutex mutex_;
  Condition ended_;
  /// Threads that exist or are being created.
  std::size_t threads_ GUARDED_BY(mutex_) = 0;
  /// Last in, first out, so that under low load the other threads time out.
  std::vector<Pointer> idle_ GUARDED_BY(mutex_);
  /// The thread that ended last and is not joined yet: the next one joins it, so that at most one unused stack is kept.
  std::thread finished_ GUARDED_BY(mutex_);
  bool stopping_ GUARDED_BY(mutex_) = false;
};

}  // namespace dice

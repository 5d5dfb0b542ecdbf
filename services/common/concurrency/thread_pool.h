// Thread pool for blocking work.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <list>
#include <thread>
#include <vector>

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
  bool stop(std::chrono::steady_clock::time_point deadline);
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
  struct Worker {
    std::thread thread;
    Condition wake;
    /// Reserved for a task and no longer idle.
    bool taken = false;
    Task task;
    /// For `try_run_on_each`: number of threads whose call has not returned; null for `try_run`.
    std::size_t* lease = nullptr;
  };
  using Workers = std::list<Worker>;

  /// Whether this many additional threads may be used.
  bool has_room(std::size_t threads) const REQUIRES(mutex_);
  /// Requires an idle thread.
  Workers::iterator take_idle() REQUIRES(mutex_);
  /// Passes a task to a thread that was taken or created.
  static void give(Workers::iterator worker, Task task, std::size_t* lease);
  /// Appends a thread that waits for its task. False if the system cannot create one.
  bool make(Workers& made) EXCLUDES(mutex_);
  void stop_idle() REQUIRES(mutex_);
  void work(Workers::iterator self);
  struct Ended {
    /// Threads that ended before this one and are joined by it, so that at most one unused stack is kept.
    Workers before;
    /// No other thread exists.
    bool last = false;
  };
  /// Runs one task and waits for the next. False, with `ended` filled in, if there is none.
  bool work_once(Workers::iterator self, Ended& ended);
  static void join(Workers& finished);

  const Options options_;
  /// Held while a batch's threads are created: the kernel creates the threads of a process one by one, and callers that
  /// create a single thread, such as I/O threads, must not wait for the threads of several batches.
  Mutex batch_;
  mutable Mutex mutex_;
  Condition ended_;
  Condition returned_;
  Workers workers_ GUARDED_BY(mutex_);
  /// Threads being created, not yet in `workers_`.
  std::size_t making_ GUARDED_BY(mutex_) = 0;
  /// Last in, first out, so that under low load the other threads time out.
  std::vector<Workers::iterator> idle_ GUARDED_BY(mutex_);
  /// Threads that have ended but are not joined yet.
  Workers finished_ GUARDED_BY(mutex_);
  bool stopping_ GUARDED_BY(mutex_) = false;
};

}  // namespace dice

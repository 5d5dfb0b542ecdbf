// Threads for work that blocks.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <list>
#include <thread>
#include <vector>

#include "common/concurrency/mutex.h"

namespace dice {

/// Threads are made on demand, reused, and end after `idle_timeout` without work.
/// Nothing ever queues: a task starts at once on a thread that is its own until it returns, or it is refused.
/// Thread-safe. A task must not throw. Making a thread takes some 30 µs of the caller's, and nobody else's.
class ThreadPool {
 public:
  struct Options {
    std::size_t max_threads = 1024;
    std::chrono::milliseconds idle_timeout{10'000};
  };

  using Task = std::move_only_function<void()>;

  explicit ThreadPool(Options options) : options_(options) {}
  /// Waits for the tasks that run.
  ~ThreadPool();
  /// From now on every task is refused. Waits for those that run; false when some still do at `deadline`.
  bool stop(std::chrono::steady_clock::time_point deadline);
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  /// Runs `task` on a thread of the pool. False, with `task` untouched, when `max_threads` are at work.
  [[nodiscard]] bool try_run(Task& task);

  /// Leases `threads` threads for the caller alone, runs `body` on each of them at the same time, once all of them are
  /// there, and returns when every call has returned. False, with nothing run, when that many are not free.
  [[nodiscard]] bool try_run_on_each(std::size_t threads, const std::function<void()>& body);

  /// Threads that exist, idle ones included.
  std::size_t size() const;

 private:
  struct Worker {
    std::thread thread;
    Condition wake;
    /// For a task that is here, or on its way: no longer idle.
    bool taken = false;
    Task task;
    /// Of `try_run_on_each`: threads whose call has not returned; null for `try_run`.
    std::size_t* lease = nullptr;
  };
  using Workers = std::list<Worker>;

  /// Whether so many threads more may work.
  bool has_room(std::size_t threads) const REQUIRES(mutex_);
  /// There must be one.
  Workers::iterator take_idle() REQUIRES(mutex_);
  /// To a thread that was taken or made.
  static void give(Workers::iterator worker, Task task, std::size_t* lease);
  /// Appends a thread that waits for its task. False when the system has none left.
  bool make(Workers& made) EXCLUDES(mutex_);
  void stop_idle() REQUIRES(mutex_);
  void work(Workers::iterator self);
  struct Ended {
    /// Threads that ended before this one, which joins them, so that at most one thread's stack is kept for nothing.
    Workers before;
    /// There is no other thread.
    bool last = false;
  };
  /// One task, and the wait for the next. False, with `ended` filled in, when there is none.
  bool work_once(Workers::iterator self, Ended& ended);
  static void join(Workers& finished);

  const Options options_;
  /// Held while a batch's threads are made: the kernel makes the threads of a process one by one, and those who make a
  /// single one, such as I/O threads, shall not wait for those of many batches.
  Mutex batch_;
  mutable Mutex mutex_;
  Condition ended_;
  Condition returned_;
  Workers workers_ GUARDED_BY(mutex_);
  /// Threads on their way into `workers_`.
  std::size_t making_ GUARDED_BY(mutex_) = 0;
  /// Last in, first out: under low load the others time out.
  std::vector<Workers::iterator> idle_ GUARDED_BY(mutex_);
  /// Ended by themselves, still to be joined.
  Workers finished_ GUARDED_BY(mutex_);
  bool stopping_ GUARDED_BY(mutex_) = false;
};

}  // namespace dice

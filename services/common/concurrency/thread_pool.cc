#include "common/concurrency/thread_pool.h"

#include <malloc.h>

#include <algorithm>
#include <system_error>
#include <utility>

namespace dice {

ThreadPool::~ThreadPool() {
  Workers finished;
  {
    const Lock lock(mutex_);
    stop_idle();
    while (!workers_.empty() || making_ > 0) ended_.wait(mutex_);
    finished.splice(finished.end(), finished_);
  }
  join(finished);
}

bool ThreadPool::stop(std::chrono::steady_clock::time_point deadline) {
  const Lock lock(mutex_);
  stop_idle();
  while (!workers_.empty() || making_ > 0) {
    if (!ended_.wait_until(mutex_, deadline)) return workers_.empty() && making_ == 0;
  }
  return true;
}

void ThreadPool::stop_idle() {
  stopping_ = true;
  for (const auto& worker : idle_) worker->wake.notify_one();
}

void ThreadPool::join(Workers& finished) {
  for (auto& worker : finished) worker.thread.join();
  finished.clear();
}

bool ThreadPool::has_room(std::size_t threads) const {
  return !stopping_ && workers_.size() + making_ - idle_.size() + threads <= options_.max_threads;
}

bool ThreadPool::reuse(Task& task, std::size_t* lease) {
  if (idle_.empty()) return false;
  const auto worker = idle_.back();
  idle_.pop_back();
  worker->task = std::move(task);
  worker->lease = lease;
  worker->wake.notify_one();
  return true;
}

bool ThreadPool::make(Task& task, std::size_t* lease) {
  Workers made(1);
  const auto worker = made.begin();
  worker->lease = lease;
  try {
    // Begins by waiting for the mutex, and for its place in `workers_`.
    worker->thread = std::thread([this, worker] { work(worker); });
  } catch (const std::system_error&) {
    const Lock lock(mutex_);
    --making_;
    ended_.notify_all();
    return false;
  }
  const Lock lock(mutex_);
  --making_;
  worker->task = std::move(task);
  workers_.splice(workers_.end(), made);
  worker->wake.notify_one();
  return true;
}

bool ThreadPool::try_run(Task& task) {
  {
    const Lock lock(mutex_);
    if (!has_room(1)) return false;
    if (reuse(task, nullptr)) return true;
    ++making_;
  }
  return make(task, nullptr);
}

bool ThreadPool::try_run_on_each(std::size_t threads, const std::function<void()>& body) {
  const auto task = [&body] { body(); };
  std::size_t working = threads;
  std::size_t missing = threads;
  {
    const Lock lock(mutex_);
    if (!has_room(threads)) return false;
    for (; missing > 0; --missing) {
      Task copy = task;
      if (!reuse(copy, &working)) break;
    }
    making_ += missing;
  }
  std::size_t failed = 0;
  for (std::size_t i = 0; i < missing; ++i) {
    Task copy = task;
    // Short of threads in the middle of the batch: the ones there are do all of the work, since `body` shares it out.
    if (!make(copy, &working)) ++failed;
  }
  const Lock lock(mutex_);
  working -= failed;
  if (failed == threads && threads > 0) return false;
  while (working > 0) returned_.wait(mutex_);
  return true;
}

std::size_t ThreadPool::size() const {
  const Lock lock(mutex_);
  return workers_.size();
}

void ThreadPool::work(Workers::iterator self) {
  Ended ended;
  while (work_once(self, ended)) {
  }
  join(ended.before);
  // The C library keeps what each thread has freed; the last one gives back what was kept for all.
  if (ended.last) (void)::malloc_trim(0);
}

bool ThreadPool::work_once(Workers::iterator self, Ended& ended) {
  Task task;
  {
    const Lock lock(mutex_);
    while (!self->task) self->wake.wait(mutex_);
    task = std::exchange(self->task, nullptr);
  }
  task();
  task = nullptr;

  const Lock lock(mutex_);
  idle_.push_back(self);
  // Idle first, so that the caller finds the threads free when it goes on.
  if (auto* lease = std::exchange(self->lease, nullptr); lease != nullptr && --*lease == 0) returned_.notify_all();
  const auto deadline = std::chrono::steady_clock::now() + options_.idle_timeout;
  while (!self->task && !stopping_ && self->wake.wait_until(mutex_, deadline)) {
  }
  if (self->task) return true;
  std::erase(idle_, self);
  ended.before.splice(ended.before.end(), finished_);
  finished_.splice(finished_.end(), workers_, self);
  ended.last = workers_.empty() && !stopping_;
  ended_.notify_one();
  return false;
}

}  // namespace dice

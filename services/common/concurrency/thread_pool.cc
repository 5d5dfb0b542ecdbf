#include "common/concurrency/thread_pool.h"

#include <malloc.h>

#include <algorithm>
#include <atomic>
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

ThreadPool::Workers::iterator ThreadPool::take_idle() {
  const auto worker = idle_.back();
  idle_.pop_back();
  worker->taken = true;
  return worker;
}

void ThreadPool::give(Workers::iterator worker, Task task, std::size_t* lease) {
  worker->task = std::move(task);
  worker->lease = lease;
  worker->wake.notify_one();
}

bool ThreadPool::make(Workers& made) {
  const auto worker = made.emplace(made.end());
  try {
    // The thread first waits for its task.
    worker->thread = std::thread([this, worker] { work(worker); });
  } catch (const std::system_error&) {
    made.erase(worker);
    return false;
  }
  return true;
}

bool ThreadPool::try_run(Task& task) {
  {
    const Lock lock(mutex_);
    if (!has_room(1)) return false;
    if (!idle_.empty()) {
      give(take_idle(), std::move(task), nullptr);
      return true;
    }
    ++making_;
  }
  Workers made;
  const bool works = make(made);
  const Lock lock(mutex_);
  --making_;
  if (works) give(made.begin(), std::move(task), nullptr);
  workers_.splice(workers_.end(), made);
  ended_.notify_all();
  return works;
}

bool ThreadPool::try_run_on_each(std::size_t threads, const std::function<void()>& body) {
  std::vector<Workers::iterator> leased;
  leased.reserve(threads);
  std::size_t missing = 0;
  {
    const Lock lock(mutex_);
    if (!has_room(threads)) return false;
    while (leased.size() < threads && !idle_.empty()) leased.push_back(take_idle());
    missing = threads - leased.size();
    making_ += missing;
  }
  Workers made;
  if (missing > 0) {
    const Lock one_batch(batch_);
    // If threads run out in the middle of the batch, the existing ones do all the work, because `body` distributes it.
    while (made.size() < missing && make(made)) {
    }
  }
  for (auto worker = made.begin(); worker != made.end(); ++worker) leased.push_back(worker);

  const Lock lock(mutex_);
  making_ -= missing;
  workers_.splice(workers_.end(), made);
  ended_.notify_all();
  if (leased.empty() && threads > 0) return false;
  auto working = leased.size();
  for (const auto worker : leased) give(worker, [&body] { body(); }, &working);
  while (working > 0) returned_.wait(mutex_);
  return true;
}

void ThreadPool::run_for_each(std::size_t count, std::size_t threads, const std::function<void(std::size_t)>& body) {
  std::atomic<std::size_t> next = 0;
  const auto work = [&] {
    for (auto i = next++; i < count; i = next++) body(i);
  };
  threads = std::min(threads, count);
  if (threads <= 1 || !try_run_on_each(threads, work)) work();
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
  // The C library keeps memory that each thread has freed; the last thread returns it to the system.
  if (ended.last) (void)::malloc_trim(0);
}

bool ThreadPool::work_once(Workers::iterator self, Ended& ended) {
  Task task;
  {
    const Lock lock(mutex_);
    while (!self->task) self->wake.wait(mutex_);
    task = std::exchange(self->task, nullptr);
    self->taken = false;
  }
  task();
  task = nullptr;

  const Lock lock(mutex_);
  idle_.push_back(self);
  // Mark the thread as idle first, so that the threads are free when the caller continues.
  if (auto* lease = std::exchange(self->lease, nullptr); lease != nullptr && --*lease == 0) returned_.notify_all();
  const auto deadline = std::chrono::steady_clock::now() + options_.idle_timeout;
  while (!self->taken && !stopping_ && self->wake.wait_until(mutex_, deadline)) {
  }
  if (self->taken) return true;
  std::erase(idle_, self);
  ended.before.splice(ended.before.end(), finished_);
  finished_.splice(finished_.end(), workers_, self);
  ended.last = workers_.empty() && !stopping_;
  ended_.notify_one();
  return false;
}

}  // namespace dice

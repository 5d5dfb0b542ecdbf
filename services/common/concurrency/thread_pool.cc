#include "common/concurrency/thread_pool.h"

#include <algorithm>
#include <system_error>
#include <utility>

namespace dice {

ThreadPool::~ThreadPool() {
  Workers finished;
  {
    const Lock lock(mutex_);
    stopping_ = true;
    for (const auto& worker : idle_) worker->wake.notify_one();
    while (!workers_.empty()) ended_.wait(mutex_);
    finished.splice(finished.end(), finished_);
  }
  join(finished);
}

void ThreadPool::join(Workers& finished) {
  for (auto& worker : finished) worker.thread.join();
  finished.clear();
}

bool ThreadPool::start(Task& task, std::size_t* lease) {
  if (!idle_.empty()) {
    const auto worker = idle_.back();
    idle_.pop_back();
    worker->task = std::move(task);
    worker->lease = lease;
    worker->wake.notify_one();
    return true;
  }
  const auto worker = workers_.emplace(workers_.end());
  worker->task = std::move(task);
  worker->lease = lease;
  try {
    worker->thread = std::thread([this, worker] { work(worker); });
  } catch (const std::system_error&) {
    task = std::move(worker->task);
    workers_.erase(worker);
    return false;
  }
  return true;
}

bool ThreadPool::try_run(Task& task) {
  const Lock lock(mutex_);
  if (stopping_ || workers_.size() - idle_.size() >= options_.max_threads) return false;
  return start(task, nullptr);
}

bool ThreadPool::try_run_on_each(std::size_t threads, const std::function<void()>& body) {
  const Lock lock(mutex_);
  if (stopping_ || workers_.size() - idle_.size() + threads > options_.max_threads) return false;
  std::size_t working = 0;
  for (std::size_t i = 0; i < threads; ++i) {
    Task task = [&body] { body(); };
    // Short of threads in the middle of the batch: the ones there are do all of the work, since `body` shares it out.
    if (!start(task, &working)) break;
    ++working;
  }
  if (working == 0 && threads > 0) return false;
  while (working > 0) returned_.wait(mutex_);
  return true;
}

std::size_t ThreadPool::size() const {
  const Lock lock(mutex_);
  return workers_.size();
}

void ThreadPool::work(Workers::iterator self) {
  Workers ended;
  while (work_once(self, ended)) {
  }
  join(ended);
}

bool ThreadPool::work_once(Workers::iterator self, Workers& ended) {
  Task task;
  {
    const Lock lock(mutex_);
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
  ended.splice(ended.end(), finished_);
  finished_.splice(finished_.end(), workers_, self);
  ended_.notify_one();
  return false;
}

}  // namespace dice

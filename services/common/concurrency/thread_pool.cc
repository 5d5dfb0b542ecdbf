#include "common/concurrency/thread_pool.h"

#include <algorithm>
#include <latch>
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

bool ThreadPool::start(Task& task) {
  if (!idle_.empty()) {
    const auto worker = idle_.back();
    idle_.pop_back();
    worker->task = std::move(task);
    worker->wake.notify_one();
    return true;
  }
  const auto worker = workers_.emplace(workers_.end());
  worker->task = std::move(task);
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
  Workers finished;
  bool started = false;
  {
    const Lock lock(mutex_);
    finished.splice(finished.end(), finished_);
    if (!stopping_ && workers_.size() - idle_.size() < options_.max_threads) started = start(task);
  }
  join(finished);
  return started;
}

bool ThreadPool::try_run_on_each(std::size_t threads, const std::function<void()>& body) {
  std::latch done(static_cast<std::ptrdiff_t>(threads));
  std::size_t started = 0;
  {
    const Lock lock(mutex_);
    if (stopping_ || workers_.size() - idle_.size() + threads > options_.max_threads) return false;
    for (; started < threads; ++started) {
      Task task = [&body, &done] {
        body();
        done.count_down();
      };
      if (!start(task)) break;
    }
  }
  if (started == 0 && threads > 0) return false;
  // Short of threads in the middle of the batch: the ones there are do all of the work, since `body` shares it out.
  done.count_down(static_cast<std::ptrdiff_t>(threads - started));
  done.wait();
  return true;
}

std::size_t ThreadPool::size() const {
  const Lock lock(mutex_);
  return workers_.size();
}

void ThreadPool::work(Workers::iterator self) {
  for (;;) {
    Task task;
    {
      const Lock lock(mutex_);
      task = std::exchange(self->task, nullptr);
    }
    task();
    task = nullptr;

    const Lock lock(mutex_);
    idle_.push_back(self);
    const auto deadline = std::chrono::steady_clock::now() + options_.idle_timeout;
    while (!self->task && !stopping_ && self->wake.wait_until(mutex_, deadline)) {
    }
    if (!self->task) {
      std::erase(idle_, self);
      finished_.splice(finished_.end(), workers_, self);
      ended_.notify_one();
      return;
    }
  }
}

}  // namespace dice

#include "common/concurrency/thread_pool.h"

#include <malloc.h>

#include <algorithm>
#include <atomic>
#include <system_error>
#include <utility>

namespace dice {

ThreadPool::~ThreadPool() {
  std::thread last;
  {
    const Lock lock(mutex_);
    stop_idle();
    while (threads_ > 0) ended_.wait(mutex_);
    last = std::move(finished_);
  }
  if (last.joinable()) last.join();
}

bool ThreadPool::stop(TimePoint deadline) {
  const Lock lock(mutex_);
  stop_idle();
  while (threads_ > 0) {
    if (!ended_.wait_until(mutex_, deadline)) return threads_ == 0;
  }
  return true;
}

void ThreadPool::stop_idle() {
  stopping_ = true;
  for (const auto& idle : idle_) {
    auto& worker = *idle;
    const Lock lock(worker.mutex);
    worker.leave = true;
    worker.wake.notify_one();
  }
}

bool ThreadPool::has_room(std::size_t threads) const {
  return !stopping_ && threads_ - idle_.size() + threads <= options_.max_threads;
}

ThreadPool::Pointer ThreadPool::take_idle() {
  auto worker = std::move(idle_.back());
  idle_.pop_back();
  return worker;
}

void ThreadPool::give(Worker& worker, Task task, Lease* lease) {
  worker.lease = lease;
  {
    const Lock lock(worker.mutex);
    worker.task = std::move(task);
  }
  worker.wake.notify_one();  // not under the mutex, which the thread would have to wait for
}

ThreadPool::Pointer ThreadPool::make() {
  auto worker = std::make_shared<Worker>();
  try {
    worker->thread = std::thread([this, worker] { work(worker); });
  } catch (const std::system_error&) {
    return nullptr;
  }
  return worker;
}

bool ThreadPool::try_run(Task& task) {
  Pointer worker;
  {
    const Lock lock(mutex_);
    if (!has_room(1)) return false;
    if (!idle_.empty()) worker = take_idle();
    else ++threads_;
  }
  if (!worker) worker = make();
  if (worker) {
    give(*worker, std::move(task), nullptr);
    return true;
  }
  const Lock lock(mutex_);
  --threads_;
  ended_.notify_all();
  return false;
}

bool ThreadPool::try_run_on_each(std::size_t threads, const std::function<void()>& body) {
  std::vector<Pointer> leased;
  leased.reserve(threads);
  {
    const Lock lock(mutex_);
    if (!has_room(threads)) return false;
    while (leased.size() < threads && !idle_.empty()) leased.push_back(take_idle());
    threads_ += threads - leased.size();
  }
  if (leased.size() < threads) {
    const Lock one_batch(batch_);
    while (leased.size() < threads) {
      auto worker = make();
      if (!worker) break;
      leased.push_back(std::move(worker));
    }
  }
  Lease lease;
  if (leased.size() < threads) {
    // Threads have run out in the middle of the batch: the existing ones do all the work, because `body` distributes
    // it.
    const Lock lock(mutex_);
    threads_ -= threads - leased.size();
    ended_.notify_all();
    if (leased.empty()) return false;
  }
  lease.working = leased.size();
  for (const auto& worker : leased) give(*worker, [&body] { body(); }, &lease);
  const Lock lock(mutex_);
  while (lease.working > 0) lease.returned.wait(mutex_);
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
  return threads_;
}

void ThreadPool::work(const Pointer& self) {
  constexpr auto kComing = TimePoint::max();
  for (auto deadline = kComing;;) {
    if (auto task = next_task(*self, deadline)) {
      task();
      task = nullptr;
      becomes_idle(self);
      deadline = std::chrono::steady_clock::now() + options_.idle_timeout;
    } else if (leaves(self)) {
      return;
    } else {
      deadline = kComing;
    }
  }
}

ThreadPool::Task ThreadPool::next_task(Worker& self, TimePoint deadline) {
  const Lock lock(self.mutex);
  while (!self.task && !self.leave && self.wake.wait_until(self.mutex, deadline)) {
  }
  return std::exchange(self.task, nullptr);
}

void ThreadPool::becomes_idle(const Pointer& self) {
  const Lock lock(mutex_);
  idle_.push_back(self);
  // Only now, so that the threads are free when the caller continues. It may be the last use of the lease.
  if (auto* const lease = std::exchange(self->lease, nullptr); lease != nullptr && --lease->working == 0) {
    lease->returned.notify_one();
  }
  if (!stopping_) return;
  auto& worker = *self;
  const Lock mine(worker.mutex);
  worker.leave = true;
}

bool ThreadPool::leaves(const Pointer& self) {
  std::thread before;
  bool last = false;
  {
    const Lock lock(mutex_);
    if (std::erase(idle_, self) == 0) return false;
    before = std::exchange(finished_, std::move(self->thread));
    last = --threads_ == 0 && !stopping_;
    ended_.notify_all();
  }
  if (before.joinable()) before.join();
  // The C library keeps memory that each thread has freed; the last thread returns it to the system.
  if (last) (void)::malloc_trim(0);
  return true;
}

}  // namespace dice

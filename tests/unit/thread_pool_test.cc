#include "common/concurrency/thread_pool.h"

#include <doctest/doctest.h>

#include <atomic>
#include <fstream>
#include <latch>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <vector>

#include "support/wait.h"

namespace dice {
namespace {

using test::eventually;
using Task = ThreadPool::Task;

/// Tasks that run until they are released.
class Blocker {
 public:
  ~Blocker() { release(); }

  Task task() {
    return [this] {
      ++running_;
      released_.wait();
      --running_;
    };
  }
  /// Whether this many are running, now or soon.
  bool reaches(int count) const {
    return eventually([&] { return running_ == count; });
  }
  int running() const { return running_; }
  void release() {
    if (!done_.exchange(true)) released_.count_down();
  }

 private:
  std::atomic<int> running_ = 0;
  std::atomic<bool> done_ = false;
  std::latch released_{1};
};

bool run(ThreadPool& pool, Task task) { return pool.try_run(task); }

/// Runs `task` as soon as a thread is free.
bool run_soon(ThreadPool& pool, Task task) {
  return eventually([&] { return pool.try_run(task); });
}

TEST_CASE("thread pool: runs as many concurrent tasks as it may have threads, and rejects one more") {
  Blocker blocker;
  ThreadPool pool({.max_threads = 3});
  for (int i = 0; i < 3; ++i) CHECK(run(pool, blocker.task()));
  CHECK(blocker.reaches(3));
  CHECK_FALSE(run(pool, blocker.task()));
  CHECK(pool.size() == 3);
  blocker.release();
}

TEST_CASE("thread pool: a rejected task is unchanged and never runs") {
  std::atomic<int> calls = 0;
  {
    Blocker blocker;
    ThreadPool pool({.max_threads = 1});
    REQUIRE(run(pool, blocker.task()));
    auto owned = std::make_unique<int>(7);
    Task task = [&calls, owned = std::move(owned)] { calls += *owned; };
    CHECK_FALSE(pool.try_run(task));
    CHECK_FALSE(pool.try_run(task));
    CHECK(calls == 0);
    blocker.release();
    REQUIRE(eventually([&] { return pool.try_run(task); }));  // the very same task
  }
  CHECK(calls == 7);
}

TEST_CASE("thread pool: a task starts immediately even if others block") {
  Blocker blocker;
  ThreadPool pool({.max_threads = 2});
  REQUIRE(run(pool, blocker.task()));
  REQUIRE(blocker.reaches(1));
  std::latch ran(1);
  REQUIRE(run(pool, [&] { ran.count_down(); }));
  CHECK(eventually([&] { return ran.try_wait(); }));
  CHECK(blocker.running() == 1);
  blocker.release();
}

TEST_CASE("thread pool: has no threads before its first task") {
  const ThreadPool pool({.max_threads = 8});
  CHECK(pool.size() == 0);
}

TEST_CASE("thread pool: threads are reused") {
  ThreadPool pool({.max_threads = 1});
  std::mutex mutex;
  std::set<std::thread::id> threads;
  for (int i = 0; i < 20; ++i) {
    REQUIRE(run_soon(pool, [&] {
      const std::lock_guard lock(mutex);
      threads.insert(std::this_thread::get_id());
    }));
    CHECK(pool.size() == 1);
  }
  std::latch last(1);
  REQUIRE(run_soon(pool, [&] { last.count_down(); }));
  last.wait();
  const std::lock_guard lock(mutex);
  CHECK(threads.size() == 1);
}

TEST_CASE("thread pool: what a task owns is destroyed after it has run, not when its thread ends") {
  ThreadPool pool({.max_threads = 1});
  auto owned = std::make_shared<int>(1);
  const std::weak_ptr<int> watch = owned;
  REQUIRE(run(pool, [owned = std::move(owned)] {}));
  CHECK(eventually([&] { return watch.expired(); }));
  CHECK(pool.size() == 1);
}

TEST_CASE("thread pool: idle threads end after the timeout, and new ones are created when needed") {
  ThreadPool pool({.max_threads = 4, .idle_timeout = std::chrono::milliseconds(1)});
  for (int round = 0; round < 3; ++round) {
    Blocker blocker;
    for (int i = 0; i < 4; ++i) REQUIRE(run_soon(pool, blocker.task()));
    REQUIRE(blocker.reaches(4));
    CHECK(pool.size() == 4);
    blocker.release();
    CHECK(eventually([&] { return pool.size() == 0; }));
  }
}

TEST_CASE("thread pool: the timeout does not end a busy thread") {
  ThreadPool pool({.max_threads = 2, .idle_timeout = std::chrono::milliseconds(0)});
  Blocker blocker;
  REQUIRE(run(pool, blocker.task()));
  REQUIRE(blocker.reaches(1));
  REQUIRE(run(pool, [] {}));
  CHECK(eventually([&] { return pool.size() == 1; }));  // the one without work has ended
  CHECK(blocker.running() == 1);
  blocker.release();
}

TEST_CASE("thread pool: the destructor waits for running tasks") {
  std::atomic<bool> finished = false;
  std::latch running(1);
  std::latch ending(1);
  std::optional<ThreadPool> pool(std::in_place, ThreadPool::Options{.max_threads = 2});
  REQUIRE(run(*pool, [&] {
    running.count_down();
    ending.wait();
    for (int i = 0; i < 1000; ++i) std::this_thread::yield();
    finished = true;
  }));
  running.wait();
  ending.count_down();
  pool.reset();
  CHECK(finished);
}

TEST_CASE("thread pool: the destructor does not wait for the idle timeout") {
  const auto start = std::chrono::steady_clock::now();
  {
    ThreadPool pool({.max_threads = 4, .idle_timeout = std::chrono::hours(1)});
    for (int i = 0; i < 4; ++i) REQUIRE(run(pool, [] {}));
  }
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::minutes(5));
}

TEST_CASE("thread pool: a lease runs its body concurrently on that many threads and returns after all of them") {
  ThreadPool pool({.max_threads = 5});
  std::atomic<int> inside = 0;
  std::atomic<int> left = 0;
  std::mutex mutex;
  std::set<std::thread::id> threads;
  REQUIRE(pool.try_run_on_each(5, [&] {
    ++inside;
    CHECK(eventually([&] { return inside == 5; }));
    const std::lock_guard lock(mutex);
    threads.insert(std::this_thread::get_id());
    ++left;
  }));
  CHECK(left == 5);
  CHECK(threads.size() == 5);
  CHECK_FALSE(threads.contains(std::this_thread::get_id()));
}

TEST_CASE("thread pool: a lease without enough free threads runs nothing and takes none") {
  Blocker blocker;
  ThreadPool pool({.max_threads = 4});
  for (int i = 0; i < 2; ++i) REQUIRE(run(pool, blocker.task()));
  std::atomic<int> calls = 0;
  CHECK_FALSE(pool.try_run_on_each(3, [&] { ++calls; }));
  CHECK_FALSE(pool.try_run_on_each(5, [&] { ++calls; }));
  CHECK(calls == 0);
  CHECK(pool.size() == 2);
  CHECK(pool.try_run_on_each(2, [&] { ++calls; }));
  CHECK(calls == 2);
  blocker.release();
}

TEST_CASE("thread pool: a lease starts when all of its threads are available, so that they run concurrently") {
  std::atomic<int> alone = 0;
  for (int i = 0; i < 100; ++i) {
    ThreadPool pool({.max_threads = 8});
    REQUIRE(pool.try_run_on_each(static_cast<std::size_t>(i % 3), [] {}));  // some are idle, some have to be created
    REQUIRE(pool.try_run_on_each(8, [&] { alone += pool.size() < 8 ? 1 : 0; }));
  }
  CHECK(alone == 0);
}

TEST_CASE("thread pool: a lease's threads are free when it returns") {
  ThreadPool pool({.max_threads = 3});
  int refused = 0;
  for (int i = 0; i < 500; ++i) refused += pool.try_run_on_each(3, [] {}) ? 0 : 1;
  CHECK(refused == 0);
}

TEST_CASE("thread pool: the stacks of ended threads are released") {
  const auto address_space = [] {
    std::ifstream status("/proc/self/statm");  // in pages
    double pages = 0;
    status >> pages;
    return pages * 4096;
  };
  ThreadPool pool({.max_threads = 64, .idle_timeout = std::chrono::milliseconds(1)});
  const auto use = [&pool] {
    std::latch all(64);  // each thread waits for the others, so there are 64
    CHECK(pool.try_run_on_each(64, [&all] { all.arrive_and_wait(); }));
    CHECK(eventually([&pool] { return pool.size() == 0; }));
  };
  use();
  const auto before = address_space();
  for (int i = 0; i < 8; ++i) use();
  // Without joining, 8 × 64 stacks of 8 MB would remain. The last 64 may be joined a moment later.
  CHECK(eventually([&] { return address_space() - before < 4 * 64 * 8e6; }));
}

TEST_CASE("thread pool: with many callers, never more concurrent tasks than threads, and none lost") {
  constexpr int kMaxThreads = 4;
  std::atomic<int> now = 0;
  std::atomic<bool> exceeded = false;
  std::atomic<int> ran = 0;
  std::atomic<int> accepted = 0;
  {
    ThreadPool pool({.max_threads = kMaxThreads, .idle_timeout = std::chrono::milliseconds(0)});
    std::vector<std::jthread> callers;
    for (int caller = 0; caller < 4; ++caller) {
      callers.emplace_back([&, caller] {
        const auto work = [&] {
          if (++now > kMaxThreads) exceeded = true;
          ++ran;
          --now;
        };
        for (int i = 0; i < 300; ++i) {
          if (caller % 2 == 0) accepted += run(pool, work) ? 1 : 0;
          else accepted += pool.try_run_on_each(2, work) ? 2 : 0;
        }
      });
    }
  }
  CHECK_FALSE(exceeded);
  CHECK(ran == accepted);
  CHECK(ran > 0);
}

}  // namespace
}  // namespace dice

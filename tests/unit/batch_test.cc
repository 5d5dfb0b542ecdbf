#include "dice-roller/batch.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <latch>
#include <mutex>
#include <numeric>
#include <set>
#include <thread>
#include <vector>

#include "support/manual_clock.h"
#include "support/wait.h"

namespace dice {
namespace {

using test::eventually;
using State = Roll::State;
using Outcome = BatchResult::Outcome;

constexpr auto kAllOrNothing = Strategy::all_or_nothing;
constexpr auto kBestEffort = Strategy::best_effort;
constexpr auto kFirstSuccess = Strategy::first_success;

Roll rolled(std::size_t value) { return {State::succeeded, static_cast<int>(value)}; }

/// The values of the successful rolls, in index order.
std::vector<int> values(const BatchResult& result) {
  std::vector<int> all;
  for (const auto& roll : result.rolls) {
    if (roll.state == State::succeeded) all.push_back(roll.value);
  }
  return all;
}

/// Wakes all sleepers if a test ends early, so that its threads end, too.
struct Release {
  ManualClock& clock;
  ~Release() { clock.advance(Seconds(1e6)); }
};

/// Runs a batch whose roll `index` takes `delays[index]` seconds on a clock that moves in steps of one second, and
/// whose rolls in `failing` fail.
BatchResult run_timed(const BatchOptions& options, const std::vector<int>& delays, const std::set<std::size_t>& failing,
                      std::vector<std::size_t>* finished = nullptr) {
  ManualClock clock;
  ThreadPool pool({.max_threads = options.concurrency});
  std::mutex mutex;
  std::optional<BatchResult> result;
  std::vector<std::size_t> order;
  std::atomic<bool> done = false;
  std::jthread caller([&] {
    result = run_batch(options, pool, {}, [&](std::size_t index, const std::stop_token& stop, const Settle& settle) {
      const Draw drawn{Seconds(delays[index]), failing.contains(index), static_cast<int>(index)};
      const auto outcome = settle(roll(drawn, clock, stop));
      const std::lock_guard lock(mutex);
      order.push_back(index);
      return outcome;
    });
    done = true;
  });
  const Release release{clock};
  // The clock stops with the roll that decides the batch; the others must end anyway.
  auto last = *std::ranges::max_element(delays);
  for (std::size_t index = 0; index < delays.size(); ++index) {
    const bool decides = options.strategy == (failing.contains(index) ? kAllOrNothing : kFirstSuccess);
    if (decides) last = std::min(last, delays[index]);
  }
  for (int second = 1; second <= last; ++second) {
    const auto due = static_cast<std::size_t>(std::ranges::count_if(delays, [&](int d) { return d < second; }));
    REQUIRE(eventually([&] {
      const std::lock_guard lock(mutex);
      return done || (order.size() >= due && clock.sleepers() == options.times - order.size());
    }));
    if (done) break;
    clock.advance(Seconds(1));
  }
  REQUIRE(eventually([&] { return done.load(); }));
  caller.join();
  REQUIRE(result);
  if (finished != nullptr) *finished = order;
  return *result;
}

TEST_CASE("batch: exactly the requested number of rolls run concurrently") {
  struct {
    std::size_t times, concurrency;
  } const cases[] = {{1, 1}, {5, 1}, {10, 3}, {20, 20}, {12, 4}, {7, 6}};
  for (const auto& [times, concurrency] : cases) {
    CAPTURE(times);
    CAPTURE(concurrency);
    ThreadPool pool({.max_threads = 64});
    std::atomic<std::size_t> now = 0;
    std::atomic<std::size_t> most = 0;
    std::mutex mutex;
    std::set<std::thread::id> threads;
    const auto wanted = std::min(times, concurrency);
    const auto result =
        run_batch({times, concurrency}, pool, {}, [&](std::size_t index, const std::stop_token&, const Settle&) {
          const auto at_work = ++now;
          auto seen = most.load();
          while (seen < at_work && !most.compare_exchange_weak(seen, at_work)) {
          }
          {
            const std::lock_guard lock(mutex);
            threads.insert(std::this_thread::get_id());
          }
          // Each waits for all others; with fewer threads, this would not end.
          CHECK(eventually([&] { return most >= wanted; }));
          --now;
          return rolled(index);
        });
    REQUIRE(result);
    CHECK(most == wanted);
    CHECK(threads.size() == wanted);
    CHECK(pool.size() == wanted);
    CHECK(result->outcome == Outcome::success);
  }
}

TEST_CASE("batch: results are in index order, whatever order the rolls finish in") {
  std::vector<std::size_t> finished;
  const auto result = run_timed({5, 5}, {5, 3, 1, 4, 2}, {}, &finished);
  CHECK(finished == std::vector<std::size_t>{2, 4, 1, 3, 0});
  CHECK(values(result) == std::vector<int>{0, 1, 2, 3, 4});
  CHECK_FALSE(result.first_failure);
}

TEST_CASE("batch: every index is rolled exactly once") {
  for (const std::size_t concurrency : {1UL, 2UL, 7UL, 50UL}) {
    ThreadPool pool({.max_threads = 64});
    std::vector<std::atomic<int>> calls(50);
    const auto result =
        run_batch({calls.size(), concurrency}, pool, {}, [&](std::size_t index, const std::stop_token&, const Settle&) {
          ++calls[index];
          return rolled(index);
        });
    REQUIRE(result);
    CHECK(std::ranges::all_of(calls, [](const auto& count) { return count == 1; }));
    CHECK(result->count(State::succeeded) == 50);
  }
}

TEST_CASE("batch: all-or-nothing cancels the running rolls when one fails") {
  const auto result = run_timed({4, 4, kAllOrNothing}, {9, 1, 9, 9}, {1});
  CHECK(result.outcome == Outcome::failure);
  CHECK(result.count(State::failed) == 1);
  CHECK(result.count(State::cancelled) == 3);
  CHECK(result.rolls[1].state == State::failed);
  CHECK(result.first_failure == 1);
}

TEST_CASE("batch: all-or-nothing keeps the rolls that succeeded before the failure") {
  const auto result = run_timed({3, 3, kAllOrNothing}, {9, 1, 2}, {2});
  CHECK(result.rolls[1].state == State::succeeded);
  CHECK(result.rolls[0].state == State::cancelled);
  CHECK(values(result) == std::vector<int>{1});
}

TEST_CASE("batch: all-or-nothing calls rolls that had not started once, with stop requested") {
  ThreadPool pool({.max_threads = 1});
  std::vector<int> calls(20);
  std::vector<bool> stopped(20);
  const auto result = run_batch({20, 1, kAllOrNothing}, pool, {},
                                [&](std::size_t index, const std::stop_token& stop, const Settle& settle) -> Roll {
                                  ++calls[index];
                                  stopped[index] = stop.stop_requested();
                                  if (index == 3) return settle({State::failed});
                                  return stop.stop_requested() ? Roll{State::cancelled} : rolled(index);
                                });
  REQUIRE(result);
  CHECK(calls == std::vector<int>(20, 1));
  for (std::size_t i = 0; i < 20; ++i) CHECK(stopped[i] == (i > 3));
  CHECK(result->count(State::cancelled) == 16);
  CHECK(result->first_failure == 3);
}

TEST_CASE("batch: the first failure is the first in time, not the one with the smallest index") {
  ThreadPool pool({.max_threads = 2});
  std::latch one_failed(1);
  const auto result = run_batch({3, 2, kBestEffort}, pool, {},
                                [&](std::size_t index, const std::stop_token&, const Settle& settle) -> Roll {
                                  if (index == 0) one_failed.wait();
                                  if (index == 2) one_failed.count_down();  // on the thread of roll 1
                                  return settle(index == 2 ? rolled(2) : Roll{State::failed});
                                });
  REQUIRE(result);
  CHECK(result->count(State::failed) == 2);
  CHECK(result->first_failure == 1);
}

TEST_CASE("batch: best effort continues after a failure and keeps what succeeds") {
  const auto result = run_timed({5, 5, kBestEffort}, {5, 1, 3, 2, 4}, {1, 3});
  CHECK(values(result) == std::vector<int>{0, 2, 4});
  CHECK(result.count(State::failed) == 2);
  CHECK(result.count(State::cancelled) == 0);
  CHECK(result.outcome == Outcome::partial);
}

TEST_CASE("batch: best effort never requests a stop") {
  ThreadPool pool({.max_threads = 2});
  std::atomic<int> stopped = 0;
  const auto result = run_batch({10, 2, kBestEffort}, pool, {},
                                [&](std::size_t, const std::stop_token& stop, const Settle& settle) -> Roll {
                                  stopped += stop.stop_requested() ? 1 : 0;
                                  return settle({State::failed});
                                });
  REQUIRE(result);
  CHECK(stopped == 0);
  CHECK(result->count(State::failed) == 10);
  CHECK(result->outcome == Outcome::failure);
}

TEST_CASE("batch: first-success ends with the first roll that succeeds; failures before it do not end it") {
  const auto result = run_timed({5, 5, kFirstSuccess}, {3, 1, 2, 3, 3}, {1});
  CHECK(values(result) == std::vector<int>{2});
  CHECK(result.count(State::failed) == 1);
  CHECK(result.count(State::cancelled) == 3);
  CHECK(result.outcome == Outcome::success);
}

TEST_CASE("batch: first-success counts one success even when all succeed at the same time") {
  ThreadPool pool({.max_threads = 8});
  for (int i = 0; i < 200; ++i) {
    std::latch all_here(8);
    const auto result = run_batch({8, 8, kFirstSuccess}, pool, {},
                                  [&](std::size_t index, const std::stop_token&, const Settle& settle) {
                                    all_here.arrive_and_wait();
                                    return settle(rolled(index));
                                  });
    REQUIRE(result);
    CHECK(result->count(State::succeeded) == 1);
    CHECK(result->count(State::cancelled) == 7);
    CHECK(result->outcome == Outcome::success);
  }
}

TEST_CASE("batch: first-success fails when every roll fails") {
  const auto result = run_timed({3, 3, kFirstSuccess}, {1, 2, 3}, {0, 1, 2});
  CHECK(result.outcome == Outcome::failure);
  CHECK(result.count(State::failed) == 3);
  CHECK(result.first_failure == 0);
}

TEST_CASE("batch: a batch stopped from outside counts as cancelled, unless a roll had decided it") {
  for (const bool fails : {false, true}) {
    ThreadPool pool({.max_threads = 2});
    std::stop_source outside;
    const auto result = run_batch({2, 1, kAllOrNothing}, pool, outside.get_token(),
                                  [&](std::size_t index, const std::stop_token& stop, const Settle& settle) -> Roll {
                                    if (index == 0 && fails) return settle({State::failed});
                                    outside.request_stop();
                                    CHECK(stop.stop_requested());
                                    return settle({State::cancelled});
                                  });
    REQUIRE(result);
    CHECK(result->outcome == (fails ? Outcome::failure : Outcome::cancelled));
  }
}

TEST_CASE("batch: without enough free threads nothing is rolled") {
  ThreadPool pool({.max_threads = 4});
  std::latch running(2);
  std::latch release(1);
  std::jthread other([&] {
    CHECK(pool.try_run_on_each(2, [&] {
      running.count_down();
      release.wait();
    }));
  });
  running.wait();
  std::atomic<int> calls = 0;
  const auto count = [&](std::size_t index, const std::stop_token&, const Settle&) {
    ++calls;
    return rolled(index);
  };
  CHECK_FALSE(run_batch({3, 3}, pool, {}, count));
  CHECK(calls == 0);
  CHECK(run_batch({3, 2}, pool, {}, count));
  CHECK(calls == 3);
  release.count_down();
}

TEST_CASE("batch: when it returns, its threads are free for the next one") {
  ThreadPool pool({.max_threads = 4});
  int refused = 0;
  for (int i = 0; i < 500; ++i) {
    const auto result = run_batch(
        {4, 4}, pool, {}, [](std::size_t index, const std::stop_token&, const Settle&) { return rolled(index); });
    refused += result ? 0 : 1;
  }
  CHECK(refused == 0);
  CHECK(pool.size() <= 4);
}

TEST_CASE("batch: batches one after another use the same threads") {
  ThreadPool pool({.max_threads = 64});
  for (int i = 0; i < 500; ++i) {
    REQUIRE(run_batch({4, 4}, pool, {},
                      [](std::size_t index, const std::stop_token&, const Settle&) { return rolled(index); }));
  }
  CHECK(pool.size() == 4);
}

TEST_CASE("batch: two concurrent batches share no thread") {
  ThreadPool pool({.max_threads = 6});
  std::mutex mutex;
  std::set<std::thread::id> threads[2];
  std::atomic<int> at_work = 0;
  const auto run = [&](std::size_t which) {
    const auto result =
        run_batch({3, 3}, pool, {}, [&, which](std::size_t index, const std::stop_token&, const Settle&) {
          {
            const std::lock_guard lock(mutex);
            threads[which].insert(std::this_thread::get_id());
          }
          ++at_work;
          CHECK(eventually([&] { return at_work == 6; }));  // both batches are running completely
          return rolled(index);
        });
    CHECK(result);
  };
  {
    const std::jthread first(run, 0);
    const std::jthread second(run, 1);
  }
  CHECK(threads[0].size() == 3);
  CHECK(threads[1].size() == 3);
  threads[0].merge(threads[1]);
  CHECK(threads[0].size() == 6);
}

TEST_CASE("batch: N rolls on N threads take as long as the longest, on one thread as long as their sum") {
  const std::vector<int> delays = {1, 2, 3, 4};
  for (const bool parallel : {true, false}) {
    ManualClock clock;
    ThreadPool pool({.max_threads = 4});
    const auto start = clock.now();
    TimePoint end;
    std::atomic<bool> done = false;
    std::jthread caller([&] {
      CHECK(run_batch({4, parallel ? 4UL : 1UL}, pool, {},
                      [&](std::size_t index, const std::stop_token& stop, const Settle& settle) {
                        return settle(roll({Seconds(delays[index]), false, 1}, clock, stop));
                      }));
      end = clock.now();
      done = true;
    });
    const Release release{clock};
    const int expected = parallel ? 4 : 10;
    for (int second = 0; second < expected; ++second) {
      const auto longer = static_cast<std::size_t>(std::ranges::count_if(delays, [&](int d) { return d > second; }));
      REQUIRE(clock.wait_for_sleepers(parallel ? longer : 1));
      CHECK_FALSE(done);
      clock.advance(Seconds(1));
    }
    REQUIRE(eventually([&] { return done.load(); }));
    caller.join();
    CHECK(end - start == std::chrono::seconds(expected));
  }
}

}  // namespace
}  // namespace dice

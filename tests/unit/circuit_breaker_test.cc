#include "common/concurrency/circuit_breaker.h"

#include <doctest/doctest.h>

#include <atomic>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

namespace dice {
namespace {

using State = CircuitBreaker::State;

constexpr TimePoint kStart{std::chrono::hours(5)};

TimePoint after(double seconds) { return kStart + to_steady(Seconds(seconds)); }

/// A breaker that three failures open for two seconds.
CircuitBreaker::Options three() { return {.failures = 3, .pause = Seconds(2)}; }

CircuitBreaker::Ticket ask(CircuitBreaker& breaker, TimePoint now) {
  auto ticket = breaker.try_acquire(now);
  REQUIRE(ticket);
  return std::move(*ticket);
}

void fail(CircuitBreaker& breaker, int times, TimePoint now = kStart) {
  for (int i = 0; i < times; ++i) (void)ask(breaker, now).failed(now);
}

TEST_CASE("circuit breaker: allows calls until the limit of consecutive failures, then none") {
  CircuitBreaker breaker(three());
  CHECK(breaker.state() == State::closed);
  fail(breaker, 2);
  CHECK(breaker.state() == State::closed);
  fail(breaker, 1);
  CHECK(breaker.state() == State::open);
  CHECK_FALSE(breaker.try_acquire(kStart));
  CHECK_FALSE(breaker.try_acquire(after(1.999)));
}

TEST_CASE("circuit breaker: a success between failures starts the count again") {
  CircuitBreaker breaker(three());
  fail(breaker, 2);
  CHECK_FALSE(ask(breaker, kStart).succeeded());
  fail(breaker, 2);
  CHECK(breaker.state() == State::closed);
  fail(breaker, 1);
  CHECK(breaker.state() == State::open);
}

TEST_CASE("circuit breaker: after the pause, one call is the probe, and others are blocked until it ends") {
  CircuitBreaker breaker(three());
  fail(breaker, 3);
  auto probe = ask(breaker, after(2));
  CHECK(breaker.state() == State::half_open);
  CHECK_FALSE(breaker.try_acquire(after(2)));
  CHECK_FALSE(breaker.try_acquire(after(1000)));
  CHECK(std::move(probe).succeeded());
  CHECK(breaker.state() == State::closed);
  const auto one = ask(breaker, after(1000));
  const auto other = ask(breaker, after(1000));
}

TEST_CASE("circuit breaker: a failed probe opens it for another full pause") {
  CircuitBreaker breaker(three());
  fail(breaker, 3);
  CHECK(ask(breaker, after(5)).failed(after(6)));
  CHECK(breaker.state() == State::open);
  CHECK_FALSE(breaker.try_acquire(after(7.9)));
  const auto probe = ask(breaker, after(8));
  CHECK_FALSE(breaker.try_acquire(after(8)));
}

TEST_CASE("circuit breaker: after it has closed, it takes the full number of failures to open again") {
  CircuitBreaker breaker(three());
  fail(breaker, 3);
  CHECK(ask(breaker, after(2)).succeeded());
  fail(breaker, 2, after(3));
  CHECK(breaker.state() == State::closed);
}

TEST_CASE("circuit breaker: a late success of an old call does not close it") {
  CircuitBreaker breaker(three());
  auto slow = ask(breaker, kStart);
  fail(breaker, 3);
  CHECK_FALSE(std::move(slow).succeeded());
  CHECK(breaker.state() == State::open);
  CHECK_FALSE(breaker.try_acquire(after(1)));
}

TEST_CASE("circuit breaker: the result of an old call does not replace the probe's") {
  for (const bool well : {true, false}) {
    CircuitBreaker breaker(three());
    auto slow = ask(breaker, kStart);
    fail(breaker, 3);
    auto probe = ask(breaker, after(2));
    CHECK_FALSE((well ? std::move(slow).succeeded() : std::move(slow).failed(after(2))));
    CHECK(breaker.state() == State::half_open);
    CHECK_FALSE(breaker.try_acquire(after(2)));
    CHECK(std::move(probe).succeeded());
    CHECK(breaker.state() == State::closed);
  }
}

TEST_CASE("circuit breaker: a cancelled probe has no result and allows another probe") {
  CircuitBreaker breaker(three());
  fail(breaker, 3);
  {
    const auto given_up = ask(breaker, after(2));
  }
  CHECK(breaker.state() == State::half_open);
  CHECK(ask(breaker, after(2)).succeeded());
  CHECK(breaker.state() == State::closed);
}

TEST_CASE("circuit breaker: cancelled calls are neither failures nor successes") {
  CircuitBreaker breaker(three());
  fail(breaker, 2);
  for (int i = 0; i < 10; ++i) (void)ask(breaker, kStart);
  CHECK(breaker.state() == State::closed);
  fail(breaker, 1);
  CHECK(breaker.state() == State::open);
}

TEST_CASE("circuit breaker: late failures of old calls do not extend the pause") {
  CircuitBreaker breaker(three());
  auto slow = ask(breaker, kStart);
  fail(breaker, 3);
  CHECK_FALSE(std::move(slow).failed(after(1.5)));
  CHECK(breaker.try_acquire(after(2)));
}

TEST_CASE("circuit breaker: one failure may be enough, and 0 means never") {
  CircuitBreaker touchy({.failures = 1, .pause = Seconds(2)});
  fail(touchy, 1);
  CHECK(touchy.state() == State::open);
  CircuitBreaker off({.failures = 0, .pause = Seconds(2)});
  fail(off, 1000);
  CHECK(off.state() == State::closed);
}

TEST_CASE("circuit breaker: the metric's values are 0 closed, 1 half-open, 2 open") {
  CHECK(static_cast<int>(State::closed) == 0);
  CHECK(static_cast<int>(State::half_open) == 1);
  CHECK(static_cast<int>(State::open) == 2);
}

TEST_CASE("circuit breaker: of many concurrent callers, one is the probe") {
  CircuitBreaker breaker(three());
  fail(breaker, 3);
  std::atomic<int> allowed = 0;
  {
    std::vector<std::jthread> threads;
    std::vector<std::optional<CircuitBreaker::Ticket>> tickets;
    for (int i = 0; i < 8; ++i) tickets.emplace_back(std::nullopt);
    for (auto& ticket : tickets) {
      threads.emplace_back([&] {
        if (auto mine = breaker.try_acquire(after(2))) {
          ++allowed;
          ticket.emplace(std::move(*mine));
        }
      });
    }
    for (auto& thread : threads) thread.join();
  }
  CHECK(allowed == 1);
}

}  // namespace
}  // namespace dice

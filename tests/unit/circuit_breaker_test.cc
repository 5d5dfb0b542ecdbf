#include "common/concurrency/circuit_breaker.h"

#include <doctest/doctest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace dice {
namespace {

using State = CircuitBreaker::State;

constexpr TimePoint kStart{std::chrono::hours(5)};

TimePoint after(double seconds) { return kStart + to_steady(Seconds(seconds)); }

/// Three failures open it, for two seconds.
CircuitBreaker::Options three() { return {.failures = 3, .pause = Seconds(2)}; }

void fail(CircuitBreaker& breaker, int times, TimePoint now = kStart) {
  for (int i = 0; i < times; ++i) {
    CHECK(breaker.allow(now));
    breaker.failed(now);
  }
}

TEST_CASE("circuit breaker: lets calls through until so many have failed in a row, then none") {
  CircuitBreaker breaker(three());
  CHECK(breaker.state() == State::closed);
  fail(breaker, 2);
  CHECK(breaker.state() == State::closed);
  fail(breaker, 1);
  CHECK(breaker.state() == State::open);
  CHECK_FALSE(breaker.allow(kStart));
  CHECK_FALSE(breaker.allow(after(1.999)));
}

TEST_CASE("circuit breaker: a success between failures starts the count again") {
  CircuitBreaker breaker(three());
  fail(breaker, 2);
  CHECK(breaker.allow(kStart));
  breaker.succeeded();
  fail(breaker, 2);
  CHECK(breaker.state() == State::closed);
  fail(breaker, 1);
  CHECK(breaker.state() == State::open);
}

TEST_CASE("circuit breaker: after the pause one call is the probe, the others wait for its end") {
  CircuitBreaker breaker(three());
  fail(breaker, 3);
  CHECK(breaker.allow(after(2)));
  CHECK(breaker.state() == State::half_open);
  CHECK_FALSE(breaker.allow(after(2)));
  CHECK_FALSE(breaker.allow(after(1000)));
  breaker.succeeded();
  CHECK(breaker.state() == State::closed);
  CHECK(breaker.allow(after(1000)));
  CHECK(breaker.allow(after(1000)));
}

TEST_CASE("circuit breaker: a probe that fails opens it for a whole pause more") {
  CircuitBreaker breaker(three());
  fail(breaker, 3);
  REQUIRE(breaker.allow(after(5)));
  breaker.failed(after(6));
  CHECK(breaker.state() == State::open);
  CHECK_FALSE(breaker.allow(after(7.9)));
  CHECK(breaker.allow(after(8)));
  CHECK_FALSE(breaker.allow(after(8)));
}

TEST_CASE("circuit breaker: closed again, it takes the full number of failures to open") {
  CircuitBreaker breaker(three());
  fail(breaker, 3);
  REQUIRE(breaker.allow(after(2)));
  breaker.succeeded();
  fail(breaker, 2, after(3));
  CHECK(breaker.state() == State::closed);
}

TEST_CASE("circuit breaker: a late success of an old call does not close it") {
  CircuitBreaker breaker(three());
  REQUIRE(breaker.allow(kStart));  // the slow one
  fail(breaker, 3);
  breaker.succeeded();
  CHECK(breaker.state() == State::open);
  CHECK_FALSE(breaker.allow(after(1)));
}

TEST_CASE("circuit breaker: late failures of old calls do not make the pause longer") {
  CircuitBreaker breaker(three());
  REQUIRE(breaker.allow(kStart));
  fail(breaker, 3);
  breaker.failed(after(1.5));
  CHECK(breaker.allow(after(2)));
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

TEST_CASE("circuit breaker: of many threads that ask at once, one is the probe") {
  CircuitBreaker breaker(three());
  fail(breaker, 3);
  std::atomic<int> allowed = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 8; ++i) threads.emplace_back([&] { allowed += breaker.allow(after(2)) ? 1 : 0; });
  }
  CHECK(allowed == 1);
}

}  // namespace
}  // namespace dice

#include "common/http/faults.h"

#include <doctest/doctest.h>

#include <atomic>
#include <cmath>
#include <thread>
#include <vector>

#include "support/manual_clock.h"

namespace dice {
namespace {

const SteadyClock kClock;

TEST_CASE("faults: none by default") {
  Faults faults(kClock);
  CHECK_FALSE(faults.get().active());
  for (int i = 0; i < 100; ++i) {
    const auto fault = faults.next();
    CHECK_FALSE(fault.active);
    CHECK_FALSE(fault.fails);
    CHECK(fault.delay == Seconds(0));
  }
}

TEST_CASE("faults: errors are spread evenly: exactly every n-th request") {
  struct {
    double rate;
    int every;
  } const cases[] = {{0.1, 10}, {0.25, 4}, {0.5, 2}, {0.01, 100}, {1, 1}, {1.0 / 3, 3}};
  for (const auto& [rate, every] : cases) {
    CAPTURE(rate);
    Faults faults(kClock);
    faults.set({.delay_seconds = 0, .error_rate = rate});
    for (int request = 1; request <= 10'000; ++request) {
      CAPTURE(request);
      const auto fault = faults.next();
      REQUIRE(fault.active);
      REQUIRE(fault.fails == (request % every == 0));
    }
  }
}

TEST_CASE("faults: any other rate is exact at every moment, too") {
  for (const double rate : {0.3, 0.7, 0.99, 0.123}) {
    CAPTURE(rate);
    Faults faults(kClock);
    faults.set({.delay_seconds = 0, .error_rate = rate});
    int failed = 0;
    for (int request = 1; request <= 10'000; ++request) {
      failed += faults.next().fails ? 1 : 0;
      REQUIRE(std::abs(failed - request * rate) <= 1.000001);
    }
  }
}

TEST_CASE("faults: a delay alone delays every request and fails none") {
  Faults faults(kClock);
  faults.set({.delay_seconds = 0.5, .error_rate = 0});
  for (int i = 0; i < 1000; ++i) {
    const auto fault = faults.next();
    CHECK(fault.active);
    CHECK(fault.delay == Seconds(0.5));
    CHECK_FALSE(fault.fails);
  }
}

TEST_CASE("faults: the setting can be read, and zeros disable it") {
  Faults faults(kClock);
  faults.set({.delay_seconds = 0.5, .error_rate = 0.1});
  CHECK(faults.get().active());
  CHECK(faults.get().delay_seconds == 0.5);
  CHECK(faults.get().error_rate == 0.1);
  faults.set({});
  CHECK_FALSE(faults.get().active());
  CHECK_FALSE(faults.next().active);
}

TEST_CASE("faults: a new setting starts its own count") {
  Faults faults(kClock);
  faults.set({.delay_seconds = 0, .error_rate = 0.5});
  CHECK_FALSE(faults.next().fails);
  faults.set({.delay_seconds = 0, .error_rate = 0.5});
  CHECK_FALSE(faults.next().fails);
  CHECK(faults.next().fails);
}

TEST_CASE("faults: unavailable fails every request") {
  Faults faults(kClock);
  faults.set({.unavailable = true});
  CHECK(faults.get().unavailable);
  for (int i = 0; i < 10; ++i) {
    const auto fault = faults.next();
    CHECK(fault.active);
    CHECK(fault.fails);
    CHECK(fault.unavailable);
  }
  faults.set({.delay_seconds = 1});
  CHECK_FALSE(faults.next().unavailable);
}

TEST_CASE("faults: a limited setting ends by itself") {
  ManualClock clock;
  Faults faults(clock);
  faults.set({.error_rate = 1, .remaining = Seconds(10)});
  CHECK(faults.get().remaining == Seconds(10));
  clock.advance(Seconds(9.5));
  CHECK(faults.next().fails);
  CHECK(faults.get().remaining == Seconds(0.5));
  clock.advance(Seconds(0.5));
  CHECK_FALSE(faults.next().active);
  CHECK_FALSE(faults.get().active());
  CHECK_FALSE(faults.get().remaining);

  faults.set({.error_rate = 1});
  clock.advance(Seconds(1e6));
  CHECK(faults.next().fails);
  CHECK_FALSE(faults.get().remaining);
  faults.set({.remaining = Seconds(10)});  // nothing that would last
  CHECK_FALSE(faults.get().remaining);
}

TEST_CASE("faults: the rate is exact with many threads") {
  Faults faults(kClock);
  faults.set({.delay_seconds = 0, .error_rate = 0.25});
  std::atomic<int> failed = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        for (int request = 0; request < 1000; ++request) failed += faults.next().fails ? 1 : 0;
      });
    }
  }
  CHECK(failed == 1000);
}

}  // namespace
}  // namespace dice

#include "common/concurrency/admission.h"

#include <doctest/doctest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace dice {
namespace {

constexpr TimePoint kStart{std::chrono::hours(5)};

TimePoint after(double seconds) { return kStart + to_steady(Seconds(seconds)); }

/// Number of requests admitted out of `tries` at the same time.
int admitted(RateLimit& limit, int tries, TimePoint now) {
  int count = 0;
  for (int i = 0; i < tries; ++i) count += limit.try_acquire(now) ? 1 : 0;
  return count;
}

TEST_CASE("admission: work is admitted exactly up to the limit") {
  Admission admission(10);
  const auto seven = admission.try_acquire(7);
  REQUIRE(seven);
  CHECK_FALSE(admission.try_acquire(4));
  const auto three = admission.try_acquire(3);
  REQUIRE(three);
  CHECK_FALSE(admission.try_acquire(1));
  CHECK(admission.in_use() == 10);
}

TEST_CASE("admission: a rejection acquires nothing") {
  Admission admission(10);
  CHECK_FALSE(admission.try_acquire(11));
  CHECK_FALSE(admission.try_acquire(static_cast<std::size_t>(-1)));
  CHECK(admission.in_use() == 0);
  CHECK(admission.try_acquire(10));
}

TEST_CASE("admission: a ticket returns its units once, by release or when destroyed") {
  Admission admission(4);
  {
    auto first = admission.try_acquire(3);
    const auto second = admission.try_acquire(1);
    REQUIRE(first);
    REQUIRE(second);
    first->release();
    CHECK(admission.in_use() == 1);
    first->release();
    CHECK(admission.in_use() == 1);
  }
  CHECK(admission.in_use() == 0);
}

TEST_CASE("admission: a moved-from ticket returns nothing") {
  Admission admission(4);
  auto ticket = admission.try_acquire(2);
  REQUIRE(ticket);
  {
    const Admission::Ticket moved = std::move(*ticket);
    ticket.reset();
    CHECK(admission.in_use() == 2);
  }
  CHECK(admission.in_use() == 0);
}

TEST_CASE("admission: the limit is exact and nothing leaks with many threads") {
  constexpr std::size_t kLimit = 5;
  Admission admission(kLimit);
  std::atomic<std::size_t> held = 0;
  std::atomic<bool> exceeded = false;
  {
    std::vector<std::jthread> threads;
    for (std::size_t units = 1; units <= 4; ++units) {
      threads.emplace_back([&, units] {
        for (int i = 0; i < 2000; ++i) {
          const auto ticket = admission.try_acquire(units);
          if (!ticket) continue;
          if (held.fetch_add(units) + units > kLimit) exceeded = true;
          held.fetch_sub(units);
        }
      });
    }
  }
  CHECK_FALSE(exceeded);
  CHECK(admission.in_use() == 0);
}

TEST_CASE("rate limit: a burst of one second's worth, then at the rate") {
  RateLimit limit(10);
  CHECK(admitted(limit, 50, kStart) == 10);
  CHECK_FALSE(limit.try_acquire(after(0.09)));
  CHECK(limit.try_acquire(after(0.1)));
  CHECK_FALSE(limit.try_acquire(after(0.1)));
  CHECK(admitted(limit, 50, after(0.4)) == 3);
}

TEST_CASE("rate limit: unused capacity is kept for one second only") {
  RateLimit limit(10);
  CHECK(admitted(limit, 50, kStart) == 10);
  CHECK(admitted(limit, 50, after(3600)) == 10);
}

TEST_CASE("rate limit: rejected requests do not count") {
  RateLimit limit(10);
  CHECK(admitted(limit, 10, kStart) == 10);
  CHECK(admitted(limit, 1000, kStart) == 0);
  CHECK(limit.try_acquire(after(0.1)));
}

TEST_CASE("rate limit: the average over a long time is the rate") {
  RateLimit limit(3);
  int count = 0;
  for (int i = 0; i < 10'000; ++i) count += limit.try_acquire(after(i * 0.01)) ? 1 : 0;  // 100 a second for 100 s
  CHECK(count >= 300);
  CHECK(count <= 303);
}

TEST_CASE("rate limit: below one per second, the first is admitted immediately and the next after the interval") {
  RateLimit limit(0.5);
  CHECK(admitted(limit, 5, kStart) == 1);
  CHECK_FALSE(limit.try_acquire(after(1.9)));
  CHECK(limit.try_acquire(after(2)));
}

TEST_CASE("rate limit: 0 = no limit") {
  RateLimit limit(0);
  CHECK(admitted(limit, 100'000, kStart) == 100'000);
}

}  // namespace
}  // namespace dice

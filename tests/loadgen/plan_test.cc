#include "loadgen/traffic/plan.h"

#include <doctest/doctest.h>

#include <set>

using namespace dice::loadgen;
using dice::Seconds;

TEST_CASE("the same seed and user send the same requests, others different ones") {
  const Mix mix{.dice = {"fair", "risky"}};
  const auto paths = [&mix](std::uint64_t seed, std::uint64_t user) {
    Plan plan(mix, seed, user);
    std::string all;
    for (int i = 0; i < 20; ++i) all += plan.next()->path() + " ";
    return all;
  };
  CHECK(paths(1, 2) == paths(1, 2));
  CHECK(paths(1, 2) != paths(1, 3));
  CHECK(paths(1, 2) != paths(2, 2));
}

TEST_CASE("the mix") {
  const Mix mix{.dice = {"fair", "risky"}, .async_probability = 0.3, .max_batch = 10};
  Plan plan(mix, 7, 0);
  int batches = 0;
  std::set<std::string> dice;
  std::set<dice::Strategy> strategies;
  std::set<int> sizes;
  constexpr int kRequests = 10'000;
  for (int i = 0; i < kRequests; ++i) {
    const auto request = plan.next();
    REQUIRE(request);
    dice.insert(request->die);
    if (!request->times) continue;
    ++batches;
    strategies.insert(request->strategy.value());
    sizes.insert(*request->times);
  }
  CHECK(batches == doctest::Approx(0.3 * kRequests).epsilon(0.05));
  CHECK(dice.size() == 2);
  CHECK(strategies.size() == dice::kStrategies.size());
  CHECK(sizes.size() == 10);
  CHECK(*sizes.begin() == 1);
  const Mix list{.list_only = true};
  CHECK_FALSE(Plan(list, 7, 0).next());
}

TEST_CASE("each request has the next seed; after the highest comes 0") {
  CHECK(nth_roll_seed(7, 0) == 7);
  CHECK(nth_roll_seed(7, 3) == 10);
  CHECK(nth_roll_seed(dice::kMaxRollSeed, 0) == dice::kMaxRollSeed);
  CHECK(nth_roll_seed(dice::kMaxRollSeed, 2) == 1);
  CHECK(nth_roll_seed(dice::kMaxRollSeed, UINT64_MAX) == dice::kMaxRollSeed - 1);
}

TEST_CASE("the parts of a run share all numbers, without overlap") {
  for (const std::uint64_t total : {0U, 1U, 3U, 4U, 7U, 100U}) {
    std::multiset<std::uint64_t> shared;
    for (std::uint64_t index = 0; index < 4; ++index) {
      const Part part{index, 4};
      for (std::uint64_t n = 0; n < part.count(total); ++n) shared.insert(part.nth(n));
      CHECK(part.nth(part.count(total)) >= total);
    }
    CHECK(shared.size() == total);
    CHECK(std::set(shared.begin(), shared.end()).size() == total);
    if (total > 0) CHECK(*shared.rbegin() == total - 1);
  }
  CHECK(Part().nth(5) == 5);
  CHECK(Part().count(5) == 5);
}

TEST_CASE("an open loop at a steady rate") {
  const Schedule schedule(1000, Seconds(0));
  CHECK(schedule.due(0) == Seconds(0));
  CHECK(schedule.due(1500).count() == doctest::Approx(1.5));
  CHECK(schedule.count(Seconds(30)) == 30'000);
}

TEST_CASE("an open loop reaches its rate at the end of the ramp") {
  const Schedule schedule(100, Seconds(10));
  CHECK(schedule.due(0) == Seconds(0));
  CHECK(schedule.count(Seconds(10)) == 500);
  CHECK(schedule.due(500).count() == doctest::Approx(10));
  CHECK(schedule.due(600).count() == doctest::Approx(11));
  CHECK(schedule.count(Seconds(20)) == 1500);
  for (std::uint64_t i = 0; i < 1000; ++i) CHECK(schedule.due(i) < schedule.due(i + 1));
}

#include "common/concurrency/single_flight.h"

#include <doctest/doctest.h>

#include <atomic>
#include <stdexcept>
#include <thread>
#include <vector>

#include "support/wait.h"

namespace dice {
namespace {

TEST_CASE("single flight: consecutive calls each have their own run") {
  SingleFlight<int> flight;
  int runs = 0;
  for (int i = 1; i <= 3; ++i) CHECK(*flight.run([&] { return ++runs; }) == i);
}

TEST_CASE("single flight: calls during a run share the next run, so no result is older than its call") {
  SingleFlight<int> flight;
  std::atomic<int> runs = 0;
  std::atomic<int> called = 0;
  std::atomic<bool> go_on = false;
  const auto make = [&] {
    const int number = ++runs;
    if (number == 1) CHECK(test::eventually([&] { return go_on.load(); }));
    return number;
  };
  int first = 0;
  std::vector<int> others(20);
  {
    std::vector<std::jthread> threads;
    threads.emplace_back([&] { first = *flight.run(make); });
    REQUIRE(test::eventually([&] { return runs == 1; }));
    for (auto& other : others) {
      threads.emplace_back([&] {
        ++called;
        other = *flight.run(make);
      });
    }
    REQUIRE(test::eventually([&] { return called == 20; }));
    go_on = true;
  }
  CHECK(first == 1);
  for (const int other : others) CHECK(other >= 2);
  CHECK(runs <= 21);
}

TEST_CASE("single flight: an exception reaches only the caller that ran it; waiting callers run again") {
  SingleFlight<int> flight;
  CHECK_THROWS_AS(flight.run([]() -> int { throw std::runtime_error("no"); }), std::runtime_error);
  CHECK(*flight.run([] { return 7; }) == 7);
}

}  // namespace
}  // namespace dice

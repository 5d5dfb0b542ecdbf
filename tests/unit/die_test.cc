#include "dice-roller/die.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <thread>
#include <tuple>
#include <vector>

#include "support/manual_clock.h"

namespace dice {
namespace {

constexpr std::uint64_t kSeed = 20240229;

const Die kFair{"fair", {1, 2, 3, 4, 5, 6}, 0};
const Die kRisky{"risky", {1, 2, 3, 4, 5, 6}, 0.3};
const RollDelay kDelay{Seconds(0.25), Seconds(1.5)};

Draw draw_of(const Die& die, std::uint64_t seed, std::uint64_t request, std::uint64_t index) {
  Random random({.seed = seed, .request = request}, index);
  return draw(die, kDelay, random);
}

auto parts(const Draw& drawn) { return std::tuple(drawn.delay, drawn.fails, drawn.value); }

/// Pearson's chi-square of counts that should be equal.
double chi_square(const std::vector<int>& counts) {
  double total = 0;
  for (const int count : counts) total += count;
  const double expected = total / static_cast<double>(counts.size());
  double sum = 0;
  for (const int count : counts) sum += (count - expected) * (count - expected) / expected;
  return sum;
}

std::string die_json(const std::string& faces, const std::string& error_rate) {
  return R"({"identifier":"x","specification":{"faces":)" + faces + R"(,"error_rate":)" + error_rate + "}}";
}

TEST_CASE("die: a seed makes faces, failures and delays repeatable") {
  bool other_seed_differs = false;
  for (std::uint64_t i = 0; i < 100; ++i) {
    CHECK(parts(draw_of(kRisky, kSeed, i, i)) == parts(draw_of(kRisky, kSeed, i, i)));
    other_seed_differs |= parts(draw_of(kRisky, kSeed, i, i)) != parts(draw_of(kRisky, kSeed + 1, i, i));
  }
  CHECK(other_seed_differs);
}

TEST_CASE("die: the results of a seed are the same on every machine and in every version") {
  // SplitMix64's published test vector for seed 1234567.
  Random random(1234567);
  for (const auto expected : {6457827717110365317ULL, 3203168211198807973ULL, 9817491932198370423ULL,
                              4593380528125082431ULL, 16408922859458223821ULL}) {
    CHECK(random() == expected);
  }
}

TEST_CASE("die: a roll's result does not depend on other rolls, and no two rolls use the same random numbers") {
  std::map<double, int> delays;
  for (std::uint64_t request = 0; request < 40; ++request) {
    for (std::uint64_t index = 0; index < 40; ++index) ++delays[draw_of(kFair, kSeed, request, index).delay.count()];
  }
  CHECK(delays.size() == 1600);  // request and index are not interchangeable
  const auto alone = draw_of(kFair, kSeed, 7, 3);
  (void)draw_of(kFair, kSeed, 7, 2);
  CHECK(parts(draw_of(kFair, kSeed, 7, 3)) == parts(alone));
}

TEST_CASE("die: other dice have the same delays, and every failure of a die is one of a die that fails more often") {
  const Die many{"many", std::vector<int>(1000, 7), 0};
  const Die worse{"worse", {1}, 0.6};
  for (std::uint64_t i = 0; i < 200; ++i) {
    const auto drawn = draw_of(kRisky, kSeed, 0, i);
    for (const auto* die : {&kFair, &many, &worse}) CHECK(draw_of(*die, kSeed, 0, i).delay == drawn.delay);
    CHECK(draw_of(kFair, kSeed, 0, i).value == drawn.value);
    if (drawn.fails) CHECK(draw_of(worse, kSeed, 0, i).fails);
  }
}

TEST_CASE("die: all faces are equally likely, across requests and within a batch") {
  constexpr double kCritical = 20.515;  // chi-square, 5 degrees of freedom, p = 0.001
  for (const bool batch : {true, false}) {
    std::vector<int> counts(6);
    for (std::uint64_t i = 0; i < 60'000; ++i) {
      const auto value = draw_of(kFair, kSeed, batch ? i / 20 : i, batch ? i % 20 : 0).value;
      REQUIRE(value >= 1);
      REQUIRE(value <= 6);
      ++counts[static_cast<std::size_t>(value - 1)];
    }
    CHECK(chi_square(counts) < kCritical);
  }
}

TEST_CASE("die: a repeated face is twice as likely; any whole numbers are allowed") {
  const Die odd{"odd", {-5, 1000, 1000}, 0};
  int thousands = 0;
  for (std::uint64_t i = 0; i < 30'000; ++i) {
    const auto value = draw_of(odd, kSeed, i, 0).value;
    REQUIRE((value == -5 || value == 1000));
    thousands += value == 1000 ? 1 : 0;
  }
  CHECK(thousands > 19'600);
  CHECK(thousands < 20'400);
}

TEST_CASE("die: error_rate is the fraction that fails; 0 never, 1 always") {
  const auto failures = [](double rate) {
    const Die die{"x", {1}, rate};
    int count = 0;
    for (std::uint64_t i = 0; i < 20'000; ++i) count += draw_of(die, kSeed, i, 0).fails ? 1 : 0;
    return count;
  };
  CHECK(failures(0) == 0);
  CHECK(failures(1) == 20'000);
  const int third = failures(0.3);  // 6000, standard deviation 65
  CHECK(third > 5'740);
  CHECK(third < 6'260);
}

TEST_CASE("die: delays are uniformly distributed between the bounds") {
  constexpr double kCritical = 27.877;  // 9 degrees of freedom, p = 0.001
  std::vector<int> tenths(10);
  for (std::uint64_t i = 0; i < 20'000; ++i) {
    const auto delay = draw_of(kFair, kSeed, i, 0).delay;
    REQUIRE(delay >= kDelay.min);
    REQUIRE(delay <= kDelay.max);
    ++tenths[static_cast<std::size_t>((delay - kDelay.min) / (kDelay.max - kDelay.min) * 10)];
  }
  CHECK(chi_square(tenths) < kCritical);
}

TEST_CASE("die: equal bounds are a fixed delay, two zeros none") {
  Random random(kSeed);
  CHECK(draw(kFair, {Seconds(2), Seconds(2)}, random).delay == Seconds(2));
  CHECK(draw(kFair, {Seconds(0), Seconds(0)}, random).delay == Seconds(0));
}

TEST_CASE("die: delay, failure and face are independent") {
  const Die coin{"coin", {0, 1}, 0.5};
  std::vector<int> counts(8);
  for (std::uint64_t i = 0; i < 40'000; ++i) {
    Random random({.seed = kSeed, .request = i}, 0);
    const auto drawn = draw(coin, {Seconds(0), Seconds(1)}, random);
    ++counts[(drawn.fails ? 4U : 0U) + (drawn.value == 1 ? 2U : 0U) + (drawn.delay >= Seconds(0.5) ? 1U : 0U)];
  }
  CHECK(chi_square(counts) < 24.322);  // 7 degrees of freedom, p = 0.001
}

TEST_CASE("die: a roll waits for its delay, then succeeds or fails") {
  ManualClock clock;
  for (const bool fails : {false, true}) {
    Roll result;
    std::jthread thread([&] { result = roll({Seconds(3), fails, 4}, clock, {}); });
    REQUIRE(clock.wait_for_sleepers(1));
    clock.advance(Seconds(2.9));
    CHECK(clock.sleepers() == 1);
    clock.advance(Seconds(0.1));
    thread.join();
    CHECK(result.state == (fails ? Roll::State::failed : Roll::State::succeeded));
    if (!fails) CHECK(result.value == 4);
  }
}

TEST_CASE("die: a stopped roll is cancelled immediately, even before it starts or if it would have failed") {
  ManualClock clock;
  std::stop_source stop;
  Roll result{Roll::State::succeeded, 6};
  std::jthread thread([&] { result = roll({Seconds(3), true, 4}, clock, stop.get_token()); });
  REQUIRE(clock.wait_for_sleepers(1));
  stop.request_stop();
  thread.join();
  CHECK(result.state == Roll::State::cancelled);
  CHECK(roll({Seconds(3), false, 4}, clock, stop.get_token()).state == Roll::State::cancelled);
}

TEST_CASE("die: the real clock sleeps, and wakes up on a stop request") {
  SteadyClock clock;
  const auto start = clock.now();
  CHECK(clock.sleep(Seconds(0.002), {}));
  CHECK(clock.now() - start >= std::chrono::milliseconds(2));
  CHECK(clock.sleep(Seconds(0), {}));
  for (int i = 0; i < 500; ++i) {  // at any time of the stop request
    std::stop_source stop;
    std::jthread stopper([&] { stop.request_stop(); });
    CHECK_FALSE(clock.sleep(Seconds(3600), stop.get_token()));
  }
}

TEST_CASE("die: die-service's response is parsed") {
  const auto die =
      parse_die(R"({"identifier":"risky","specification":{"faces":[1,2,-3],"error_rate":0.3,"new":1},"more":[]})");
  REQUIRE(die);
  CHECK(die->identifier == "risky");
  CHECK(die->faces == std::vector<int>{1, 2, -3});
  CHECK(die->error_rate == 0.3);
  CHECK(parse_die(die_json("[1]", "0")));
  CHECK(parse_die(die_json("[1]", "1")));
}

TEST_CASE("die: an invalid response is rejected with the reason") {
  const std::pair<std::string, std::string> cases[] = {
      {"", "not a JSON object"},
      {"<html>", "not a JSON object"},
      {"[]", "not a JSON object"},
      {die_json("[1]", "0") + "}", "not a JSON object"},
      {"{\"identifier\":\"\xFF\"}", "not a JSON object"},
      {"{}", "no identifier"},
      {R"({"identifier":7})", "no identifier"},
      {R"({"identifier":"x"})", "no specification"},
      {R"({"identifier":"x","specification":[]})", "no specification"},
      {R"({"identifier":"x","specification":{"error_rate":0}})", "no faces"},
      {die_json("[]", "0"), "no faces"},
      {die_json("6", "0"), "no faces"},
      {R"({"identifier":"x","specification":{"faces":[1]}})", "no error_rate"},
      {die_json("[1]", "\"0\""), "no error_rate"},
      {die_json("[1]", "null"), "no error_rate"},
      {die_json("[1]", "1.0001"), "error_rate is not from 0 to 1"},
      {die_json("[1]", "-0.1"), "error_rate is not from 0 to 1"},
      {die_json("[1,2.5]", "0"), "a face is not a whole number"},
      {die_json("[1,\"2\"]", "0"), "a face is not a whole number"},
      {die_json("[1,3000000000]", "0"), "a face is not a whole number"},
  };
  for (const auto& [json, reason] : cases) {
    CAPTURE(json);
    const auto die = parse_die(json);
    REQUIRE_FALSE(die);
    CHECK(die.error() == reason);
  }
}

TEST_CASE("die: a response nested a million levels deep is rejected without a crash") {
  CHECK_FALSE(parse_die(std::string(1'000'000, '[')));
  CHECK_FALSE(parse_die(std::string(1'000'000, '[') + std::string(1'000'000, ']')));
}

}  // namespace
}  // namespace dice

#include "contract/roll.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace dice {
namespace {

std::string error_of(const std::expected<RollRequest, Error>& request) {
  REQUIRE_FALSE(request);
  CHECK(request.error().code == ErrorCode::invalid_parameter);
  return request.error().message;
}

/// The query of a path, decoded.
QueryParameters query_of(const std::string& path) { return parse_query(path.substr(path.find('?') + 1)).value(); }

TEST_CASE("roll request: writing and parsing preserve it") {
  for (const auto& die : {"fair", "a b&c=d", "\xC3\xA9"}) {
    const RollRequest single{.die = die};
    CHECK(std::string(single.route()) == "/roll");
    CHECK(single.path().starts_with("/roll?die="));
    const auto read = parse_roll(query_of(single.path()));
    REQUIRE(read);
    CHECK(read->die == die);
    CHECK_FALSE(read->times);
    CHECK_FALSE(read->seed);
    CHECK_FALSE(read->index);

    for (const auto& row : kStrategies) {
      const RollRequest batch{.die = die, .times = 7, .strategy = row.strategy, .concurrency = 3};
      CHECK(std::string(batch.route()) == "/roll-async");
      const auto again = parse_batch(query_of(batch.path()), 20);
      REQUIRE(again);
      CHECK(again->die == die);
      CHECK(again->times == 7);
      CHECK(again->strategy == row.strategy);
      CHECK(again->concurrency == 3);
    }
  }
  CHECK(RollRequest{.die = "fair", .times = 5}.path() == "/roll-async?die=fair&times=5");
}

TEST_CASE("roll request: seed and index, up to both ends of their ranges") {
  for (const std::int64_t seed : {std::int64_t{0}, std::int64_t{1} << 40U, kMaxRollSeed}) {
    const RollRequest batch{.die = "fair", .times = 7, .seed = seed};
    CHECK(parse_batch(query_of(batch.path()), 20)->seed == seed);
    for (const std::optional<int> index : {std::optional<int>(), std::optional(0), std::optional(kMaxRollIndex)}) {
      const RollRequest single{.die = "fair", .seed = seed, .index = index};
      const auto read = parse_roll(query_of(single.path()));
      REQUIRE(read);
      CHECK(read->seed == seed);
      CHECK(read->index == index);
    }
  }
  CHECK(RollRequest{.die = "fair", .seed = 7, .index = 3}.path() == "/roll?die=fair&seed=7&index=3");
  CHECK(RollRequest{.die = "fair", .times = 5, .seed = 7}.path() == "/roll-async?die=fair&times=5&seed=7");

  const auto seed_error = [](const std::string& value) {
    const auto error = error_of(parse_roll({{"die", "fair"}, {"seed", value}}));
    CHECK(error_of(parse_batch({{"die", "fair"}, {"times", "2"}, {"seed", value}}, 20)) == error);
    return error;
  };
  for (const auto* value : {"-1", "9007199254740992", "", "+7", " 7", "7 ", "1e3", "7.0", "0x7", "seven"}) {
    CAPTURE(value);
    CHECK(seed_error(value) == "parameter 'seed' must be a whole number from 0 to 9007199254740991");
  }
  for (const auto* value : {"-1", "1000", "", "+7", " 7", "1e2", "7.0"}) {
    CAPTURE(value);
    CHECK(error_of(parse_roll({{"die", "fair"}, {"seed", "7"}, {"index", value}})) ==
          "parameter 'index' must be a whole number from 0 to 999");
  }
  CHECK(error_of(parse_roll({{"die", "fair"}, {"index", "0"}})) == "parameter 'index' is only allowed with 'seed'");
  CHECK(error_of(parse_batch({{"die", "fair"}, {"times", "2"}, {"seed", "7"}, {"index", "0"}}, 20)) ==
        "parameter 'index' is not a parameter; allowed: die, times, strategy, concurrency, seed");
  // As with all parameters, the first of several counts.
  CHECK(parse_roll(query_of("/roll?die=fair&seed=1&seed=2"))->seed == 1);
}

TEST_CASE("roll request: errors name the parameter and the allowed values") {
  CHECK(error_of(parse_roll({})) == "parameter 'die' is required");
  CHECK(error_of(parse_roll({{"die", "fair"}, {"times", "2"}})) ==
        "parameter 'times' is not a parameter; allowed: die, seed, index");
  CHECK(error_of(parse_batch({{"die", "fair"}}, 20)) == "parameter 'times' is required");
  CHECK(error_of(parse_batch({{"die", "fair"}, {"times", "21"}}, 20)).ends_with("from 1 to 20"));
  CHECK(error_of(parse_batch({{"die", "fair"}, {"times", "2"}, {"concurrency", "0"}}, 20)).ends_with("from 1 to 20"));
  const auto strategy = error_of(parse_batch({{"die", "fair"}, {"times", "2"}, {"strategy", "luck"}}, 20));
  for (const auto& row : kStrategies) CHECK(strategy.contains(row.name));
}

TEST_CASE("strategies: each has a unique name, which is parsed back") {
  for (const auto& row : kStrategies) {
    CHECK(parse_strategy(row.name) == row.strategy);
    CHECK(name_of(row.strategy) == row.name);
  }
  CHECK_FALSE(parse_strategy("luck"));
  CHECK_FALSE(parse_strategy(""));
}

TEST_CASE("responses: writing and parsing preserve them") {
  const auto print = [](const auto& answer) {
    return json_object([&](JsonWriter& writer) { write_members(writer, answer); });
  };
  CHECK(print(RollAnswer{5}) == R"({"roll":5})");
  CHECK(parse_roll_answer(R"({"roll":-7,"more":1})")->roll == -7);
  const BatchAnswer whole{.total = 6, .rolls = {4, 2}, .failed = {}};
  CHECK(print(whole) == R"({"total":6,"rolls":[4,2],"count":2})");
  const BatchAnswer partial{.total = 6, .rolls = {4, 2}, .failed = {{1, ErrorCode::roll_failed}}};
  const auto text = print(partial);
  CHECK(text == R"({"total":6,"rolls":[4,2],"count":2,"failed":[{"index":1,"error":"roll_failed"}]})");
  const auto read = parse_batch_answer(text);
  REQUIRE(read);
  CHECK(read->total == 6);
  CHECK(read->rolls == std::vector<std::int64_t>{4, 2});
  REQUIRE(read->failed.size() == 1);
  CHECK(read->failed[0].index == 1);
}

TEST_CASE("responses: anything that violates the contract is rejected") {
  for (const auto* text :
       {"", "5", "[]", "{}", R"({"roll":"5"})", R"({"roll":1.5})", R"({"roll":99999999999999999999})"}) {
    CHECK_FALSE(parse_roll_answer(text));
  }
  for (const auto* text :
       {"", "[]", "{}", R"({"total":1,"rolls":[1]})", R"({"total":1,"rolls":1,"count":1})",
        R"({"total":1,"rolls":[1],"count":2})", R"({"total":1,"rolls":["1"],"count":1})",
        R"({"total":"1","rolls":[1],"count":1})", R"({"total":1,"rolls":[1],"count":1,"failed":[{"index":1}]})",
        R"({"total":1,"rolls":[1],"count":1,"failed":[{"index":1,"error":"no_such_code"}]})"}) {
    CHECK_FALSE(parse_batch_answer(text));
  }
}

}  // namespace
}  // namespace dice

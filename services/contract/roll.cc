#include "contract/roll.h"

#include <array>

#include "common/base/json_view.h"
#include "contract/names.h"

namespace dice {
namespace {

constexpr std::string_view kDieParameter = "die";
constexpr std::string_view kTimes = "times";
constexpr std::string_view kStrategy = "strategy";
constexpr std::string_view kConcurrency = "concurrency";
constexpr std::string_view kSeed = "seed";
constexpr std::string_view kIndex = "index";

void append(std::string& path, std::string_view name, std::string_view value) {
  path.append(path.contains('?') ? "&" : "?").append(name).append("=").append(percent_encode(value));
}

std::optional<std::int64_t> parse_seed(Parameters& parameters) {
  return parameters.integer(std::string(kSeed), std::int64_t{0}, kMaxRollSeed);
}

std::optional<BatchAnswer::Failed> parse_failed(JsonView value) {
  const auto index = value["index"].integer();
  const auto error = parse_error_code(value["error"].text().value_or(""));
  if (!index || !error) return std::nullopt;
  return BatchAnswer::Failed{*index, *error};
}

}  // namespace

const char* RollRequest::route() const { return times ? route::kRollAsync : route::kRoll; }

std::string RollRequest::path() const {
  std::string path = route();
  append(path, kDieParameter, die);
  if (times) append(path, kTimes, std::to_string(*times));
  if (strategy) append(path, kStrategy, name_of(*strategy));
  if (concurrency) append(path, kConcurrency, std::to_string(*concurrency));
  if (seed) append(path, kSeed, std::to_string(*seed));
  if (index) append(path, kIndex, std::to_string(*index));
  return path;
}

std::expected<RollRequest, Error> parse_roll(const QueryParameters& query) {
  constexpr std::array kAllowed = {kDieParameter, kSeed, kIndex};
  Parameters parameters(query, kAllowed);
  RollRequest request;
  request.die = parameters.required(std::string(kDieParameter));
  request.seed = parse_seed(parameters);
  request.index = parameters.integer(std::string(kIndex), 0, kMaxRollIndex);
  parameters.only_with(std::string(kIndex), std::string(kSeed));
  if (parameters.error()) return std::unexpected(*parameters.error());
  return request;
}

std::expected<RollRequest, Error> parse_batch(const QueryParameters& query, int max_rolls) {
  constexpr std::array kAllowed = {kDieParameter, kTimes, kStrategy, kConcurrency, kSeed};
  static constexpr auto kNames = strategy_names();
  Parameters parameters(query, kAllowed);
  RollRequest request;
  request.die = parameters.required(std::string(kDieParameter));
  request.times = parameters.required_integer(std::string(kTimes), 1, max_rolls);
  if (const auto name = parameters.choice(std::string(kStrategy), kNames)) request.strategy = parse_strategy(*name);
  request.concurrency = parameters.integer(std::string(kConcurrency), 1, max_rolls);
  request.seed = parse_seed(parameters);
  if (parameters.error()) return std::unexpected(*parameters.error());
  return request;
}

std::vector<ParameterRow> roll_parameters() {
  std::string strategies;
  for (const auto name : strategy_names()) {
    strategies.append(strategies.empty() ? "`" : ", `").append(name).append("`");
  }
  const std::string rolls = "an integer from 1 to `MAX_ASYNC_ROLLS` (20)";
  constexpr std::string_view kBatch = "`/roll-async`";
  return {
      {kDieParameter, "both", "a die's identifier, at most 128 bytes", "none: required"},
      {kTimes, kBatch, rolls, "none: required"},
      {kStrategy, kBatch, std::move(strategies), "`ROLL_STRATEGY` (`" + std::string(name_of(kDefaultStrategy)) + "`)"},
      {kConcurrency, kBatch, rolls + ": the maximum number of concurrent rolls; more than `times` counts as `times`",
       "`times`"},
      {kSeed, "both",
       "an integer from 0 to " + std::to_string(kMaxRollSeed) +
           ": the same seed, die and index give the same delay, failure and face",
       "random, unless `ROLL_SEED` is set"},
      {kIndex, "`/roll`",
       "an integer from 0 to " + std::to_string(kMaxRollIndex) +
           ", only with `seed`: which roll of a batch with that seed to make",
       "`0`"}};
}

void write_members(JsonWriter& writer, const RollAnswer& answer) { write_member(writer, "roll", answer.roll); }

void write_members(JsonWriter& writer, const BatchAnswer& answer) {
  write_member(writer, "total", answer.total);
  write_member(writer, "rolls", answer.rolls);
  write_member(writer, "count", answer.rolls.size());
  if (answer.failed.empty()) return;
  write_key(writer, "failed");
  writer.StartArray();
  for (const auto& [index, error] : answer.failed) {
    writer.StartObject();
    write_member(writer, "index", index);
    write_member(writer, "error", name_of(error));
    writer.EndObject();
  }
  writer.EndArray();
}

std::optional<RollAnswer> parse_roll_answer(std::string_view json) {
  const auto document = parse_json(json);
  const auto value = document ? JsonView(*document)["roll"].integer() : std::nullopt;
  if (!value) return std::nullopt;
  return RollAnswer{*value};
}

std::optional<BatchAnswer> parse_batch_answer(std::string_view json) {
  const auto document = parse_json(json);
  if (!document) return std::nullopt;
  const JsonView batch(*document);
  const auto total = batch["total"].integer();
  const auto count = batch["count"].integer();
  if (!total || !batch["rolls"].is_array()) return std::nullopt;
  BatchAnswer answer{.total = *total, .rolls = {}, .failed = {}};
  for (const auto& roll : batch["rolls"].elements()) {
    const auto value = roll.integer();
    if (!value) return std::nullopt;
    answer.rolls.push_back(*value);
  }
  if (!count || std::cmp_not_equal(*count, answer.rolls.size())) return std::nullopt;
  for (const auto& roll : batch["failed"].elements()) {
    const auto failed = parse_failed(roll);
    if (!failed) return std::nullopt;
    answer.failed.push_back(*failed);
  }
  return answer;
}

}  // namespace dice

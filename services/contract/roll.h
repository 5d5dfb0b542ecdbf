// What a client asks of /roll and /roll-async, and what it gets, as frontend, dice-roller and loadgen have it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/json.h"
#include "contract/error.h"
#include "contract/parameters.h"
#include "contract/strategy.h"

namespace dice {

struct RollRequest {
  std::string die;
  /// Number of rolls of a batch, /roll-async; nothing for /roll.
  std::optional<int> times = {};
  /// Of a batch; nothing is the server's default.
  std::optional<Strategy> strategy = {};
  /// Maximum number of concurrent rolls; nothing is `times`.
  std::optional<int> concurrency = {};

  const char* route() const;
  /// With the query.
  std::string path() const;
};

/// The query of /roll.
std::expected<RollRequest, Error> parse_roll(const QueryParameters& query);
/// The query of /roll-async. `max_rolls` is MAX_ASYNC_ROLLS.
std::expected<RollRequest, Error> parse_batch(const QueryParameters& query, int max_rolls);

struct ParameterRow {
  std::string_view name;
  /// For docs/api.md, in Markdown.
  std::string_view routes;
  std::string allowed;
  std::string default_value;
};
std::vector<ParameterRow> roll_parameters();

/// The answer to /roll.
struct RollAnswer {
  std::int64_t roll = 0;
};

/// The answer to /roll-async: 200, or 200 with failures.
struct BatchAnswer {
  std::int64_t total = 0;
  /// Values of the rolls that succeeded, in index order.
  std::vector<std::int64_t> rolls;
  struct Failed {
    std::int64_t index = 0;
    ErrorCode error = ErrorCode::roll_failed;
  };
  /// In index order.
  std::vector<Failed> failed;
};

/// As members of an object.
void write_members(JsonWriter& writer, const RollAnswer& answer);
void write_members(JsonWriter& writer, const BatchAnswer& answer);

/// Nothing when the text says less than the contract, or something else.
std::optional<RollAnswer> parse_roll_answer(std::string_view json);
std::optional<BatchAnswer> parse_batch_answer(std::string_view json);

}  // namespace dice

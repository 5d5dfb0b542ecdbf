// Requests and responses of /roll and /roll-async, shared by frontend, dice-roller and loadgen.
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

/// The largest integer that JavaScript can count to: 2^53 - 1.
inline constexpr std::int64_t kMaxRollSeed = (std::int64_t{1} << 53U) - 1;
/// That of the last roll of the largest batch that MAX_ASYNC_ROLLS can allow.
inline constexpr int kMaxRollIndex = 999;

struct RollRequest {
  std::string die;
  /// Number of rolls of a batch (/roll-async); empty for /roll.
  std::optional<int> times = {};
  /// For a batch; empty = the server's default.
  std::optional<Strategy> strategy = {};
  /// Maximum number of concurrent rolls; empty = `times`.
  std::optional<int> concurrency = {};
  /// Rolls with the same seed, die and index have the same delay, failure and face; empty = random.
  std::optional<std::int64_t> seed = {};
  /// For /roll with a seed: which roll of a batch with this seed to make; empty = 0.
  std::optional<int> index = {};

  const char* route() const;
  /// Including the query.
  std::string path() const;
};

/// Parses the query of /roll.
std::expected<RollRequest, Error> parse_roll(const QueryParameters& query);
/// Parses the query of /roll-async. `max_rolls` is MAX_ASYNC_ROLLS.
std::expected<RollRequest, Error> parse_batch(const QueryParameters& query, int max_rolls);

struct ParameterRow {
  std::string_view name;
  /// For docs/api.md, in Markdown.
  std::string_view routes;
  std::string allowed;
  std::string default_value;
};
std::vector<ParameterRow> roll_parameters();

/// The response to /roll.
struct RollAnswer {
  std::int64_t roll = 0;
};

/// The response to /roll-async with status 200; some rolls may have failed.
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

/// Writes the members of the JSON object.
void write_members(JsonWriter& writer, const RollAnswer& answer);
void write_members(JsonWriter& writer, const BatchAnswer& answer);

/// Empty if the text is not a valid response.
std::optional<RollAnswer> parse_roll_answer(std::string_view json);
std::optional<BatchAnswer> parse_batch_answer(std::string_view json);

}  // namespace dice

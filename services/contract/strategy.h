// The batch strategies: what ends a batch, and when it counts as a success.
#pragma once

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include "contract/table.h"

namespace dice {

enum class Strategy { all_or_nothing, best_effort, first_success };

struct StrategyRow {
  Strategy strategy;
  /// As in the query parameter.
  std::string_view name;
  /// The first roll with this outcome ends the batch: the others are cancelled.
  enum class Until { all_ended, failure, success } until;
  /// For docs/api.md, in Markdown.
  std::string_view meaning;
};

inline constexpr std::array kStrategies = {
    StrategyRow{Strategy::all_or_nothing, "all-or-nothing", StrategyRow::Until::failure,
                "The first roll that fails ends the batch: the others are cancelled, and the answer is 500 "
                "`batch_failed`."},
    StrategyRow{Strategy::best_effort, "best-effort", StrategyRow::Until::all_ended,
                "Every roll runs to its end. `rolls` holds the values of those that succeeded and `count` is their "
                "number. If any failed, `failed` lists them. If all failed, the answer is 500 `batch_failed`."},
    StrategyRow{Strategy::first_success, "first-success", StrategyRow::Until::success,
                "The first roll that succeeds ends the batch: it is the answer, `count` is 1, and the others are "
                "cancelled. If any failed before, `failed` lists them. If all failed, the answer is 500 "
                "`batch_failed`."},
};
static_assert(is_indexed_by(kStrategies, &StrategyRow::strategy, Strategy::first_success),
              "kStrategies is indexed by the strategy");

/// For requests without a strategy, unless ROLL_STRATEGY is set.
inline constexpr auto kDefaultStrategy = Strategy::all_or_nothing;

/// Indexed by the strategy.
constexpr const StrategyRow& describe(Strategy strategy) { return kStrategies[static_cast<std::size_t>(strategy)]; }
constexpr std::string_view name_of(Strategy strategy) { return describe(strategy).name; }

constexpr auto strategy_names() {
  std::array<std::string_view, kStrategies.size()> names;
  std::ranges::transform(kStrategies, names.begin(), &StrategyRow::name);
  return names;
}

constexpr std::optional<Strategy> parse_strategy(std::string_view name) {
  for (const auto& row : kStrategies) {
    if (row.name == name) return row.strategy;
  }
  return std::nullopt;
}

}  // namespace dice

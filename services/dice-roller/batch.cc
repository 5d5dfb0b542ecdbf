#include "dice-roller/batch.h"

#include <algorithm>
#include <atomic>

namespace dice {
namespace {

using Until = StrategyRow::Until;

BatchResult::Outcome outcome_of(const BatchResult& result, Until until, bool decided) {
  using enum BatchResult::Outcome;
  if (decided) return until == Until::failure ? failure : success;
  if (result.count(Roll::State::cancelled) > 0) return cancelled;
  const auto successes = result.count(Roll::State::succeeded);
  if (successes == 0) return failure;
  return successes == result.rolls.size() ? success : partial;
}

}  // namespace

std::size_t BatchResult::count(Roll::State state) const {
  return static_cast<std::size_t>(std::ranges::count(rolls, state, &Roll::state));
}

std::optional<BatchResult> run_batch(const BatchOptions& options, ThreadPool& pool, const std::stop_token& stop,
                                     const RollOne& roll_one) {
  constexpr auto kNone = static_cast<std::size_t>(-1);
  const auto until = describe(options.strategy).until;
  BatchResult result{std::vector<Roll>(options.times), std::nullopt};
  std::stop_source all;
  const std::stop_callback from_outside(stop, [&all] { all.request_stop(); });
  std::atomic<std::size_t> next = 0;
  std::atomic<std::size_t> first_failure = kNone;
  std::atomic<bool> decided = false;
  const auto settle = [&](std::size_t index, Roll roll) {
    if (roll.state == Roll::State::failed) {
      auto none = kNone;
      first_failure.compare_exchange_strong(none, index);
    }
    const bool decides = (until == Until::failure && roll.state == Roll::State::failed) ||
                         (until == Until::success && roll.state == Roll::State::succeeded);
    if (!decides) return roll;
    if (!decided.exchange(true)) all.request_stop();
    else if (until == Until::success) return Roll{Roll::State::cancelled};
    return roll;
  };
  const auto work = [&] {
    for (std::size_t index = next++; index < options.times; index = next++) {
      // Each index has one writer.
      result.rolls[index] = roll_one(index, all.get_token(), [&](Roll roll) { return settle(index, roll); });
    }
  };
  if (!pool.try_run_on_each(options.concurrency, work)) return std::nullopt;
  if (first_failure != kNone) result.first_failure = first_failure.load();
  result.outcome = outcome_of(result, until, decided);
  return result;
}

}  // namespace dice

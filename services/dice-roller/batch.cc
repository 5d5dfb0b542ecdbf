#include "dice-roller/batch.h"

#include <algorithm>
#include <atomic>

namespace dice {

std::size_t BatchResult::count(Roll::State state) const {
  return static_cast<std::size_t>(std::ranges::count(rolls, state, &Roll::state));
}

bool BatchResult::succeeded(Strategy strategy) const {
  const auto good = count(Roll::State::succeeded);
  return strategy == Strategy::all_or_nothing ? good == rolls.size() : good > 0;
}

std::vector<int> BatchResult::values() const {
  std::vector<int> values;
  for (const auto& roll : rolls) {
    if (roll.state == Roll::State::succeeded) values.push_back(roll.value);
  }
  return values;
}

std::optional<BatchResult> run_batch(const BatchOptions& options, ThreadPool& pool, const std::stop_token& stop,
                                     const RollOne& roll_one) {
  constexpr auto kNone = static_cast<std::size_t>(-1);
  BatchResult result{std::vector<Roll>(options.times), std::nullopt};
  std::stop_source all;
  const std::stop_callback from_outside(stop, [&all] { all.request_stop(); });
  std::atomic<std::size_t> next = 0;
  std::atomic<std::size_t> first_failure = kNone;
  const auto work = [&] {
    for (std::size_t index = next++; index < options.times; index = next++) {
      const auto roll = roll_one(index, all.get_token());
      result.rolls[index] = roll;  // each index has one writer
      if (roll.state != Roll::State::failed) continue;
      auto none = kNone;
      first_failure.compare_exchange_strong(none, index);
      if (options.strategy == Strategy::all_or_nothing) all.request_stop();
    }
  };
  if (!pool.try_run_on_each(options.concurrency, work)) return std::nullopt;
  if (first_failure != kNone) result.first_failure = first_failure.load();
  return result;
}

}  // namespace dice

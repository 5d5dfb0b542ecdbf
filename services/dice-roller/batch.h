// Runs a batch: N concurrent rolls, and the strategy that may end them early.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <stop_token>
#include <vector>

#include "common/concurrency/thread_pool.h"
#include "contract/strategy.h"
#include "dice-roller/die.h"

namespace dice {

struct BatchOptions {
  std::size_t times = 1;
  /// Number of dedicated threads, 1 to `times`.
  std::size_t concurrency = 1;
  Strategy strategy = kDefaultStrategy;
};

struct BatchResult {
  enum class Outcome { success, partial, failure, cancelled };

  /// In index order, one for each roll.
  std::vector<Roll> rolls;
  /// The roll that failed first (by time).
  std::optional<std::size_t> first_failure;
  Outcome outcome = Outcome::cancelled;

  std::size_t count(Roll::State state) const;
};

/// Called when a roll has ended; returns what it counts as, which depends on the order in which rolls end: a roll that
/// succeeds after the first success has decided the batch counts as cancelled.
using Settle = std::function<Roll(Roll)>;

/// Makes one roll of the batch and returns the result of `settle` for it. Called concurrently on the batch's threads.
/// Must not throw.
using RollOne = std::function<Roll(std::size_t index, const std::stop_token& stop, const Settle& settle)>;

/// Leases threads of `pool`, calls `roll_one` once for every index (with `stop` already requested for rolls not started
/// when the batch ends), and returns when all calls have returned. `stop` cancels the whole batch. Empty if not enough
/// threads are free.
std::optional<BatchResult> run_batch(const BatchOptions& options, ThreadPool& pool, const std::stop_token& stop,
                                     const RollOne& roll_one);

}  // namespace dice

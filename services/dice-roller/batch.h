// A batch: N concurrent rolls.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <stop_token>
#include <vector>

#include "common/concurrency/thread_pool.h"
#include "dice-roller/die.h"

namespace dice {

enum class Strategy {
  /// The first failure stops the rolls that have not finished.
  all_or_nothing,
  /// Every roll runs to its end.
  best_effort,
};

struct BatchOptions {
  std::size_t times = 1;
  /// Number of dedicated threads, 1 to `times`.
  std::size_t concurrency = 1;
  Strategy strategy = Strategy::all_or_nothing;
};

struct BatchResult {
  /// One per roll, in index order.
  std::vector<Roll> rolls;
  /// The roll that failed first (by time).
  std::optional<std::size_t> first_failure;

  std::size_t count(Roll::State state) const;
  /// Whether every roll succeeded, or with best effort at least one.
  bool succeeded(Strategy strategy) const;
  /// Values of the successful rolls, in index order.
  std::vector<int> values() const;
};

/// Performs one roll of the batch, on a thread of the batch, concurrently with others. Must not throw.
using RollOne = std::function<Roll(std::size_t index, const std::stop_token& stop)>;

/// Leases threads of `pool`, calls `roll_one` once for every index, including those stopped before they start (with
/// `stop` requested), and returns when all calls have returned. `stop` stops all rolls. Empty if the pool does not have
/// enough free threads.
std::optional<BatchResult> run_batch(const BatchOptions& options, ThreadPool& pool, const std::stop_token& stop,
                                     const RollOne& roll_one);

}  // namespace dice

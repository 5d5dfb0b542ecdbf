// N rolls at the same time.
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
  /// Every roll goes on to its end.
  best_effort,
};

struct BatchOptions {
  std::size_t times = 1;
  /// Threads of this batch's own, 1 to `times`.
  std::size_t concurrency = 1;
  Strategy strategy = Strategy::all_or_nothing;
};

struct BatchResult {
  /// In index order, one for each roll.
  std::vector<Roll> rolls;
  /// The roll that failed first, in time.
  std::optional<std::size_t> first_failure;

  std::size_t count(Roll::State state) const;
  /// Every roll, or with best effort at least one, succeeded.
  bool succeeded(Strategy strategy) const;
  /// Of the rolls that succeeded, in index order.
  std::vector<int> values() const;
};

/// Rolls one die of the batch; on a thread of the batch, several at a time. Must not throw.
using RollOne = std::function<Roll(std::size_t index, const std::stop_token& stop)>;

/// Leases threads of `pool`, calls `roll_one` once for every index, also for those stopped before their turn (their
/// `stop` is requested), and returns when all have returned. `stop` stops them all. Nothing when the pool has not that
/// many threads free.
std::optional<BatchResult> run_batch(const BatchOptions& options, ThreadPool& pool, const std::stop_token& stop,
                                     const RollOne& roll_one);

}  // namespace dice

// A batch: N rolls that run concurrently, and what ends them.
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

/// Has the batch decide what a roll that has just ended counts as, which is known only in the order of time: a roll
/// that succeeds after the batch was decided counts as cancelled.
using Settle = std::function<Roll(Roll)>;

/// Rolls one die of the batch and returns what `settle` returns for it; on a thread of the batch, several at a time.
/// Must not throw.
using RollOne = std::function<Roll(std::size_t index, const std::stop_token& stop, const Settle& settle)>;

/// Leases threads of `pool`, calls `roll_one` once for every index, also for those stopped before their turn (their
/// `stop` is requested), and returns when all have returned. `stop` cancels them all. Nothing when the pool does not
/// have that many threads free.
std::optional<BatchResult> run_batch(const BatchOptions& options, ThreadPool& pool, const std::stop_token& stop,
                                     const RollOne& roll_one);

}  // namespace dice

// The plan of a run: what each user requests and when, derived from a seed.
#pragma once

#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "common/concurrency/clock.h"
#include "contract/roll.h"

namespace dice::loadgen {

struct Mix {
  /// Only GET /dice; the members below are not used then.
  bool list_only = false;
  /// At least one; all are equally likely.
  std::vector<std::string> dice = {"fair"};
  /// Fraction of the requests that are batches, 0 to 1.
  double async_probability = 0.3;
  /// Maximum rolls per batch, from 1.
  int max_batch = 10;
};

/// The requests of one user, which depend only on the seed and the user.
class Plan {
 public:
  Plan(const Mix& mix, std::uint64_t seed, std::uint64_t user);

  /// Empty = GET /dice.
  std::optional<RollRequest> next();
  /// A random number of rolls from 1 to `max`.
  int rolls(int max);
  Seconds think(Seconds min, Seconds max);

 private:
  const Mix& mix_;
  std::mt19937_64 random_;
};

/// What one of several processes does of a run: of the users, and of the requests, those whose number modulo `parts` is
/// `index`.
struct Part {
  /// From 0, less than `parts`.
  std::uint64_t index = 0;
  std::uint64_t parts = 1;

  /// Its number `n`, which counts from 0.
  std::uint64_t nth(std::uint64_t n) const { return index + n * parts; }
  /// How many numbers less than `total` it has.
  std::uint64_t count(std::uint64_t total) const { return total <= index ? 0 : (total - index - 1) / parts + 1; }
};

/// The seed of the rolls of request `number` of a run, which counts from 0, if that of the first is `first`.
std::int64_t nth_roll_seed(std::int64_t first, std::uint64_t number);

/// Open loop: the time at which each request is due, regardless of responses.
class Schedule {
 public:
  /// The rate rises linearly from 0 to `rate` requests per second during `ramp`.
  Schedule(double rate, Seconds ramp) : rate_(rate), ramp_(ramp.count()) {}

  /// Time after the start; `index` counts from 0.
  Seconds due(std::uint64_t index) const;
  /// Number of requests due within `duration`.
  std::uint64_t count(Seconds duration) const;

 private:
  double rate_;
  double ramp_;
};

}  // namespace dice::loadgen

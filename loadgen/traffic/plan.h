// What each user requests, and when: from a seed, without a clock.
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
  /// Only GET /dice; the members below are then not used.
  bool list_only = false;
  /// Each as likely as the other; at least one.
  std::vector<std::string> dice = {"fair"};
  /// Fraction of the requests that are batches, 0 to 1.
  double async_probability = 0.3;
  /// Maximum rolls per batch, from 1.
  int max_batch = 10;
};

/// The requests of one user. The same seed and user always give the same ones.
class Plan {
 public:
  Plan(const Mix& mix, std::uint64_t seed, std::uint64_t user);

  /// Nothing: the list of dice.
  std::optional<RollRequest> next();
  /// From 1 to `most`.
  int rolls(int most);
  Seconds think(Seconds min, Seconds max);

 private:
  const Mix& mix_;
  std::mt19937_64 random_;
};

/// Open loop: when each request is due, regardless of responses.
class Schedule {
 public:
  /// `rate` requests per second, reached after `ramp` in a straight line from 0.
  Schedule(double rate, Seconds ramp) : rate_(rate), ramp_(ramp.count()) {}

  /// After the start; `index` counts from 0.
  Seconds due(std::uint64_t index) const;
  /// How many are due before `duration` has passed.
  std::uint64_t count(Seconds duration) const;

 private:
  double rate_;
  double ramp_;
};

}  // namespace dice::loadgen

// A die, and the result of a roll.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "common/concurrency/clock.h"

namespace dice {

struct Die {
  std::string identifier;
  /// At least one.
  std::vector<int> faces;
  /// Fraction of the rolls that fail, 0 to 1.
  double error_rate = 0;
};

/// Parses die-service's response. The error says why it is invalid.
std::expected<Die, std::string> parse_die(std::string_view json);

/// What the rolls of one request draw from.
struct RandomSource {
  std::uint64_t seed = 0;
  /// The number of the request; 0 if the seed is the request's own.
  std::uint64_t request = 0;
};

/// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, OOPSLA 2014). Small enough for one
/// generator per roll, so that the result of a roll does not depend on its thread or timing.
class Random {
 public:
  using result_type = std::uint64_t;

  explicit Random(std::uint64_t seed) : state_(seed) {}
  /// The generator of roll `index`.
  Random(const RandomSource& source, std::uint64_t index);

  static constexpr result_type min() { return 0; }
  static constexpr result_type max() { return UINT64_MAX; }
  result_type operator()();

  /// At least 0, less than 1.
  double fraction();

 private:
  std::uint64_t state_;
};

/// The simulated work of a roll takes from `min` to `max`, uniformly distributed.
struct RollDelay {
  Seconds min{0};
  Seconds max{1};
};

/// The random part of a roll.
struct Draw {
  Seconds delay{0};
  bool fails = false;
  /// One of the die's faces.
  int value = 0;
};

/// The delay depends on the bounds and `random` only, the failure also on the error rate: other dice have the same
/// delays.
Draw draw(const Die& die, const RollDelay& delay, Random& random);

struct Roll {
  enum class State { succeeded, failed, cancelled };

  State state = State::cancelled;
  /// Only meaningful if the roll succeeded.
  int value = 0;
};

/// Waits for the delay, then rolls. Cancelled if `stop` is requested during the delay.
Roll roll(const Draw& drawn, Clock& clock, const std::stop_token& stop);

}  // namespace dice

// A die, and what a roll of it can come to.
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
  /// Share of the rolls that fail, 0 to 1.
  double error_rate = 0;
};

/// Reads die-service's answer. The error says what is wrong with it.
std::expected<Die, std::string> parse_die(std::string_view json);

/// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, OOPSLA 2014). Small, so that every
/// roll has a generator of its own: what a roll comes to does not depend on which thread runs it when.
class Random {
 public:
  using result_type = std::uint64_t;

  explicit Random(std::uint64_t seed) : state_(seed) {}
  /// The generator of roll `index` of request `request` under `seed`.
  Random(std::uint64_t seed, std::uint64_t request, std::uint64_t index);

  static constexpr result_type min() { return 0; }
  static constexpr result_type max() { return UINT64_MAX; }
  result_type operator()();

  /// At least 0, less than 1.
  double fraction();

 private:
  std::uint64_t state_;
};

/// The simulated work of a roll takes from `min` to `max`, each length as likely as the other.
struct RollDelay {
  Seconds min{0};
  Seconds max{1};
};

/// What a roll has drawn: all that chance decides about it.
struct Draw {
  Seconds delay{0};
  bool fails = false;
  /// One of the die's faces.
  int value = 0;
};

Draw draw(const Die& die, const RollDelay& delay, Random& random);

struct Roll {
  enum class State { succeeded, failed, cancelled };

  State state = State::cancelled;
  /// Meaningful when succeeded.
  int value = 0;
};

/// Waits the delay out, then rolls. Cancelled when `stop` is requested before the delay is over.
Roll roll(const Draw& drawn, Clock& clock, const std::stop_token& stop);

}  // namespace dice

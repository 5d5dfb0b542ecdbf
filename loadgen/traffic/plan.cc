#include "loadgen/traffic/plan.h"

#include <cmath>

namespace dice::loadgen {
namespace {

std::mt19937_64 generator(std::uint64_t seed, std::uint64_t user) {
  std::seed_seq sequence{seed, seed >> 32U, user, user >> 32U};
  return std::mt19937_64(sequence);
}

}  // namespace

Plan::Plan(const Mix& mix, std::uint64_t seed, std::uint64_t user) : mix_(mix), random_(generator(seed, user)) {}

std::optional<RollRequest> Plan::next() {
  if (mix_.list_only) return std::nullopt;
  RollRequest request;
  request.die = mix_.dice[std::uniform_int_distribution<std::size_t>(0, mix_.dice.size() - 1)(random_)];
  if (!std::bernoulli_distribution(mix_.async_probability)(random_)) return request;
  request.times = rolls(mix_.max_batch);
  request.strategy =
      kStrategies[std::uniform_int_distribution<std::size_t>(0, kStrategies.size() - 1)(random_)].strategy;
  return request;
}

int Plan::rolls(int max) { return std::uniform_int_distribution<int>(1, max)(random_); }

Seconds Plan::think(Seconds min, Seconds max) {
  return min + (max - min) * std::uniform_real_distribution<double>(0, 1)(random_);
}

std::int64_t nth_roll_seed(std::int64_t first, std::uint64_t number) {
  constexpr auto kSeeds = static_cast<std::uint64_t>(kMaxRollSeed) + 1;
  return static_cast<std::int64_t>((static_cast<std::uint64_t>(first) + number % kSeeds) % kSeeds);
}

Seconds Schedule::due(std::uint64_t index) const {
  const auto requests = static_cast<double>(index);
  const auto in_ramp = rate_ * ramp_ / 2;
  if (requests < in_ramp) return Seconds(std::sqrt(2 * requests * ramp_ / rate_));
  return Seconds(ramp_ + (requests - in_ramp) / rate_);
}

std::uint64_t Schedule::count(Seconds duration) const {
  const auto seconds = duration.count();
  const auto requests =
      seconds < ramp_ ? rate_ * seconds * seconds / ramp_ / 2 : rate_ * ramp_ / 2 + rate_ * (seconds - ramp_);
  return static_cast<std::uint64_t>(std::ceil(requests));
}

}  // namespace dice::loadgen

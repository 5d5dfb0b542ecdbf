// Time as a dependency: code that waits or measures gets a Clock, so that tests can pass a fake one.
#pragma once

#include <chrono>
#include <stop_token>

namespace dice {

using Seconds = std::chrono::duration<double>;
using TimePoint = std::chrono::steady_clock::time_point;

inline std::chrono::steady_clock::duration to_steady(Seconds seconds) {
  return std::chrono::duration_cast<std::chrono::steady_clock::duration>(seconds);
}

/// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;

  virtual TimePoint now() const = 0;

  /// Blocks for `duration`. Returns false early if `stop` is requested.
  virtual bool sleep(Seconds duration, const std::stop_token& stop) = 0;
};

class SteadyClock final : public Clock {
 public:
  TimePoint now() const override { return std::chrono::steady_clock::now(); }
  bool sleep(Seconds duration, const std::stop_token& stop) override;
};

}  // namespace dice

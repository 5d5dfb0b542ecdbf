// Time as a dependency: logic that waits or measures is handed a Clock, so a test can hand it a false one.
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

  /// Blocks for `duration`. Returns false, early, when `stop` is requested.
  virtual bool sleep(Seconds duration, const std::stop_token& stop) = 0;
};

class SteadyClock final : public Clock {
 public:
  TimePoint now() const override { return std::chrono::steady_clock::now(); }
  bool sleep(Seconds duration, const std::stop_token& stop) override;
};

}  // namespace dice

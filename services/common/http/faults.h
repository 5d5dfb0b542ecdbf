// Fault injection, to simulate an outage.
#pragma once

#include <atomic>
#include <optional>

#include "common/concurrency/clock.h"
#include "common/concurrency/mutex.h"

namespace dice {

/// Thread-safe.
class Faults {
 public:
  struct Setting {
    double delay_seconds = 0;
    /// Fraction of the requests that fail, 0 to 1.
    double error_rate = 0;
    /// Connections are closed without a response.
    bool unavailable = false;
    /// Until the setting ends by itself; none = never.
    std::optional<Seconds> remaining = {};

    bool active() const { return delay_seconds > 0 || error_rate > 0 || unavailable; }
  };

  struct Fault {
    bool active = false;
    Seconds delay{0};
    bool fails = false;
    bool unavailable = false;
  };

  /// `clock` must outlive this object.
  explicit Faults(const Clock& clock) : clock_(clock) {}

  void set(const Setting& setting);
  /// The setting in force.
  Setting get() const;
  /// The fault for the next request. Errors are spread evenly: with rate 0.25, exactly every fourth request fails.
  Fault next();

 private:
  const Clock& clock_;
  mutable Mutex mutex_;
  Setting setting_ GUARDED_BY(mutex_);
  TimePoint end_ GUARDED_BY(mutex_) = TimePoint::max();
  double due_ GUARDED_BY(mutex_) = 0;
  /// Whether `setting_` has any fault, even if its time is over.
  std::atomic<bool> active_ = false;
};

}  // namespace dice

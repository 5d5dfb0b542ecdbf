// Fault injection, to simulate an outage.
#pragma once

#include <atomic>
#include <cstdint>

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

    bool active() const { return delay_seconds > 0 || error_rate > 0; }
  };

  struct Fault {
    bool active = false;
    Seconds delay{0};
    bool fails = false;
  };

  void set(Setting setting);
  Setting get() const;
  /// The fault for the next request. Errors are spread evenly: with rate 0.25, exactly every fourth request fails.
  Fault next();

 private:
  mutable Mutex mutex_;
  Setting setting_ GUARDED_BY(mutex_);
  double due_ GUARDED_BY(mutex_) = 0;
  std::atomic<bool> active_ = false;
};

}  // namespace dice

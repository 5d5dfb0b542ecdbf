// The metrics of a running `loadgen traffic`.
#pragma once

#include <cstdint>
#include <string>

#include "common/concurrency/clock.h"
#include "common/concurrency/mutex.h"
#include "common/telemetry/metrics.h"
#include "loadgen/model/answer.h"
#include "loadgen/traffic/plan.h"

namespace dice::loadgen {

/// Thread-safe.
class LoadMetrics {
 public:
  struct Run {
    Part part;
    std::uint64_t seed = 0;
    /// Requests per second of all parts together; 0 = closed loop.
    double rate = 0;
  };

  /// `metrics` must outlive this object, and get only one of them.
  LoadMetrics(Metrics& metrics, const Run& run);

  void started() { in_flight_.Increment(); }
  int in_flight() const { return static_cast<int>(in_flight_.Value()); }
  /// `latency` is measured from the time at which the request was due; `trace` is the context that it was sent with.
  void finished(const std::string& route, const Answer& answer, Seconds latency, const TraceContext& trace);

 private:
  Metrics& metrics_;
  Counters& requests_;
  prometheus::Gauge& in_flight_;
  Mutex mutex_;
  /// By route.
  std::map<std::string, Histogram*> durations_ GUARDED_BY(mutex_);
};

}  // namespace dice::loadgen

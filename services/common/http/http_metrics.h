// The http_* metrics of every server.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/concurrency/clock.h"
#include "common/telemetry/metrics.h"
#include "common/telemetry/trace_context.h"

namespace dice {

/// Upper bounds of the buckets of request durations, in seconds.
inline const std::vector<double> kRequestDurationBounds = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                                           0.25,  0.5,    1,     2.5,  5,     10};

/// Shared by the servers of one process. Thread-safe.
class HttpMetrics {
 public:
  explicit HttpMetrics(Metrics& metrics);

  /// The metrics of one route, created when it is registered.
  class ForRoute {
   public:
    ForRoute(HttpMetrics& all, std::string method, std::string route);
    void started() { in_progress_.Increment(); }
    /// `error_code` is empty on success.
    void finished(int status, std::string_view error_code, Seconds duration, const TraceContext& trace);

   private:
    HttpMetrics& all_;
    const std::string method_;
    const std::string route_;
    Histogram& duration_;
    prometheus::Gauge& in_progress_;
  };

 private:
  Metrics& metrics_;
  Counters& requests_;
};

}  // namespace dice

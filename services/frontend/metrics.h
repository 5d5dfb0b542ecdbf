// The metrics of frontend.
#pragma once

#include "common/telemetry/metrics.h"

namespace dice {

struct FrontendMetrics {
  explicit FrontendMetrics(Metrics& metrics)
      : rolls(metrics.counters(Metric::roll_requests)), async_rolls(metrics.counters(Metric::async_roll_requests)) {}

  Counters& rolls;
  Counters& async_rolls;
};

}  // namespace dice

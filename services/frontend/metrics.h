// What frontend counts.
#pragma once

#include "common/telemetry/metrics.h"

namespace dice {

struct FrontendMetrics {
  explicit FrontendMetrics(Metrics& metrics)
      : rolls(metrics.counters("roll_requests_total", "Requests for rolls that were passed to dice-roller.")),
        async_rolls(metrics.counters("async_roll_requests_total", "Requests for batches, by the rolls asked for.")) {}

  Counters& rolls;
  Counters& async_rolls;
};

}  // namespace dice

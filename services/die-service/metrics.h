// What die-service counts.
#pragma once

#include "common/telemetry/metrics.h"

namespace dice {

struct DieServiceMetrics {
  explicit DieServiceMetrics(Metrics& metrics)
      : requested(metrics.counters("die_specifications_requested_total",
                                   "Specifications asked for; unknown identifiers count as _unknown.")),
        lists(metrics.counter("die_list_requests_total", "Lists of dice asked for.")),
        loaded(metrics.gauge("die_specifications_loaded", "Dice in force.")),
        error_rates(metrics.gauges("die_specifications_error_rate", "Share of a die's rolls that are to fail.")),
        reload_success(metrics.gauge("die_specifications_reload_success",
                                     "1 when the last reading of the file succeeded, 0 when the old set was kept.")) {}

  Counters& requested;
  prometheus::Counter& lists;
  prometheus::Gauge& loaded;
  Gauges& error_rates;
  prometheus::Gauge& reload_success;
};

}  // namespace dice

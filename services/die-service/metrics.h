// The metrics of die-service.
#pragma once

#include "common/telemetry/metrics.h"

namespace dice {

struct DieServiceMetrics {
  explicit DieServiceMetrics(Metrics& metrics)
      : requested(metrics.counters("die_specifications_requested_total",
                                   "Requests for a die's specification; unknown dice count as _unknown.")),
        lists(metrics.counter("die_list_requests_total", "Requests for the list of dice.")),
        loaded(metrics.gauge("die_specifications_loaded", "Number of dice loaded.")),
        error_rates(metrics.gauges("die_specifications_error_rate", "Configured fraction of a die's rolls that fail.")),
        reload_success(
            metrics.gauge("die_specifications_reload_success",
                          "1 if the dice file was last loaded successfully, 0 if the previous dice were kept.")) {}

  Counters& requested;
  prometheus::Counter& lists;
  prometheus::Gauge& loaded;
  Gauges& error_rates;
  prometheus::Gauge& reload_success;
};

}  // namespace dice

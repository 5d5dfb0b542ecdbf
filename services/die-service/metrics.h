// What die-service counts.
#pragma once

#include "common/telemetry/metrics.h"

namespace dice {

struct DieServiceMetrics {
  explicit DieServiceMetrics(Metrics& metrics)
      : requested(metrics.counters("die_specifications_requested_total",
                                   "Specifications asked for; unknown identifiers count as _unknown.")),
        lists(metrics.counter("die_list_requests_total", "Lists of dice asked for.")),
        loaded(metrics.gauge("die_specifications_loaded", "Number of dice loaded.")),
        error_rates(metrics.gauges("die_specifications_error_rate", "Fraction of a die's rolls that fail on purpose.")),
        reload_success(
            metrics.gauge("die_specifications_reload_success",
                          "1 if the file was last reloaded successfully, 0 if the previous dice were kept.")) {}

  Counters& requested;
  prometheus::Counter& lists;
  prometheus::Gauge& loaded;
  Gauges& error_rates;
  prometheus::Gauge& reload_success;
};

}  // namespace dice

// The metrics of die-service.
#pragma once

#include "common/telemetry/metrics.h"

namespace dice {

struct DieServiceMetrics {
  explicit DieServiceMetrics(Metrics& metrics)
      : requested(metrics.counters(Metric::die_specifications_requested)),
        lists(metrics.counter(Metric::die_list_requests)),
        loaded(metrics.gauge(Metric::die_specifications_loaded)),
        error_rates(metrics.gauges(Metric::die_specifications_error_rate)),
        reload_success(metrics.gauge(Metric::die_specifications_reload_success)) {}

  Counters& requested;
  prometheus::Counter& lists;
  prometheus::Gauge& loaded;
  Gauges& error_rates;
  prometheus::Gauge& reload_success;
};

}  // namespace dice

// The metrics of dice-roller.
#pragma once

#include "common/telemetry/metrics.h"

namespace dice {

struct RollerMetrics {
  explicit RollerMetrics(Metrics& metrics)
      : rolls(metrics.counters(Metric::dice_rolls)),
        values(metrics.counters(Metric::dice_roll_values)),
        async_rolls(metrics.counters(Metric::async_rolls)),
        batches(metrics.counters(Metric::async_roll_batches)),
        batch_size(metrics.histogram(Metric::async_roll_batch_size, {1, 2, 3, 5, 10, 15, 20})),
        batch_duration(metrics.histogram(Metric::async_roll_duration, {0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 5})),
        work(metrics.counter(Metric::async_roll_work)),
        in_progress(metrics.gauge(Metric::async_rolls_in_progress)),
        die_requests(metrics.counters(Metric::die_service_requests)),
        die_duration(metrics.histogram(Metric::die_service_request_duration,
                                       {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5})),
        in_use(metrics.gauge(Metric::roll_admission_in_use)),
        rejected(metrics.counters(Metric::roll_admission_rejected)),
        breaker(metrics.gauge(Metric::die_service_circuit_breaker_state)) {}

  Counters& rolls;
  Counters& values;
  Counters& async_rolls;
  Counters& batches;
  Histogram& batch_size;
  Histogram& batch_duration;
  prometheus::Counter& work;
  prometheus::Gauge& in_progress;
  Counters& die_requests;
  Histogram& die_duration;
  prometheus::Gauge& in_use;
  Counters& rejected;
  prometheus::Gauge& breaker;
};

}  // namespace dice

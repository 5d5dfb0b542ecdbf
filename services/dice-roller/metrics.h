// The metrics of dice-roller.
#pragma once

#include "common/telemetry/metrics.h"

namespace dice {

struct RollerMetrics {
  explicit RollerMetrics(Metrics& metrics)
      : rolls(metrics.counters("dice_rolls_total", "Individual rolls, including those of batches.")),
        values(metrics.counters("dice_roll_values_total", "Values rolled.")),
        batches(metrics.counters("async_rolls_total", "Batches of rolls at the same time.")),
        batch_size(metrics.histogram("async_roll_batch_size", "Number of rolls in a batch.", {1, 2, 3, 5, 10, 15, 20})),
        batch_duration(metrics.histogram("async_roll_duration_seconds",
                                         "Time from the start of a batch to its last roll.",
                                         {0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 5})),
        work(metrics.counter("async_roll_work_seconds_total", "Total duration of all batch rolls.")),
        in_progress(metrics.gauge("async_rolls_in_progress", "Batch rolls in progress.")),
        die_requests(metrics.counters("die_service_requests_total",
                                      "Calls to die-service by outcome: a status, or unavailable, timeout, invalid, "
                                      "cancelled, circuit_open. Identifiers never seen count as _unknown.")),
        die_duration(metrics.histogram("die_service_request_duration_seconds", "Duration of calls to die-service.",
                                       {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5})),
        rejected(metrics.counters("roll_admission_rejected_total", "Roll requests rejected by admission control.")),
        breaker(metrics.gauge("die_service_circuit_breaker_state", "0 closed, 1 half-open, 2 open.")) {}

  Counters& rolls;
  Counters& values;
  Counters& batches;
  Histogram& batch_size;
  Histogram& batch_duration;
  prometheus::Counter& work;
  prometheus::Gauge& in_progress;
  Counters& die_requests;
  Histogram& die_duration;
  Counters& rejected;
  prometheus::Gauge& breaker;
};

}  // namespace dice

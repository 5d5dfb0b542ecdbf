// The telemetry of rolls and batches: traces, metrics and logs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "common/concurrency/clock.h"
#include "common/http/message.h"
#include "common/telemetry/telemetry.h"
#include "contract/roll.h"
#include "dice-roller/batch.h"
#include "dice-roller/metrics.h"

namespace dice {

/// Thread-safe. All arguments must outlive it.
class RollTelemetry {
 public:
  RollTelemetry(Telemetry& telemetry, RollerMetrics& metrics, Clock& clock)
      : tracing_(telemetry.tracing), log_(telemetry.log), metrics_(metrics), clock_(clock) {}

  /// For /roll, whose span is the request's.
  void single_roll(const Request& request, const Die& die, const Roll& roll);

  /// Call before the request to die-service.
  void batch_requested(const Request& request, const BatchOptions& batch);
  void batch_started(const Request& request, const Die& die, const BatchOptions& batch);
  /// Calls `roll` in a separate span, a child of the request's span.
  Roll roll_of_batch(const Request& request, const Die& die, std::size_t index, const std::function<Roll()>& roll);
  /// `answer` is the response to the client, if the batch succeeded.
  void batch_ended(const Request& request, const Die& die, const BatchResult& result, const BatchAnswer& answer,
                   Seconds duration);

 private:
  void count(const Die& die, const char* mode, const Roll& roll);

  Tracing& tracing_;
  const Logger log_;
  RollerMetrics& metrics_;
  Clock& clock_;
};

}  // namespace dice

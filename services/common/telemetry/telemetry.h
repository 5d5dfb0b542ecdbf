// The three signals of one process: metrics, logs and traces. Created in main, passed down, destroyed last.
#pragma once

#include "common/telemetry/logging.h"
#include "common/telemetry/metrics.h"
#include "common/telemetry/tracing.h"

namespace dice {

struct Telemetry {
  Telemetry(LogSink& sink, LogLevel level, const Tracing::Options& options)
      : log(sink, options.service, level), tracing(options, log) {}

  Metrics metrics;
  Logger log;
  Tracing tracing;
};

}  // namespace dice

// The three signals of one process: metrics, logs and traces. Created in main, passed down, destroyed last.
#pragma once

#include <string>

#include "common/telemetry/logging.h"
#include "common/telemetry/metrics.h"
#include "common/telemetry/tracing.h"

namespace dice {

struct Telemetry {
  Telemetry(LogSink& sink, const LoggingOptions& logging, const Tracing::Options& options)
      : log_memory(logging.memory), log(sink, options.service, logging.level, &log_memory), tracing(options, log) {}

  /// {"lines":[…]}: the log lines of this trace that are still in memory; empty if there are none.
  std::string recent_log_lines(const TraceId& trace) const {
    std::string lines;
    for (const auto& line : log_memory.find(trace)) (lines += lines.empty() ? "" : ",") += *line;
    return lines.empty() ? lines : R"({"lines":[)" + lines + "]}";
  }

  Metrics metrics;
  TraceMemory log_memory;
  Logger log;
  Tracing tracing;
};

}  // namespace dice

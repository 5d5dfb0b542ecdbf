// Tracing options: OpenTelemetry's environment variables and a few of our own.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "common/config/settings.h"
#include "common/telemetry/trace_memory.h"

namespace dice {

/// Limits per span. What exceeds them is left out and counted in the span.
struct SpanLimits {
  /// Maximum characters of a string; -1 = no limit.
  std::int64_t value_length = -1;
  std::size_t attributes = 128;
  std::size_t events = 128;
  std::size_t event_attributes = 128;
};

/// Connection to a collector.
struct OtlpOptions {
  /// The full URL, including the path.
  std::string endpoint = "http://localhost:4318/v1/traces";
  std::vector<std::pair<std::string, std::string>> headers;
  /// Timeout of one attempt.
  std::chrono::milliseconds timeout{10'000};
  bool gzip = false;
  /// Files; empty = the system's CA certificates, and no client certificate.
  std::string certificate;
  std::string client_key;
  std::string client_certificate;
};

struct ExportQueueOptions {
  /// Maximum number of spans not yet in the retry queue.
  std::size_t queue_size = 2048;
  std::size_t batch_size = 512;
  std::chrono::milliseconds schedule_delay{5'000};
  /// Maximum bytes of the batches that wait during an export or for a retry. 0 = failed batches are dropped
  /// immediately.
  std::size_t retry_bytes = 8UL << 20U;
  /// Pause after a failed attempt: doubled each time, up to `max_backoff`.
  std::chrono::milliseconds min_backoff{500};
  std::chrono::milliseconds max_backoff{5'000};
};

struct TracingOptions {
  std::string service = {};
  /// otlp, console (OTLP/JSON on standard error), both (comma-separated), or none.
  std::string exporter = "otlp";
  OtlpOptions otlp = {};
  ExportQueueOptions queue = {};
  std::string sampler = "parentbased_always_on";
  double sampler_ratio = 1.0;
  SpanLimits limits = {};
  /// Limits of the spans kept in memory.
  TraceMemory::Limits memory{.entries = 20'000, .bytes = 32UL << 20U, .trace_bytes = 512UL << 10U};
  /// Only generate ids and record nothing.
  bool disabled = false;
  /// OTEL_* variables that were ignored; they are logged at start.
  std::vector<Settings::Warning> warnings = {};

  /// Declares the OTEL_* variables. `service` is the default of OTEL_SERVICE_NAME.
  static TracingOptions declare(Settings& settings, const std::string& service);
};

}  // namespace dice

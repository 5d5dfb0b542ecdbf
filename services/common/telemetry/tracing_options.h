// What decides which spans are recorded, kept and exported: OpenTelemetry's environment variables and a few of ours.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "common/config/settings.h"
#include "common/telemetry/span_memory.h"

namespace dice {

/// Of one span; what is past them is left out and counted in the span.
struct SpanLimits {
  /// Characters of a string; -1 = any number.
  std::int64_t value_length = -1;
  std::size_t attributes = 128;
  std::size_t events = 128;
  std::size_t event_attributes = 128;
};

/// How a collector is reached.
struct OtlpOptions {
  /// The whole URL, path included.
  std::string endpoint = "http://localhost:4318/v1/traces";
  std::vector<std::pair<std::string, std::string>> headers;
  /// Of one attempt.
  std::chrono::milliseconds timeout{10'000};
  bool gzip = false;
  /// Files; empty = the system's certificates, and no certificate of our own.
  std::string certificate;
  std::string client_key;
  std::string client_certificate;
};

struct ExportQueueOptions {
  /// Spans not yet in a batch.
  std::size_t queue_size = 2048;
  std::size_t batch_size = 512;
  std::chrono::milliseconds schedule_delay{5'000};
  /// Batches that wait while an export is under way or until the collector can be tried again. 0 = a failed batch is
  /// dropped at once.
  std::size_t retry_bytes = 8UL << 20U;
  /// Between two attempts that failed: doubled each time, up to `max_backoff`.
  std::chrono::milliseconds min_backoff{500};
  std::chrono::milliseconds max_backoff{5'000};
};

struct TracingOptions {
  std::string service = {};
  /// otlp, console (OTLP/JSON on standard error), both with a comma between them, or none.
  std::string exporter = "otlp";
  OtlpOptions otlp = {};
  ExportQueueOptions queue = {};
  std::string sampler = "parentbased_always_on";
  double sampler_ratio = 1.0;
  SpanLimits limits = {};
  /// Of the spans kept in memory.
  SpanMemory::Limits memory{};
  /// Ids are made, nothing is recorded.
  bool disabled = false;
  /// To be logged: OTEL_* variables that were ignored.
  std::vector<Settings::Warning> warnings = {};

  /// Declares the OTEL_* variables. `service` is the default of OTEL_SERVICE_NAME.
  static TracingOptions declare(Settings& settings, const std::string& service);
};

}  // namespace dice

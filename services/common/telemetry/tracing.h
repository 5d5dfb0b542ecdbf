// Spans. The only place that includes opentelemetry-cpp is tracing.cc: its headers cost ten seconds a file.
#pragma once

#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

#include "common/config/settings.h"
#include "common/telemetry/logging.h"
#include "common/telemetry/span_memory.h"
#include "common/telemetry/trace_context.h"

namespace dice {

enum class SpanKind { internal, server, client };

using AttributeValue = std::variant<bool, std::int64_t, double, std::string_view>;

/// Keys are OpenTelemetry's semantic conventions where there is one. Strings must be UTF-8.
struct Attribute {
  std::string_view key;
  AttributeValue value;
};

/// One operation. Ends when destroyed, or before by `end`. Move-only; `set`, `event` and `fail` may be called from any
/// thread until it ends. There is no current span: whoever starts a child hands over the parent's `context()`.
class Span {
 public:
  /// Records nothing and has no valid context.
  Span();
  Span(Span&&) noexcept;
  Span& operator=(Span&&) noexcept;
  ~Span();

  const TraceContext& context() const { return context_; }

  void set(std::string_view key, AttributeValue value);
  void event(std::string_view name, std::initializer_list<Attribute> attributes);
  /// Status ERROR with `error.type`.
  void fail(std::string_view error_type);
  void end();

 private:
  friend class Tracing;
  struct Recording;
  std::unique_ptr<Recording> recording_;
  TraceContext context_;
};

/// Makes spans, remembers the recent ones and exports them in batches. Thread-safe.
class Tracing {
 public:
  struct Options {
    std::string service;
    /// otlp, console (OTLP/JSON on standard error) or none.
    std::string exporter = "otlp";
    /// The whole URL, path included.
    std::string endpoint = "http://localhost:4318/v1/traces";
    std::chrono::milliseconds export_timeout{10'000};
    std::string sampler = "parentbased_always_on";
    double sampler_ratio = 1.0;
    std::size_t queue_size = 2048;
    std::size_t batch_size = 512;
    std::chrono::milliseconds schedule_delay{5'000};
    /// Of the spans kept in memory.
    SpanMemory::Limits memory{};
    /// Ids are made, nothing is recorded.
    bool disabled = false;
  };

  /// Declares the OTEL_* variables. `service` is the default of OTEL_SERVICE_NAME.
  static Options declare(Settings& settings, const std::string& service);

  Tracing(const Options& options, const Logger& logger);
  /// As `shutdown`.
  ~Tracing();
  Tracing(const Tracing&) = delete;
  Tracing& operator=(const Tracing&) = delete;

  /// Without a valid `parent` the span is a root.
  Span start(std::string_view name, SpanKind kind, const TraceContext& parent,
             std::initializer_list<Attribute> attributes = {});

  /// A context that no span stands behind, not sampled: for answers that are not traced.
  TraceContext untraced(const TraceContext& parent) const;

  /// What this process remembers of the trace, as OTLP/JSON; empty when it remembers nothing. Takes some 20 ms and, for
  /// as long, 40 times the bytes for a trace as large as it may be.
  std::string remembered(const TraceId& trace) const;

  /// Spans that wait for the exporter or for its answer, that it delivered, and that it could not deliver or that found
  /// the queue full. Read in this order every exported span is in one of them.
  std::uint64_t queued() const;
  std::uint64_t exported() const;
  std::uint64_t dropped() const;

  /// Exports what waits; later spans are lost. Waits at most `limit`, plus one export already under way.
  void shutdown(std::chrono::milliseconds limit);

 private:
  struct Implementation;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace dice

// Spans: how they are made, ended and found again. opentelemetry-cpp stays behind it: its headers cost ten seconds a
// file.
#pragma once

#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "common/telemetry/logging.h"
#include "common/telemetry/trace_context.h"
#include "common/telemetry/tracing_options.h"

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

/// Makes spans, keeps the recent ones and exports them in batches. Thread-safe.
class Tracing {
 public:
  using Options = TracingOptions;

  Tracing(const Options& options, const Logger& logger);
  /// As `shutdown`.
  ~Tracing();
  Tracing(const Tracing&) = delete;
  Tracing& operator=(const Tracing&) = delete;

  /// Without a valid `parent` the span is a root. The sampler sees `attributes`.
  Span start(std::string_view name, SpanKind kind, const TraceContext& parent, std::span<const Attribute> attributes);
  Span start(std::string_view name, SpanKind kind, const TraceContext& parent,
             std::initializer_list<Attribute> attributes = {}) {
    return start(name, kind, parent, std::span(attributes.begin(), attributes.size()));
  }

  /// A context that no span stands behind, not sampled: for answers that are not traced.
  TraceContext untraced(const TraceContext& parent) const;

  /// The trace's spans that this process still keeps, as OTLP/JSON; empty when there are none.
  std::string recent_spans(const TraceId& trace) const;

  /// Spans that wait for an export or are being exported, that were exported, and that were dropped. Read in this order
  /// every span is in one of them. With two exporters a span counts twice.
  std::uint64_t queued() const;
  std::uint64_t exported() const;
  std::uint64_t dropped() const;

  /// Exports what waits, for at most `limit`; what is left then, and later spans, are dropped.
  void shutdown(std::chrono::milliseconds limit);

 private:
  struct Implementation;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace dice

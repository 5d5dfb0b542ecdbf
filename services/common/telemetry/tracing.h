// Tracing: creates, ends and looks up spans. Hides opentelemetry-cpp, whose headers add ten seconds of compile time per
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

/// Keys follow OpenTelemetry's semantic conventions where possible. Strings must be UTF-8.
struct Attribute {
  std::string_view key;
  AttributeValue value;
};

/// A span. Ends with `end` or when destroyed. Move-only; `set`, `event` and `fail` may be called from any thread until
/// it ends. There is no implicit current span: a child is started with its parent's `context()`.
class Span {
 public:
  /// A span that records nothing and has no valid context.
  Span();
  Span(Span&&) noexcept;
  Span& operator=(Span&&) noexcept;
  ~Span();

  const TraceContext& context() const { return context_; }

  void set(std::string_view key, AttributeValue value);
  void event(std::string_view name, std::initializer_list<Attribute> attributes);
  /// Sets the status ERROR and `error.type`.
  void fail(std::string_view error_type);
  void end();

 private:
  friend class Tracing;
  struct Recording;
  std::unique_ptr<Recording> recording_;
  TraceContext context_;
};

/// Creates spans, keeps the recent ones and exports them in batches. Thread-safe.
class Tracing {
 public:
  using Options = TracingOptions;

  Tracing(const Options& options, const Logger& logger);
  /// Calls `shutdown` with 5 s.
  ~Tracing();
  Tracing(const Tracing&) = delete;
  Tracing& operator=(const Tracing&) = delete;

  /// Without a valid `parent`, the span is a root span: of the trace `parent.trace_id` or, if that is all 0, of one
  /// with a random id. The sampler can use `attributes`.
  Span start(std::string_view name, SpanKind kind, const TraceContext& parent, std::span<const Attribute> attributes);
  Span start(std::string_view name, SpanKind kind, const TraceContext& parent,
             std::initializer_list<Attribute> attributes = {}) {
    return start(name, kind, parent, std::span(attributes.begin(), attributes.size()));
  }

  /// A context without a span, not sampled: for responses that are not traced.
  TraceContext untraced(const TraceContext& parent) const;

  /// The recent spans of this trace that are still in memory, and those that have not ended yet, as OTLP/JSON; empty if
  /// there are none.
  std::string recent_spans(const TraceId& trace) const;

  /// Number of spans that are waiting or being exported, that were exported, and that were dropped. Read in this order,
  /// no span is missed. With two exporters, each span counts twice.
  std::uint64_t queued() const;
  std::uint64_t exported() const;
  std::uint64_t dropped() const;

  /// Exports the queued spans within `limit`; drops the rest and all later spans.
  void shutdown(std::chrono::milliseconds limit);

 private:
  struct Implementation;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace dice

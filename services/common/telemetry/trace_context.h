// Trace context: identifies a span and its trace; passed between threads and services.
// W3C Trace Context, https://www.w3.org/TR/trace-context/
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace dice {

using TraceId = std::array<std::uint8_t, 16>;
using SpanId = std::array<std::uint8_t, 8>;

struct TraceContext {
  TraceId trace_id{};
  SpanId span_id{};
  bool sampled = false;
  /// The headers `tracestate` and `baggage`, as passed on.
  std::string state;
  std::string baggage;

  bool valid() const { return trace_id != TraceId{} && span_id != SpanId{}; }
};

/// Lower-case hex, as in the header.
std::string to_hex(const TraceId& id);
std::string to_hex(const SpanId& id);

/// 32 lower-case hex digits, not all zero.
std::optional<TraceId> parse_trace_id(std::string_view text);

/// Ignores white space around the value. Empty if it is malformed.
std::optional<TraceContext> parse_traceparent(std::string_view header);

/// The part of a `tracestate` header, or of several joined with commas, that is passed on: at most 32 members, the
/// first per key, without malformed ones.
std::string parse_tracestate(std::string_view header);

/// The part of `baggage` (https://www.w3.org/TR/baggage/) that is passed on: the first members, up to 8192 bytes,
/// without malformed ones.
std::string parse_baggage(std::string_view header);

/// The value of `traceparent`, and of `traceresponse`.
std::string to_traceparent(const TraceContext& context);

}  // namespace dice

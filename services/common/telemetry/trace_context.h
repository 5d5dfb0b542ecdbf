// Which span of which trace: a value that is handed from thread to thread and from service to service.
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
  /// The headers `tracestate` and `baggage`, as they are handed on.
  std::string state;
  std::string baggage;

  bool valid() const { return trace_id != TraceId{} && span_id != SpanId{}; }
};

/// Lower-case hex, as on the wire.
std::string to_hex(const TraceId& id);
std::string to_hex(const SpanId& id);

/// 32 lower-case hex digits, not all zero.
std::optional<TraceId> parse_trace_id(std::string_view text);

/// The context that the header names, blanks around it aside; nothing when it is malformed.
std::optional<TraceContext> parse_traceparent(std::string_view header);

/// What is handed on of a `tracestate` header, or of several with commas between them: at most 32 members, the first of
/// each key. Malformed members are left out.
std::string parse_tracestate(std::string_view header);

/// What is handed on of `baggage` (https://www.w3.org/TR/baggage/): the first members, up to 8192 bytes. Malformed ones
/// are left out.
std::string parse_baggage(std::string_view header);

/// The value of `traceparent`, and of `traceresponse`.
std::string to_traceparent(const TraceContext& context);

}  // namespace dice

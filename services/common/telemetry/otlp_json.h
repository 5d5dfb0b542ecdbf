// Writes spans as OTLP/JSON: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
#pragma once

#include <span>
#include <string>

#include "common/telemetry/trace_memory.h"

namespace dice {

/// A span, encoded once: opentelemetry.proto.trace.v1.Span.
using EncodedSpan = TraceEntry;

/// The fields of opentelemetry.proto.trace.v1.Span.
namespace span_field {
constexpr unsigned kTraceId = 1;
constexpr unsigned kSpanId = 2;
constexpr unsigned kTraceState = 3;
constexpr unsigned kParentSpanId = 4;
constexpr unsigned kName = 5;
constexpr unsigned kKind = 6;
constexpr unsigned kStart = 7;
constexpr unsigned kEnd = 8;
constexpr unsigned kAttributes = 9;
constexpr unsigned kDroppedAttributes = 10;
constexpr unsigned kEvents = 11;
constexpr unsigned kDroppedEvents = 12;
constexpr unsigned kStatus = 15;
constexpr unsigned kFlags = 16;
}  // namespace span_field

/// The parts common to all spans of a process, encoded as protobuf.
struct SpanSource {
  /// opentelemetry.proto.resource.v1.Resource
  std::string resource;
  /// opentelemetry.proto.common.v1.InstrumentationScope
  std::string scope;
};

/// {"resourceSpans":[…]} without a line break: ids in hex, enumerations as numbers, 64-bit integers as strings. A span
/// that has not ended has no `endTimeUnixNano`. Of spans with the same ids, only the first is written.
std::string to_otlp_json(const SpanSource& source, std::span<const EncodedSpan> spans);

}  // namespace dice

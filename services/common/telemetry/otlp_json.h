// Writes spans as OTLP/JSON: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
#pragma once

#include <span>
#include <string>

#include "common/telemetry/trace_memory.h"

namespace dice {

/// A span, encoded once: opentelemetry.proto.trace.v1.Span.
using EncodedSpan = TraceEntry;

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

#include "common/telemetry/otlp_json.h"

#include <opentelemetry/proto/common/v1/common.pb.h>
#include <opentelemetry/proto/resource/v1/resource.pb.h>
#include <opentelemetry/proto/trace/v1/trace.pb.h>

#include <cstdint>
#include <string_view>
#include <unordered_set>

#include "common/base/json.h"

namespace dice {
namespace {

namespace proto = opentelemetry::proto;
using proto::common::v1::AnyValue;

void write_id(JsonWriter& writer, std::string_view key, std::string_view bytes) {
  constexpr std::string_view kHex = "0123456789abcdef";
  if (bytes.empty()) return;
  std::string text;
  text.reserve(2 * bytes.size());
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    text += {kHex[byte >> 4U], kHex[byte & 0xFU]};
  }
  write_member(writer, key, text);
}

void write_text(JsonWriter& writer, std::string_view key, const std::string& text) {
  if (!text.empty()) write_member(writer, key, text);
}

template <typename Number>
void write_count(JsonWriter& writer, std::string_view key, Number count) {
  if (count != 0) write_member(writer, key, count);
}

/// Only scalars, because this process sets no other values.
void write_any(JsonWriter& writer, const AnyValue& value) {
  writer.StartObject();
  switch (value.value_case()) {
    case AnyValue::kStringValue: write_member(writer, "stringValue", value.string_value()); break;
    case AnyValue::kBoolValue: write_member(writer, "boolValue", value.bool_value()); break;
    case AnyValue::kIntValue: write_member(writer, "intValue", std::to_string(value.int_value())); break;
    case AnyValue::kDoubleValue: write_member(writer, "doubleValue", value.double_value()); break;
    default: break;
  }
  writer.EndObject();
}

template <typename List>
void write_attributes(JsonWriter& writer, const List& attributes) {
  if (attributes.empty()) return;
  write_key(writer, "attributes");
  writer.StartArray();
  for (const auto& attribute : attributes) {
    writer.StartObject();
    write_member(writer, "key", attribute.key());
    write_key(writer, "value");
    write_any(writer, attribute.value());
    writer.EndObject();
  }
  writer.EndArray();
}

void write_event(JsonWriter& writer, const proto::trace::v1::Span::Event& event) {
  writer.StartObject();
  write_member(writer, "timeUnixNano", std::to_string(event.time_unix_nano()));
  write_member(writer, "name", event.name());
  write_attributes(writer, event.attributes());
  write_count(writer, "droppedAttributesCount", event.dropped_attributes_count());
  writer.EndObject();
}

void write_span(JsonWriter& writer, const proto::trace::v1::Span& span) {
  writer.StartObject();
  write_id(writer, "traceId", span.trace_id());
  write_id(writer, "spanId", span.span_id());
  write_text(writer, "traceState", span.trace_state());
  write_id(writer, "parentSpanId", span.parent_span_id());
  write_count(writer, "flags", span.flags());
  write_member(writer, "name", span.name());
  write_member(writer, "kind", static_cast<int>(span.kind()));
  write_member(writer, "startTimeUnixNano", std::to_string(span.start_time_unix_nano()));
  if (span.end_time_unix_nano() != 0) {
    write_member(writer, "endTimeUnixNano", std::to_string(span.end_time_unix_nano()));
  }
  write_attributes(writer, span.attributes());
  write_count(writer, "droppedAttributesCount", span.dropped_attributes_count());
  if (!span.events().empty()) {
    write_key(writer, "events");
    writer.StartArray();
    for (const auto& event : span.events()) write_event(writer, event);
    writer.EndArray();
  }
  write_count(writer, "droppedEventsCount", span.dropped_events_count());
  write_key(writer, "status");
  writer.StartObject();
  write_text(writer, "message", span.status().message());
  write_count(writer, "code", static_cast<int>(span.status().code()));
  writer.EndObject();
  writer.EndObject();
}

}  // namespace

std::string to_otlp_json(const SpanSource& source, std::span<const EncodedSpan> spans) {
  proto::resource::v1::Resource resource;
  proto::common::v1::InstrumentationScope scope;
  (void)resource.ParseFromString(source.resource);
  (void)scope.ParseFromString(source.scope);
  return json_object([&](JsonWriter& writer) {
    write_key(writer, "resourceSpans");
    writer.StartArray();
    writer.StartObject();
    write_key(writer, "resource");
    writer.StartObject();
    write_attributes(writer, resource.attributes());
    writer.EndObject();
    write_key(writer, "scopeSpans");
    writer.StartArray();
    writer.StartObject();
    write_key(writer, "scope");
    writer.StartObject();
    write_member(writer, "name", scope.name());
    write_text(writer, "version", scope.version());
    writer.EndObject();
    write_key(writer, "spans");
    writer.StartArray();
    proto::trace::v1::Span span;
    std::unordered_set<std::string> written;
    for (const auto& one : spans) {
      if (span.ParseFromString(*one) && written.insert(span.trace_id() + span.span_id()).second) {
        write_span(writer, span);
      }
    }
    writer.EndArray();
    writer.EndObject();
    writer.EndArray();
    writer.EndObject();
    writer.EndArray();
  });
}

}  // namespace dice

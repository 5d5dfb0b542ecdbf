#include "common/telemetry/otlp_json.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/json.h"
#include "common/telemetry/wire.h"

namespace dice {
namespace {

/// The fields of a message, in the order in which they were encoded.
std::vector<wire::Field> fields_of(std::string_view message) {
  std::vector<wire::Field> fields;
  wire::Reader reader(message);
  while (const auto field = reader.next()) fields.push_back(*field);
  return fields;
}

/// The last with this number; empty if there is none.
wire::Field last(std::span<const wire::Field> fields, unsigned number) {
  wire::Field found;
  for (const auto& field : fields) {
    if (field.number == number) found = field;
  }
  return found;
}

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

void write_text(JsonWriter& writer, std::string_view key, std::string_view text) {
  if (!text.empty()) write_member(writer, key, text);
}

void write_count(JsonWriter& writer, std::string_view key, std::uint64_t count) {
  if (count != 0) write_member(writer, key, count);
}

void write_time(JsonWriter& writer, std::string_view key, std::uint64_t nanoseconds) {
  write_member(writer, key, std::to_string(nanoseconds));
}

/// opentelemetry.proto.common.v1.AnyValue: only scalars, because this process sets no other values.
void write_any(JsonWriter& writer, std::string_view message) {
  writer.StartObject();
  if (const auto fields = fields_of(message); !fields.empty()) {
    const auto& value = fields.back();
    switch (value.number) {
      case 1: write_member(writer, "stringValue", value.bytes); break;
      case 2: write_member(writer, "boolValue", value.value != 0); break;
      case 3: write_member(writer, "intValue", std::to_string(static_cast<std::int64_t>(value.value))); break;
      case 4: write_member(writer, "doubleValue", std::bit_cast<double>(value.value)); break;
      default: break;
    }
  }
  writer.EndObject();
}

/// Those fields of a message that are opentelemetry.proto.common.v1.KeyValue.
void write_attributes(JsonWriter& writer, std::span<const wire::Field> fields, unsigned number) {
  if (std::ranges::find(fields, number, &wire::Field::number) == fields.end()) return;
  write_key(writer, "attributes");
  writer.StartArray();
  for (const auto& field : fields) {
    if (field.number != number) continue;
    const auto attribute = fields_of(field.bytes);
    writer.StartObject();
    write_member(writer, "key", last(attribute, 1).bytes);
    write_key(writer, "value");
    write_any(writer, last(attribute, 2).bytes);
    writer.EndObject();
  }
  writer.EndArray();
}

void write_event(JsonWriter& writer, std::string_view message) {
  const auto event = fields_of(message);
  writer.StartObject();
  write_time(writer, "timeUnixNano", last(event, 1).value);
  write_member(writer, "name", last(event, 2).bytes);
  write_attributes(writer, event, 3);
  write_count(writer, "droppedAttributesCount", last(event, 4).value);
  writer.EndObject();
}

void write_span(JsonWriter& writer, std::span<const wire::Field> span) {
  writer.StartObject();
  write_id(writer, "traceId", last(span, span_field::kTraceId).bytes);
  write_id(writer, "spanId", last(span, span_field::kSpanId).bytes);
  write_text(writer, "traceState", last(span, span_field::kTraceState).bytes);
  write_id(writer, "parentSpanId", last(span, span_field::kParentSpanId).bytes);
  write_count(writer, "flags", last(span, span_field::kFlags).value);
  write_member(writer, "name", last(span, span_field::kName).bytes);
  write_member(writer, "kind", last(span, span_field::kKind).value);
  write_time(writer, "startTimeUnixNano", last(span, span_field::kStart).value);
  if (const auto end = last(span, span_field::kEnd).value; end != 0) write_time(writer, "endTimeUnixNano", end);
  write_attributes(writer, span, span_field::kAttributes);
  write_count(writer, "droppedAttributesCount", last(span, span_field::kDroppedAttributes).value);
  if (std::ranges::find(span, span_field::kEvents, &wire::Field::number) != span.end()) {
    write_key(writer, "events");
    writer.StartArray();
    for (const auto& field : span) {
      if (field.number == span_field::kEvents) write_event(writer, field.bytes);
    }
    writer.EndArray();
  }
  write_count(writer, "droppedEventsCount", last(span, span_field::kDroppedEvents).value);
  const auto status = fields_of(last(span, span_field::kStatus).bytes);
  write_key(writer, "status");
  writer.StartObject();
  write_text(writer, "message", last(status, 2).bytes);
  write_count(writer, "code", last(status, 3).value);
  writer.EndObject();
  writer.EndObject();
}

}  // namespace

std::string to_otlp_json(const SpanSource& source, std::span<const EncodedSpan> spans) {
  const auto scope = fields_of(source.scope);
  return json_object([&](JsonWriter& writer) {
    write_key(writer, "resourceSpans");
    writer.StartArray();
    writer.StartObject();
    write_key(writer, "resource");
    writer.StartObject();
    write_attributes(writer, fields_of(source.resource), 1);
    writer.EndObject();
    write_key(writer, "scopeSpans");
    writer.StartArray();
    writer.StartObject();
    write_key(writer, "scope");
    writer.StartObject();
    write_member(writer, "name", last(scope, 1).bytes);
    write_text(writer, "version", last(scope, 2).bytes);
    writer.EndObject();
    write_key(writer, "spans");
    writer.StartArray();
    std::set<std::pair<std::string_view, std::string_view>> written;
    for (const auto& one : spans) {
      const auto span = fields_of(*one);
      const auto ids = std::pair(last(span, span_field::kTraceId).bytes, last(span, span_field::kSpanId).bytes);
      if (written.insert(ids).second) write_span(writer, span);
    }
    writer.EndArray();
    writer.EndObject();
    writer.EndArray();
    writer.EndObject();
    writer.EndArray();
  });
}

}  // namespace dice

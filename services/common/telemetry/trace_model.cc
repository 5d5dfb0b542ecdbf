#include "common/telemetry/trace_model.h"

#include <rapidjson/document.h>

#include <algorithm>
#include <array>
#include <utility>

#include "common/base/json.h"
#include "common/base/json_view.h"
#include "contract/names.h"

namespace dice {
namespace {

using rapidjson::Value;
using Allocator = rapidjson::Document::AllocatorType;

std::optional<std::string> base64_to_hex(std::string_view text) {
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  constexpr std::string_view kHex = "0123456789abcdef";
  while (text.ends_with('=')) text.remove_suffix(1);
  std::string hex;
  std::uint32_t bits = 0;
  unsigned count = 0;
  for (const char c : text) {
    const auto digit = kAlphabet.find(c);
    if (digit == std::string_view::npos) return std::nullopt;
    bits = bits << 6U | static_cast<std::uint32_t>(digit);
    count += 6;
    if (count >= 8) {
      count -= 8;
      const auto byte = bits >> count & 0xFFU;
      hex += kHex[byte >> 4U];
      hex += kHex[byte & 0xFU];
    }
  }
  return hex;
}

/// `bytes` is the length of the id. Anything that is not base64 of that length is left unchanged.
void id_to_hex(Value& object, const char* name, std::size_t bytes, Allocator& allocator) {
  const auto member = object.FindMember(name);
  if (member == object.MemberEnd() || !member->value.IsString()) return;
  const std::string_view text(member->value.GetString(), member->value.GetStringLength());
  if (text.size() == 2 * bytes) return;
  const auto hex = base64_to_hex(text);
  if (hex && hex->size() == 2 * bytes)
    member->value.SetString(hex->data(), static_cast<rapidjson::SizeType>(hex->size()), allocator);
}

template <std::size_t N>
void name_to_number(Value& object, const char* name, std::string_view prefix,
                    const std::array<std::string_view, N>& names) {
  const auto member = object.FindMember(name);
  if (member == object.MemberEnd() || !member->value.IsString()) return;
  std::string_view text(member->value.GetString(), member->value.GetStringLength());
  if (!text.starts_with(prefix)) return;
  text.remove_prefix(prefix.size());
  for (std::size_t i = 0; i < N; ++i) {
    if (names[i] == text) return void(member->value.SetInt(static_cast<int>(i)));
  }
}

Value* array(Value& object, const char* name) {
  if (!object.IsObject()) return nullptr;
  const auto member = object.FindMember(name);
  return member != object.MemberEnd() && member->value.IsArray() ? &member->value : nullptr;
}

void convert_span(Value& span, Allocator& allocator) {
  constexpr std::array<std::string_view, 6> kKinds = {"UNSPECIFIED", "INTERNAL", "SERVER",
                                                      "CLIENT",      "PRODUCER", "CONSUMER"};
  constexpr std::array<std::string_view, 3> kCodes = {"UNSET", "OK", "ERROR"};
  id_to_hex(span, "traceId", 16, allocator);
  id_to_hex(span, "spanId", 8, allocator);
  id_to_hex(span, "parentSpanId", 8, allocator);
  name_to_number(span, "kind", "SPAN_KIND_", kKinds);
  const auto status = span.FindMember("status");
  if (status != span.MemberEnd() && status->value.IsObject()) {
    name_to_number(status->value, "code", "STATUS_CODE_", kCodes);
  }
  if (Value* links = array(span, "links")) {
    for (auto& link : links->GetArray()) {
      if (!link.IsObject()) continue;
      id_to_hex(link, "traceId", 16, allocator);
      id_to_hex(link, "spanId", 8, allocator);
    }
  }
}

/// Converts Tempo's variant to standard OTLP/JSON, which is left unchanged. False if it is not a trace.
bool normalize(rapidjson::Document& trace) {
  if (!trace.IsObject()) return false;
  auto& allocator = trace.GetAllocator();
  if (const auto batches = trace.FindMember("batches"); batches != trace.MemberEnd()) {
    batches->name.SetString("resourceSpans", allocator);
  }
  Value* resources = array(trace, "resourceSpans");
  if (resources == nullptr) {
    if (trace.HasMember("resourceSpans")) return false;
    trace.AddMember("resourceSpans", Value(rapidjson::kArrayType), allocator);
    return true;
  }
  for (auto& resource : resources->GetArray()) {
    Value* scopes = array(resource, "scopeSpans");
    if (scopes == nullptr) continue;
    for (auto& scope : scopes->GetArray()) {
      Value* spans = array(scope, "spans");
      if (spans == nullptr) continue;
      for (auto& span : spans->GetArray()) {
        if (span.IsObject()) convert_span(span, allocator);
      }
    }
  }
  return true;
}

std::string string_of(JsonView value) { return std::string(value.text().value_or("")); }

Attributes attributes_of(JsonView owner) {
  Attributes attributes;
  for (const auto one : owner["attributes"].elements()) {
    const auto value = one["value"];
    auto& slot = attributes[string_of(one["key"])];
    if (const auto boolean = value["boolValue"].boolean()) slot = *boolean;
    else if (const auto integer = value["intValue"].integer_or_digits()) slot = *integer;
    else if (const auto number = value["doubleValue"].number()) slot = *number;
    else slot = string_of(value["stringValue"]);
  }
  return attributes;
}

/// opentelemetry.proto.trace.v1.Span.SpanKind
std::optional<SpanKind> kind_of(JsonView value) {
  switch (value.integer().value_or(0)) {
    case 1: return SpanKind::internal;
    case 2: return SpanKind::server;
    case 3: return SpanKind::client;
    default: return std::nullopt;
  }
}

/// Nanoseconds from 1970 to 2116, so that differences and margins fit into 64 bits.
std::int64_t time_of(JsonView value) {
  return std::clamp(value.integer_or_digits().value_or(0), std::int64_t{0}, std::int64_t{1} << 62U);
}

TraceSpan span_of(JsonView value, const std::string& service) {
  constexpr int kError = 2;  // opentelemetry.proto.trace.v1.Status.StatusCode
  TraceSpan span;
  span.trace_id = string_of(value["traceId"]);
  span.id = string_of(value["spanId"]);
  span.parent = string_of(value["parentSpanId"]);
  span.service = service;
  span.name = string_of(value["name"]);
  span.kind = kind_of(value["kind"]);
  span.start_nanoseconds = time_of(value["startTimeUnixNano"]);
  span.end_nanoseconds = time_of(value["endTimeUnixNano"]);
  span.error = value["status"]["code"].integer() == kError;
  span.attributes = attributes_of(value);
  for (const auto event : value["events"].elements()) {
    span.events.push_back({string_of(event["name"]), attributes_of(event)});
  }
  return span;
}

template <typename Type>
std::optional<Type> value_of(const Attributes& attributes, std::string_view key) {
  const auto found = attributes.find(key);
  if (found == attributes.end()) return std::nullopt;
  const auto* value = std::get_if<Type>(&found->second);
  if (value == nullptr) return std::nullopt;
  return *value;
}

/// A trace in standard OTLP/JSON.
std::optional<rapidjson::Document> parse(std::string_view json) {
  auto document = parse_json(json);
  if (!document || !normalize(*document)) return std::nullopt;
  return document;
}

/// Appends to `trace`.
void read_spans(JsonView resource_spans, Trace& trace) {
  const auto resource = attributes_of(resource_spans["resource"]);
  const auto service = value_of<std::string>(resource, attribute::kServiceName).value_or("");
  for (const auto scope : resource_spans["scopeSpans"].elements()) {
    for (const auto span : scope["spans"].elements()) trace.spans.push_back(span_of(span, service));
  }
}

/// Removes the spans with these ids. Whether that leaves no span.
bool remove_spans(Value& resource_spans, const std::set<std::string>& ids) {
  std::size_t removed = 0;
  std::size_t left = 0;
  Value* scopes = array(resource_spans, "scopeSpans");
  if (scopes == nullptr) return false;
  for (auto& scope : scopes->GetArray()) {
    Value* spans = array(scope, "spans");
    if (spans == nullptr) continue;
    for (auto* span = spans->Begin(); span != spans->End();) {
      const auto id = string_of(JsonView(*span)["spanId"]);
      const bool known = !id.empty() && ids.contains(id);
      if (known) span = spans->Erase(span);
      else ++span;
      ++(known ? removed : left);
    }
  }
  return removed > 0 && left == 0;
}

}  // namespace

std::optional<std::int64_t> TraceSpan::integer(std::string_view key) const {
  return value_of<std::int64_t>(attributes, key);
}
std::optional<std::string> TraceSpan::text(std::string_view key) const {
  return value_of<std::string>(attributes, key);
}
std::optional<bool> TraceSpan::boolean(std::string_view key) const { return value_of<bool>(attributes, key); }

const TraceSpan* Trace::find(std::string_view span_id) const {
  const auto found = std::ranges::find(spans, span_id, &TraceSpan::id);
  return found == spans.end() ? nullptr : &*found;
}

std::vector<const TraceSpan*> Trace::rolls() const {
  std::vector<const TraceSpan*> rolls;
  for (const auto& span : spans) {
    if (span.name.starts_with(kRollSpanPrefix)) rolls.push_back(&span);
  }
  std::ranges::sort(rolls, {}, [](const TraceSpan* span) { return span->integer(attribute::kRollIndex); });
  return rolls;
}

std::optional<Trace> parse_trace(std::string_view json) {
  const auto document = parse(json);
  if (!document) return std::nullopt;
  const JsonView root(*document);
  Trace trace;
  trace.complete = root["complete"].boolean();
  for (const auto one : root["resourceSpans"].elements()) read_spans(one, trace);
  return trace;
}

bool JoinedTrace::add(std::string_view json) {
  auto document = parse(json);
  if (!document) return false;
  rapidjson::StringBuffer buffer;
  for (auto& one : (*document)["resourceSpans"].GetArray()) {
    if (!one.IsObject() || remove_spans(one, ids_)) continue;
    const auto known = trace_.spans.size();
    read_spans(JsonView(one), trace_);
    for (auto i = known; i < trace_.spans.size(); ++i) ids_.insert(trace_.spans[i].id);
    if (!resource_spans_.empty() || buffer.GetSize() > 0) buffer.Put(',');
    JsonWriter writer(buffer);
    one.Accept(writer);
  }
  resource_spans_.append(buffer.GetString(), buffer.GetSize());
  return true;
}

}  // namespace dice

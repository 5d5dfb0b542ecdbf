#include "loadgen/trace.h"

#include <algorithm>
#include <queue>
#include <utility>

#include "common/base/json_view.h"
#include "common/telemetry/otlp_json.h"

namespace dice::loadgen {
namespace {

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

TraceSpan span_of(JsonView value, const std::string& service) {
  constexpr int kError = 2;  // opentelemetry.proto.trace.v1.Status.StatusCode
  TraceSpan span;
  span.trace_id = string_of(value["traceId"]);
  span.id = string_of(value["spanId"]);
  span.parent = string_of(value["parentSpanId"]);
  span.service = service;
  span.name = string_of(value["name"]);
  span.kind = kind_of(value["kind"]);
  span.start_nanoseconds = value["startTimeUnixNano"].integer_or_digits().value_or(0);
  span.end_nanoseconds = value["endTimeUnixNano"].integer_or_digits().value_or(0);
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
    if (span.name.starts_with("async_roll_")) rolls.push_back(&span);
  }
  std::ranges::sort(rolls, {}, [](const TraceSpan* span) { return span->integer("async.roll_index"); });
  return rolls;
}

std::optional<Trace> parse_trace(std::string_view json) {
  auto document = parse_json(json);
  if (!document || !to_otlp_json(*document)) return std::nullopt;
  const JsonView root(*document);
  Trace trace;
  trace.complete = root["complete"].boolean();
  for (const auto resource_spans : root["resourceSpans"].elements()) {
    const auto resource = attributes_of(resource_spans["resource"]);
    const auto service = value_of<std::string>(resource, "service.name").value_or("");
    for (const auto scope : resource_spans["scopeSpans"].elements()) {
      for (const auto span : scope["spans"].elements()) trace.spans.push_back(span_of(span, service));
    }
  }
  return trace;
}

std::string describe(const TraceSpan& span) {
  const auto* kind = !span.kind                       ? "KIND? "
                     : *span.kind == SpanKind::server ? "SERVER "
                     : *span.kind == SpanKind::client ? "CLIENT "
                                                      : "";
  return kind + span.name + " of " + (span.service.empty() ? "a service without a name" : span.service);
}

std::size_t greatest_overlap(const std::vector<const TraceSpan*>& spans) {
  std::vector<std::pair<std::int64_t, int>> changes;
  for (const auto* span : spans) {
    changes.emplace_back(span->start_nanoseconds, 1);
    changes.emplace_back(span->end_nanoseconds, -1);
  }
  std::ranges::sort(changes);  // at the same moment an end comes before a start
  int now = 0;
  int most = 0;
  for (const auto& [time, change] : changes) {
    now += change;
    most = std::max(most, now);
  }
  return static_cast<std::size_t>(most);
}

double makespan(const std::vector<double>& seconds, std::size_t workers) {
  std::priority_queue<double, std::vector<double>, std::greater<>> free_at;
  for (std::size_t i = 0; i < workers; ++i) free_at.push(0);
  double last = 0;
  for (const auto one : seconds) {
    const auto end = free_at.top() + one;
    free_at.pop();
    free_at.push(end);
    last = std::max(last, end);
  }
  return last;
}

}  // namespace dice::loadgen

#include "frontend/traces.h"

#include <cstdint>
#include <map>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/json.h"
#include "common/base/json_view.h"
#include "common/telemetry/otlp_json.h"

namespace dice {
namespace {

using rapidjson::Value;

constexpr int kServer = 2;  // opentelemetry.proto.trace.v1.Span.SpanKind
constexpr int kClient = 3;

/// The AnyValue of an attribute; nothing when it is not there.
JsonView attribute(JsonView owner, std::string_view key) {
  for (const auto& one : owner["attributes"].elements()) {
    if (one["key"].text() == key) return one["value"];
  }
  return {};
}

std::int64_t whole_number(JsonView value) { return value["intValue"].integer_or_digits().value_or(0); }

struct Children {
  std::int64_t all = 0;
  std::int64_t rolls = 0;
};

struct SpanFacts {
  std::string_view id;
  std::string_view parent;
  std::string_view service;
  std::int64_t kind = 0;
  std::int64_t status = 0;
  std::int64_t rolls_expected = 0;
};

std::vector<SpanFacts> facts_of(JsonView trace, std::map<std::string_view, Children>& children) {
  std::vector<SpanFacts> spans;
  for (const auto& resource_spans : trace["resourceSpans"].elements()) {
    const auto service = attribute(resource_spans["resource"], "service.name")["stringValue"].text().value_or("");
    for (const auto& scope : resource_spans["scopeSpans"].elements()) {
      for (const auto& span : scope["spans"].elements()) {
        SpanFacts facts;
        facts.id = span["spanId"].text().value_or("");
        facts.parent = span["parentSpanId"].text().value_or("");
        facts.service = service;
        facts.kind = span["kind"].integer().value_or(0);
        facts.status = whole_number(attribute(span, "http.response.status_code"));
        // A batch whose die was not found, or that was not let in, has no rolls; one that was cancelled has them all.
        const bool rolled = attribute(span, "die.type") &&
                            (facts.status == 200 || facts.status == 500 || facts.status == kClientGoneStatus);
        if (facts.kind == kServer && rolled) {
          facts.rolls_expected = whole_number(attribute(span, "async.batch_size"));
        }
        auto& siblings = children[facts.parent];
        ++siblings.all;
        if (attribute(span, "async.roll_index")) ++siblings.rolls;
        spans.push_back(facts);
      }
    }
  }
  return spans;
}

rapidjson::Document parse(const std::string& json) {
  auto document = parse_json(json);
  if (!document || !to_otlp_json(*document)) return {};  // null
  return std::move(*document);
}

}  // namespace

bool is_complete(const Value& trace, std::string_view entry_service) {
  std::map<std::string_view, Children> children;
  const auto spans = facts_of(JsonView(trace), children);
  std::set<std::string_view> ids;
  for (const auto& span : spans) ids.insert(span.id);
  for (const auto& span : spans) {
    const bool entry = span.kind == kServer && span.service == entry_service;
    if (!span.parent.empty() && !ids.contains(span.parent) && !entry) return false;
    if (span.kind == kClient && span.status != 0 && children[span.id].all == 0) return false;
    if (children[span.id].rolls < span.rolls_expected) return false;
  }
  return !spans.empty();
}

Traces::Traces(const Options& options, Telemetry& telemetry, std::string service)
    : options_(options),
      telemetry_(telemetry),
      service_(std::move(service)),
      tempo_({.base_url = options.tempo_url, .name = "Tempo", .max_body_bytes = options.max_body_bytes}),
      die_service_({.base_url = options.die_service_metrics_url,
                    .name = "die-service",
                    .max_body_bytes = options.max_body_bytes}),
      dice_roller_({.base_url = options.dice_roller_metrics_url,
                    .name = "dice-roller",
                    .max_body_bytes = options.max_body_bytes}) {}

std::expected<std::string, Error> Traces::find(const TraceId& id, const std::stop_token& stop) {
  rapidjson::Document trace;
  if (options_.tempo_url.empty()) {
    trace = from_memories(id, stop);
  } else if (auto answer = from_tempo(to_hex(id), stop)) {
    trace = std::move(*answer);
  } else {
    return std::unexpected(std::move(answer.error()));
  }
  if (trace["resourceSpans"].Empty()) {
    return std::unexpected(Error{ErrorCode::trace_not_found, "there is no trace " + to_hex(id) + ", or not yet"});
  }
  rapidjson::StringBuffer buffer;
  JsonWriter writer(buffer);
  writer.StartObject();
  write_member(writer, "complete", is_complete(trace, service_));
  write_key(writer, "resourceSpans");
  trace["resourceSpans"].Accept(writer);
  writer.EndObject();
  return std::string(buffer.GetString(), buffer.GetSize());
}

std::expected<rapidjson::Document, Error> Traces::from_tempo(const std::string& id, const std::stop_token& stop) {
  auto answer = tempo_.get(
      {.path = "/api/traces/" + id, .route = "/api/traces/{trace_id}", .timeout = options_.timeout, .stop = stop},
      nullptr);
  if (!answer) return std::unexpected(std::move(answer.error()));
  if (answer->status == status_of(ErrorCode::trace_not_found)) return parse("{}");
  auto trace = parse(answer->body);
  if (answer->status != 200 || trace.IsNull()) {
    return std::unexpected(Error{ErrorCode::downstream_invalid, "Tempo gave an answer that was not understood"});
  }
  return trace;
}

rapidjson::Document Traces::from_memories(const TraceId& id, const std::stop_token& stop) {
  auto trace = parse("{}");
  auto& all = trace["resourceSpans"];
  const auto add = [&](const std::string& json) {
    const auto part = parse(json);
    if (part.IsNull()) return;
    for (const auto& resource : part["resourceSpans"].GetArray()) {
      all.PushBack(Value(resource, trace.GetAllocator()), trace.GetAllocator());
    }
  };
  if (const auto own = telemetry_.tracing.remembered(id); !own.empty()) add(own);
  for (Client* service : {&dice_roller_, &die_service_}) {
    // One that is down, or remembers nothing, leaves a gap, which `is_complete` sees.
    const auto body = service->get_body({.path = "/debug/spans/" + to_hex(id),
                                         .route = "/debug/spans/{trace_id}",
                                         .timeout = options_.timeout,
                                         .stop = stop},
                                        nullptr);
    if (body) add(*body);
  }
  return trace;
}

}  // namespace dice

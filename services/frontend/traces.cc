#include "frontend/traces.h"

#include <charconv>
#include <map>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "common/json.h"
#include "common/telemetry/otlp_json.h"

namespace dice {
namespace {

using rapidjson::Value;

constexpr int kServer = 2;  // opentelemetry.proto.trace.v1.Span.SpanKind
constexpr int kClient = 3;

const Value* member(const Value& object, const char* name) {
  if (!object.IsObject()) return nullptr;
  const auto found = object.FindMember(name);
  return found == object.MemberEnd() ? nullptr : &found->value;
}

std::string_view text(const Value& object, const char* name) {
  const auto* value = member(object, name);
  if (value == nullptr || !value->IsString()) return {};
  return {value->GetString(), value->GetStringLength()};
}

template <typename Each>
void for_each(const Value& object, const char* name, const Each& each) {
  const auto* list = member(object, name);
  if (list == nullptr || !list->IsArray()) return;
  for (const auto& element : list->GetArray()) each(element);
}

/// The AnyValue of an attribute; null when it is not there.
const Value* attribute(const Value& owner, std::string_view key) {
  const Value* found = nullptr;
  for_each(owner, "attributes", [&](const Value& one) {
    if (text(one, "key") == key) found = member(one, "value");
  });
  return found;
}

/// 64-bit integers are strings in OTLP/JSON; some writers use numbers.
int whole_number(const Value* value) {
  if (value == nullptr) return 0;
  const auto* number = member(*value, "intValue");
  if (number != nullptr && number->IsInt()) return number->GetInt();
  const auto digits = text(*value, "intValue");
  int parsed = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), parsed);
  return parsed;
}

struct Children {
  int all = 0;
  int rolls = 0;
};

struct SpanFacts {
  std::string_view id;
  std::string_view parent;
  std::string_view service;
  int kind = 0;
  int status = 0;
  int rolls_expected = 0;
};

std::vector<SpanFacts> facts_of(const Value& trace, std::map<std::string_view, Children>& children) {
  std::vector<SpanFacts> spans;
  for_each(trace, "resourceSpans", [&](const Value& resource_spans) {
    const auto* resource = member(resource_spans, "resource");
    const auto* service = resource == nullptr ? nullptr : attribute(*resource, "service.name");
    for_each(resource_spans, "scopeSpans", [&](const Value& scope) {
      for_each(scope, "spans", [&](const Value& span) {
        SpanFacts facts;
        facts.id = text(span, "spanId");
        facts.parent = text(span, "parentSpanId");
        if (service != nullptr) facts.service = text(*service, "stringValue");
        const auto* kind = member(span, "kind");
        facts.kind = kind != nullptr && kind->IsInt() ? kind->GetInt() : 0;
        facts.status = whole_number(attribute(span, "http.response.status_code"));
        // A batch whose die was not found, or that was not let in, has no rolls.
        const bool rolled = attribute(span, "die.type") != nullptr && (facts.status == 200 || facts.status == 500);
        if (facts.kind == kServer && rolled) {
          facts.rolls_expected = whole_number(attribute(span, "async.batch_size"));
        }
        auto& siblings = children[facts.parent];
        ++siblings.all;
        if (attribute(span, "async.roll_index") != nullptr) ++siblings.rolls;
        spans.push_back(facts);
      });
    });
  });
  return spans;
}

rapidjson::Document parse(const std::string& json) {
  rapidjson::Document document;
  document.Parse<rapidjson::kParseIterativeFlag | rapidjson::kParseValidateEncodingFlag>(json.data(), json.size());
  if (document.HasParseError() || !to_otlp_json(document)) document.SetNull();
  return document;
}

}  // namespace

bool is_complete(const Value& trace, std::string_view entry_service) {
  std::map<std::string_view, Children> children;
  const auto spans = facts_of(trace, children);
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
      tempo_({.base_url = options.tempo_url, .name = "Tempo"}),
      die_service_({.base_url = options.die_service_metrics_url, .name = "die-service"}),
      dice_roller_({.base_url = options.dice_roller_metrics_url, .name = "dice-roller"}) {}

std::expected<std::string, Error> Traces::find(const TraceId& id) {
  rapidjson::Document trace;
  if (options_.tempo_url.empty()) {
    trace = from_memories(id);
  } else if (auto answer = from_tempo(to_hex(id))) {
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

std::expected<rapidjson::Document, Error> Traces::from_tempo(const std::string& id) {
  auto answer = tempo_.get(
      {.path = "/api/traces/" + id, .route = "/api/traces/{trace_id}", .timeout = options_.timeout}, nullptr);
  if (!answer) return std::unexpected(std::move(answer.error()));
  if (answer->status == status_of(ErrorCode::trace_not_found)) return parse("{}");
  auto trace = parse(answer->body);
  if (answer->status != 200 || trace.IsNull()) {
    return std::unexpected(Error{ErrorCode::downstream_invalid, "Tempo gave an answer that was not understood"});
  }
  return trace;
}

rapidjson::Document Traces::from_memories(const TraceId& id) {
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
    const auto body = service->get_body(
        {.path = "/debug/spans/" + to_hex(id), .route = "/debug/spans/{trace_id}", .timeout = options_.timeout},
        nullptr);
    if (body) add(*body);
  }
  return trace;
}

}  // namespace dice

// Reading OTLP/JSON (standard and Tempo's variant) and writing it.
#include "common/telemetry/otlp_json.h"

#include <doctest/doctest.h>
#include <opentelemetry/proto/common/v1/common.pb.h>
#include <opentelemetry/proto/resource/v1/resource.pb.h>
#include <opentelemetry/proto/trace/v1/trace.pb.h>
#include <rapidjson/document.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "common/telemetry/trace_model.h"

namespace dice {
namespace {

/// `json` converted to standard OTLP/JSON; empty if it is rejected.
std::optional<std::string> converted(const std::string& json) {
  JoinedTrace trace;
  const bool added = trace.add(json);
  CHECK(added == parse_trace(json).has_value());
  if (!added) return std::nullopt;
  return R"({"resourceSpans":[)" + trace.resource_spans() + "]}";
}

/// Without blanks.
std::string compact(const std::string& json) {
  rapidjson::Document document;
  document.Parse(json.data(), json.size());
  REQUIRE_FALSE(document.HasParseError());
  rapidjson::StringBuffer buffer;
  rapidjson::Writer<rapidjson::StringBuffer> writer(buffer);
  document.Accept(writer);
  return buffer.GetString();
}

std::string with_span(const std::string& list, const std::string& span) {
  return "{\"" + list + "\":[{\"scopeSpans\":[{\"spans\":[" + span + "]}]}]}";
}

std::optional<std::string> converted_span(const std::string& span) { return converted(with_span("batches", span)); }

TEST_CASE("OTLP JSON: Tempo's response is converted to the standard") {
  // As Tempo 2.10 answers /api/traces/{id}.
  const auto tempo = R"({"batches":[{
    "resource":{"attributes":[{"key":"service.name","value":{"stringValue":"dice-roller"}}]},
    "scopeSpans":[{"scope":{"name":"dice","version":"3.0.0"},"spans":[{
      "traceId":"CvdlGRbNQ92ESOshHIAxnA==","spanId":"t61rcWkgMzE=","parentSpanId":"AAECAwQFBgc=",
      "traceState":"congo=t61rcWkgMzE","flags":257,
      "name":"GET /roll-async","kind":"SPAN_KIND_SERVER",
      "startTimeUnixNano":"1700000000000000001","endTimeUnixNano":"1700000001000000001",
      "attributes":[{"key":"async.batch_size","value":{"intValue":"5"}},
                    {"key":"note","value":{"stringValue":"SPAN_KIND_CLIENT"}}],
      "events":[{"timeUnixNano":"1700000000500000001","name":"Async roll completed"}],
      "links":[{"traceId":"CvdlGRbNQ92ESOshHIAxnA==","spanId":"t61rcWkgMzE="}],
      "status":{"code":"STATUS_CODE_ERROR","message":"m"}}]}]}]})";
  const auto standard = R"({"resourceSpans":[{
    "resource":{"attributes":[{"key":"service.name","value":{"stringValue":"dice-roller"}}]},
    "scopeSpans":[{"scope":{"name":"dice","version":"3.0.0"},"spans":[{
      "traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"b7ad6b7169203331","parentSpanId":"0001020304050607",
      "traceState":"congo=t61rcWkgMzE","flags":257,
      "name":"GET /roll-async","kind":2,
      "startTimeUnixNano":"1700000000000000001","endTimeUnixNano":"1700000001000000001",
      "attributes":[{"key":"async.batch_size","value":{"intValue":"5"}},
                    {"key":"note","value":{"stringValue":"SPAN_KIND_CLIENT"}}],
      "events":[{"timeUnixNano":"1700000000500000001","name":"Async roll completed"}],
      "links":[{"traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"b7ad6b7169203331"}],
      "status":{"code":2,"message":"m"}}]}]}]})";
  CHECK(converted(tempo) == compact(standard));
  CHECK(converted(standard) == compact(standard));
}

TEST_CASE("OTLP JSON: every kind and every status code has its number") {
  const std::pair<const char*, const char*> kinds[] = {{"SPAN_KIND_UNSPECIFIED", "0"}, {"SPAN_KIND_INTERNAL", "1"},
                                                       {"SPAN_KIND_SERVER", "2"},      {"SPAN_KIND_CLIENT", "3"},
                                                       {"SPAN_KIND_PRODUCER", "4"},    {"SPAN_KIND_CONSUMER", "5"}};
  for (const auto& [name, number] : kinds) {
    CHECK(converted_span("{\"kind\":\"" + std::string(name) + "\"}") ==
          with_span("resourceSpans", "{\"kind\":" + std::string(number) + "}"));
  }
  const std::pair<const char*, const char*> codes[] = {
      {"STATUS_CODE_UNSET", "0"}, {"STATUS_CODE_OK", "1"}, {"STATUS_CODE_ERROR", "2"}};
  for (const auto& [name, number] : codes) {
    CHECK(converted_span("{\"status\":{\"code\":\"" + std::string(name) + "\"}}") ==
          with_span("resourceSpans", "{\"status\":{\"code\":" + std::string(number) + "}}"));
  }
}

TEST_CASE("OTLP JSON: ids of every byte, with the padding or without, become lower-case hex") {
  for (const auto* id : {"//79/Pv6+fg=", "//79/Pv6+fg"}) {
    CHECK(converted_span("{\"spanId\":\"" + std::string(id) + "\"}") ==
          with_span("resourceSpans", "{\"spanId\":\"fffefdfcfbfaf9f8\"}"));
  }
  CHECK(converted_span(R"({"traceId":"AAAAAAAAAAAAAAAAAAAAAQ=="})") ==
        with_span("resourceSpans", R"({"traceId":"00000000000000000000000000000001"})"));
}

TEST_CASE("OTLP JSON: standard input is left unchanged") {
  for (const auto* json : {
           R"({"resourceSpans":[]})",
           R"({"resourceSpans":[{}]})",
           R"({"resourceSpans":[{"scopeSpans":[{"spans":[{}]}]}]})",
           R"({"resourceSpans":[{"scopeSpans":[{"spans":[{"spanId":"b7ad6b7169203331","parentSpanId":""}]}]}]})",
           R"({"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"abcdefabcdefabcdefabcdefabcdefab"}]}]}]})",
           R"({"resourceSpans":[{"scopeSpans":[{"spans":[{"kind":3,"status":{}}]}]}]})",
           R"({"resourceSpans":[{"schemaUrl":"x","more":{"spanId":"t61rcWkgMzE="}}]})",
       }) {
    CHECK(converted(json) == json);
  }
}

TEST_CASE("OTLP JSON: an empty response is an empty trace") {
  CHECK(converted("{}") == R"({"resourceSpans":[]})");
  CHECK(converted(R"({"batches":[]})") == R"({"resourceSpans":[]})");
  CHECK(converted(R"({"resourceSpans":[1,null,"x",[]]})") == R"({"resourceSpans":[]})");
}

TEST_CASE("OTLP JSON: anything that is not a trace is rejected") {
  for (const auto* json : {"[]", "null", "7", "\"batches\"", R"({"batches":{}})", R"({"batches":"none"})",
                           R"({"resourceSpans":null})", R"({"resourceSpans":1})"}) {
    CAPTURE(json);
    CHECK_FALSE(converted(json));
  }
}

TEST_CASE("OTLP JSON: invalid parts within a trace are ignored") {
  for (const auto* json : {
           R"({"resourceSpans":[{"scopeSpans":7}]})",
           R"({"resourceSpans":[{"scopeSpans":[1,{"spans":{}}]}]})",
           R"({"resourceSpans":[{"scopeSpans":[{"spans":[null,1,[],"x"]}]}]})",
           R"({"resourceSpans":[{"scopeSpans":[{"spans":[{"spanId":7,"kind":"OTHER","status":"bad","links":3}]}]}]})",
           R"({"resourceSpans":[{"scopeSpans":[{"spans":[{"spanId":"not base64!","links":[1]}]}]}]})",
           R"({"resourceSpans":[{"scopeSpans":[{"spans":[{"kind":"SPAN_KIND_NEW","status":{"code":9}}]}]}]})",
       }) {
    CHECK(converted(json) == json);
  }
}

TEST_CASE("OTLP JSON: deeply nested input is rejected; brackets in strings do not count") {
  const std::string deep(100'000, '[');
  CHECK_FALSE(converted(R"({"resourceSpans":[{"x":)" + deep + std::string(100'000, ']') + "}]}"));
  const auto text = R"({"resourceSpans":[{"x":"\"\\)" + deep + R"("}]})";
  CHECK(converted(text) == text);
}

TEST_CASE("OTLP JSON: times are limited to those that can be subtracted from each other") {
  constexpr std::int64_t kMax = std::int64_t{1} << 62U;
  for (const auto& [text, time] : {std::pair("-1", std::int64_t{0}),
                                   {"-9223372036854775808", 0},
                                   {"18446744073709551615", 0},
                                   {"4611686018427387904", kMax},
                                   {"9223372036854775807", kMax}}) {
    const auto trace = parse_trace(with_span("batches", R"({"startTimeUnixNano":")" + std::string(text) + R"("})"));
    REQUIRE(trace->spans.size() == 1);
    CHECK(trace->spans[0].start_nanoseconds == time);
  }
}

TEST_CASE("OTLP JSON: the parts of several sources are joined to one trace") {
  JoinedTrace trace;
  CHECK(trace.add(with_span("resourceSpans", R"({"spanId":"b7ad6b7169203331"})")));
  CHECK_FALSE(trace.add("no JSON"));
  CHECK_FALSE(trace.add(""));
  CHECK(trace.add(R"({"resourceSpans":[]})"));
  CHECK(trace.add(with_span("batches", R"({"spanId":"t61rcWkgMzI="})")));
  REQUIRE(trace.trace().spans.size() == 2);
  CHECK(trace.trace().spans[0].id == "b7ad6b7169203331");
  CHECK(trace.trace().spans[1].id == "b7ad6b7169203332");
  CHECK(trace.resource_spans() == R"({"scopeSpans":[{"spans":[{"spanId":"b7ad6b7169203331"}]}]},)"
                                  R"({"scopeSpans":[{"spans":[{"spanId":"b7ad6b7169203332"}]}]})");
}

namespace proto = opentelemetry::proto;

template <typename List>
proto::common::v1::AnyValue& add_attribute(List& list, const std::string& key) {
  auto& attribute = *list.Add();
  attribute.set_key(key);
  return *attribute.mutable_value();
}

TEST_CASE("OTLP JSON: a span is written in standard form and read back") {
  proto::resource::v1::Resource resource;
  add_attribute(*resource.mutable_attributes(), "service.name").set_string_value("dice-roller");
  proto::common::v1::InstrumentationScope scope;
  scope.set_name("dice");
  scope.set_version("3.0.0");
  proto::trace::v1::Span span;
  span.set_trace_id(std::string(15, '\0') + '\x01');
  span.set_span_id(std::string("\xFF\xFE\0\0\0\0\0\x0A", 8));
  span.set_parent_span_id(std::string(8, '\x7F'));
  span.set_trace_state("a=1");
  span.set_flags(1);
  span.set_name("GET \"/roll\"\n");
  span.set_kind(proto::trace::v1::Span::SPAN_KIND_SERVER);
  span.set_start_time_unix_nano(1'700'000'000'000'000'001);
  span.set_end_time_unix_nano(std::numeric_limits<std::int64_t>::max());
  auto& attributes = *span.mutable_attributes();
  add_attribute(attributes, "text").set_string_value("caf\xC3\xA9");
  add_attribute(attributes, "yes").set_bool_value(true);
  add_attribute(attributes, "int").set_int_value(-7);
  add_attribute(attributes, "half").set_double_value(0.5);
  span.set_dropped_attributes_count(2);
  auto& event = *span.add_events();
  event.set_time_unix_nano(3);
  event.set_name("e");
  add_attribute(*event.mutable_attributes(), "i").set_int_value(1);
  event.set_dropped_attributes_count(4);
  span.set_dropped_events_count(5);
  span.mutable_status()->set_code(proto::trace::v1::Status::STATUS_CODE_ERROR);
  const std::vector<EncodedSpan> spans = {std::make_shared<const std::string>(span.SerializeAsString()),
                                          std::make_shared<const std::string>("")};
  const auto json = to_otlp_json({resource.SerializeAsString(), scope.SerializeAsString()}, spans);
  CHECK(json == compact(R"({"resourceSpans":[{
    "resource":{"attributes":[{"key":"service.name","value":{"stringValue":"dice-roller"}}]},
    "scopeSpans":[{"scope":{"name":"dice","version":"3.0.0"},"spans":[{
      "traceId":"00000000000000000000000000000001","spanId":"fffe00000000000a","traceState":"a=1",
      "parentSpanId":"7f7f7f7f7f7f7f7f","flags":1,"name":"GET \"/roll\"\n","kind":2,
      "startTimeUnixNano":"1700000000000000001","endTimeUnixNano":"9223372036854775807",
      "attributes":[{"key":"text","value":{"stringValue":"café"}},{"key":"yes","value":{"boolValue":true}},
                    {"key":"int","value":{"intValue":"-7"}},{"key":"half","value":{"doubleValue":0.5}}],
      "droppedAttributesCount":2,
      "events":[{"timeUnixNano":"3","name":"e","attributes":[{"key":"i","value":{"intValue":"1"}}],
                 "droppedAttributesCount":4}],
      "droppedEventsCount":5,"status":{"code":2}},
     {"name":"","kind":0,"startTimeUnixNano":"0","status":{}}]}]}]})"));
  const auto read = parse_trace(json);
  REQUIRE(read);
  REQUIRE(read->spans.size() == 2);
  CHECK(read->spans[0].service == "dice-roller");
  CHECK(read->spans[0].kind == SpanKind::server);
  CHECK(read->spans[0].integer("int") == -7);
  CHECK(read->spans[0].error);
  CHECK_FALSE(read->spans[0].open());
  CHECK(read->spans[1].open());
  CHECK(converted(json) == json);
}

TEST_CASE("OTLP JSON: a span that is there twice is written once, as the first") {
  proto::trace::v1::Span span;
  span.set_trace_id(std::string(16, '\x01'));
  span.set_span_id(std::string(8, '\x01'));
  span.set_end_time_unix_nano(7);
  const auto ended = std::make_shared<const std::string>(span.SerializeAsString());
  span.clear_end_time_unix_nano();
  const auto open = std::make_shared<const std::string>(span.SerializeAsString());
  const std::vector<EncodedSpan> both = {ended, open};
  const auto read = parse_trace(to_otlp_json({}, both));
  REQUIRE(read);
  REQUIRE(read->spans.size() == 1);
  CHECK(read->spans[0].end_nanoseconds == 7);
}

TEST_CASE("OTLP JSON: a span that two sources of a trace have is taken from the first") {
  const auto resource = [](const std::string& service, const std::string& spans) {
    return R"({"resource":{"attributes":[{"key":"service.name","value":{"stringValue":")" + service +
           R"("}}]},"scopeSpans":[{"spans":[)" + spans + "]}]}";
  };
  const auto source = [](const std::string& resources) { return R"({"resourceSpans":[)" + resources + "]}"; };
  const std::string a = R"({"spanId":"000000000000000a","name":"first"})";
  const std::string a_again = R"({"spanId":"AAAAAAAAAAo=","name":"second"})";
  const std::string b = R"({"spanId":"000000000000000b","name":"b"})";
  const std::string nameless = R"({"name":"without an id"})";
  JoinedTrace trace;
  CHECK(trace.add(source(resource("x", a))));
  CHECK(trace.add(source(resource("x", a_again) + "," + resource("y", b + "," + a_again + "," + nameless))));
  CHECK(trace.add(source(resource("x", a + "," + a))));
  CHECK(trace.trace().spans.size() == 3);
  CHECK(trace.resource_spans() == resource("x", a) + "," + resource("y", b + "," + nameless));
}

}  // namespace
}  // namespace dice

#include "common/telemetry/otlp_json.h"

#include <doctest/doctest.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <optional>
#include <string>

namespace dice {
namespace {

using rapidjson::Document;

std::string written(const Document& document) {
  rapidjson::StringBuffer buffer;
  rapidjson::Writer<rapidjson::StringBuffer> writer(buffer);
  document.Accept(writer);
  return buffer.GetString();
}

/// What becomes of `json`, without blanks; nothing when it is refused.
std::optional<std::string> converted(const std::string& json) {
  Document document;
  document.Parse(json.data(), json.size());
  REQUIRE_FALSE(document.HasParseError());
  if (!to_otlp_json(document)) return std::nullopt;
  return written(document);
}

std::string compact(const std::string& json) {
  Document document;
  document.Parse(json.data(), json.size());
  REQUIRE_FALSE(document.HasParseError());
  return written(document);
}

std::string with_span(const std::string& list, const std::string& span) {
  return "{\"" + list + "\":[{\"scopeSpans\":[{\"spans\":[" + span + "]}]}]}";
}

std::optional<std::string> converted_span(const std::string& span) { return converted(with_span("batches", span)); }

TEST_CASE("OTLP JSON: Tempo's answer becomes standard") {
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

TEST_CASE("OTLP JSON: what is standard already is left as it is, in every part") {
  for (const auto* json : {
           R"({"resourceSpans":[]})",
           R"({"resourceSpans":[{}]})",
           R"({"resourceSpans":[{"scopeSpans":[{"spans":[{}]}]}]})",
           R"({"resourceSpans":[{"scopeSpans":[{"spans":[{"spanId":"b7ad6b7169203331","parentSpanId":""}]}]}]})",
           R"({"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"abcdefabcdefabcdefabcdefabcdefab"}]}]}]})",
           R"({"resourceSpans":[{"scopeSpans":[{"spans":[{"kind":3,"status":{}}]}]}]})",
           R"({"resourceSpans":[{"schemaUrl":"x","more":{"spanId":"t61rcWkgMzE="}}],"also":1})",
       }) {
    CHECK(converted(json) == json);
  }
}

TEST_CASE("OTLP JSON: an empty answer is an empty trace") {
  CHECK(converted("{}") == R"({"resourceSpans":[]})");
  CHECK(converted(R"({"batches":[]})") == R"({"resourceSpans":[]})");
}

TEST_CASE("OTLP JSON: what has not the shape of a trace is refused") {
  for (const auto* json : {"[]", "null", "7", "\"batches\"", R"({"batches":{}})", R"({"batches":"none"})",
                           R"({"resourceSpans":null})", R"({"resourceSpans":1})"}) {
    CAPTURE(json);
    CHECK_FALSE(converted(json));
  }
}

TEST_CASE("OTLP JSON: odd parts within a trace are passed over") {
  for (const auto* json : {
           R"({"resourceSpans":[1,null,"x",[]]})",
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

}  // namespace
}  // namespace dice

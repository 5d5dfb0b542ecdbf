#include <doctest/doctest.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "frontend/traces.h"

namespace dice {
namespace {

enum class Kind { internal = 1, server = 2, client = 3 };

struct S {
  std::string id;
  std::string parent;
  std::string service;
  Kind kind;
  /// 0 = the attribute is absent.
  int status = 200;
  /// Of a batch's server span.
  int batch_size = 0;
  bool is_roll = false;
  bool has_die = true;
  bool open = false;
};

using Spans = std::vector<S>;

std::string attribute(const std::string& key, const std::string& value) {
  return "{\"key\":\"" + key + "\",\"value\":{" + value + "}}";
}

/// OTLP/JSON with a separate resource per span.
std::string to_json(const Spans& trace, bool numbers_as_text = true) {
  const auto number = [&](int value) {
    const auto text = std::to_string(value);
    return numbers_as_text ? "\"intValue\":\"" + text + "\"" : "\"intValue\":" + text;
  };
  std::string all;
  for (const auto& span : trace) {
    std::string attributes = attribute("url.path", "\"stringValue\":\"/\"");
    if (span.status != 0) attributes += "," + attribute("http.response.status_code", number(span.status));
    if (span.batch_size != 0) attributes += "," + attribute("async.batch_size", number(span.batch_size));
    if (span.is_roll) attributes += "," + attribute("async.roll_index", number(0));
    if (span.has_die && (span.is_roll || span.batch_size != 0)) {
      attributes += "," + attribute("die.type", "\"stringValue\":\"fair\"");
    }
    all += (all.empty() ? "" : ",") + std::string("{\"resource\":{\"attributes\":[") +
           attribute("service.name", "\"stringValue\":\"" + span.service + "\"") +
           "]},\"scopeSpans\":[{\"spans\":[{\"spanId\":\"" + span.id + "\"" +
           (span.parent.empty() ? "" : ",\"parentSpanId\":\"" + span.parent + "\"") + ",\"startTimeUnixNano\":\"1\"" +
           (span.open ? "" : ",\"endTimeUnixNano\":\"2\"") +
           ",\"kind\":" + std::to_string(static_cast<int>(span.kind)) + ",\"attributes\":[" + attributes + "]}]}]}";
  }
  return "{\"resourceSpans\":[" + all + "]}";
}

bool complete(const std::string& json) {
  const auto trace = parse_trace(json);
  return trace && is_complete(*trace, "frontend");
}

bool complete(const Spans& trace) { return complete(to_json(trace)); }

/// GET /roll through the frontend; ids begin with `name`.
Spans sync_trace(const std::string& name = "", const std::string& parent = "") {
  return {{name + "f", parent, "frontend", Kind::server},
          {name + "fc", name + "f", "frontend", Kind::client},
          {name + "r", name + "fc", "dice-roller", Kind::server},
          {name + "rc", name + "r", "dice-roller", Kind::client},
          {name + "d", name + "rc", "die-service", Kind::server}};
}

/// GET /roll-async: N + 5 spans.
Spans batch_trace(int times, const std::string& name = "", const std::string& parent = "", int status = 200) {
  auto trace = sync_trace(name, parent);
  for (auto index : {0UL, 1UL, 2UL}) trace[index].status = status;
  trace[2].batch_size = times;
  for (int i = 0; i < times; ++i) {
    trace.push_back({name + "roll" + std::to_string(i), name + "r", "dice-roller", Kind::internal, 0, 0, true});
  }
  return trace;
}

Spans without(Spans trace, std::size_t index) {
  trace.erase(trace.begin() + static_cast<std::ptrdiff_t>(index));
  return trace;
}

Spans joined(Spans one, const Spans& other) {
  one.insert(one.end(), other.begin(), other.end());
  return one;
}

/// Checks that it is complete, but not without any one of its spans, in any order.
void check_needs_every_span(const Spans& trace) {
  CHECK(complete(trace));
  CHECK(complete(Spans(trace.rbegin(), trace.rend())));
  for (std::size_t i = 0; i < trace.size(); ++i) {
    CAPTURE(trace[i].id);
    CHECK_FALSE(complete(without(trace, i)));
  }
}

TEST_CASE("trace completeness: a roll is complete with its five spans and with no fewer") {
  check_needs_every_span(sync_trace());
}

TEST_CASE("trace completeness: a batch of N is complete with N + 5 spans and with no fewer") {
  for (const int times : {1, 5, 20}) {
    CHECK(batch_trace(times).size() == static_cast<std::size_t>(times) + 5);
    check_needs_every_span(batch_trace(times));
  }
}

TEST_CASE("trace completeness: a failed batch has all of its rolls, too") {
  check_needs_every_span(batch_trace(4, "", "", 500));
}

TEST_CASE("trace completeness: a batch that never rolled is complete without rolls") {
  // Rejected, circuit open, die-service down or too slow: async.batch_size is known, the die is not.
  for (const int status : {404, 502, 503, 504}) {
    auto trace = batch_trace(0, "", "", status);
    trace[2].batch_size = 5;
    trace[2].has_die = false;
    trace[4].status = status;
    CHECK(complete(trace));
  }
  auto no_threads = batch_trace(0, "", "", 503);  // the die was fetched, then there were no threads
  no_threads[2].batch_size = 5;
  CHECK(complete(no_threads));
}

TEST_CASE("trace completeness: a call to a service that is down has no server span") {
  auto trace = sync_trace();
  trace.pop_back();
  trace[3].status = 0;  // no answer
  CHECK(complete(trace));
  trace[3].status = 500;  // a response, so a server sent it
  CHECK_FALSE(complete(trace));
  CHECK(complete(Spans{{"f", "", "frontend", Kind::server, 502}, {"fc", "f", "frontend", Kind::client, 0}}));
  CHECK_FALSE(complete(Spans{{"f", "", "frontend", Kind::server}, {"fc", "f", "frontend", Kind::client}}));
}

TEST_CASE("trace completeness: the parent of the frontend's span may be unknown") {
  check_needs_every_span(batch_trace(3, "", "feedfeedfeedfeed"));
  // ... of the frontend only.
  CHECK_FALSE(complete(Spans{{"r", "feedfeedfeedfeed", "dice-roller", Kind::server}}));
  CHECK_FALSE(complete(Spans{{"x", "feedfeedfeedfeed", "frontend", Kind::client, 0}}));
  CHECK_FALSE(complete(Spans{{"x", "feedfeedfeedfeed", "frontend", Kind::internal, 0}}));
}

TEST_CASE("trace completeness: a trace of several frontend requests needs the spans of each") {
  check_needs_every_span(joined(batch_trace(2, "a", "feedfeedfeedfeed"), batch_trace(3, "b", "feedfeedfeedfeed")));
  check_needs_every_span(joined(sync_trace("a", "feedfeedfeedfeed"), batch_trace(1, "b", "beefbeefbeefbeef")));
}

TEST_CASE("trace completeness: rolls of one batch do not count for another") {
  auto trace = joined(batch_trace(2, "a"), batch_trace(2, "b"));
  trace.back().parent = "ar";  // three of a's, one of b's
  CHECK_FALSE(complete(trace));
}

TEST_CASE("trace completeness: other children of a batch are not counted as rolls") {
  auto trace = batch_trace(2);
  trace.back().is_roll = false;
  CHECK_FALSE(complete(trace));
}

TEST_CASE("trace completeness: a request without downstream calls needs only its own span") {
  CHECK(complete(Spans{{"f", "", "frontend", Kind::server}}));
}

TEST_CASE("trace completeness: a trace with a span that has not ended is not complete") {
  auto trace = batch_trace(2);
  for (auto& span : trace) {
    span.open = true;
    CHECK_FALSE(complete(trace));
    span.open = false;
  }
  CHECK(complete(trace));
}

TEST_CASE("trace completeness: an empty trace is not complete") {
  CHECK_FALSE(complete(Spans{}));
  CHECK_FALSE(complete(R"({"resourceSpans":[{"scopeSpans":[{"spans":[]}]}]})"));
  CHECK_FALSE(complete("{}"));
}

TEST_CASE("trace completeness: integers may be strings, as in OTLP, or numbers") {
  for (const bool as_text : {true, false}) {
    CHECK(complete(to_json(batch_trace(3), as_text)));
    CHECK_FALSE(complete(to_json(without(batch_trace(3), 7), as_text)));
    CHECK_FALSE(complete(to_json(without(batch_trace(3), 4), as_text)));
  }
}

TEST_CASE("trace completeness: invalid parts do not crash it") {
  for (
      const auto* json :
      {"[]", "7", R"({"resourceSpans":7})", R"({"resourceSpans":[7,{"scopeSpans":[7,{"spans":[7]}]}]})",
       R"({"resourceSpans":[{"resource":7,"scopeSpans":[{"spans":[{"spanId":7,"kind":"x","attributes":[7,{}]}]}]}]})",
       R"({"resourceSpans":[{"scopeSpans":[{"spans":[{"attributes":[{"key":"http.response.status_code","value":7}]}]}]}]})"}) {
    CAPTURE(json);
    (void)complete(json);
  }
}

}  // namespace
}  // namespace dice

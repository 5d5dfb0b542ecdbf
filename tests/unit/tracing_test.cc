// Recording of spans: attributes, limits, and the recent spans.
#include "common/telemetry/tracing.h"

#include <doctest/doctest.h>
#include <fcntl.h>

#include <algorithm>
#include <atomic>
#include <limits>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "common/telemetry/trace_model.h"

namespace dice {
namespace {

struct Recorder {
  explicit Recorder(const SpanLimits& limits, const std::string& sampler = "always_on", double ratio = 1)
      : tracing(options(limits, sampler, ratio), Logger(sink, "test", LogLevel::error)) {}

  static TracingOptions options(const SpanLimits& limits, const std::string& sampler = "always_on", double ratio = 1) {
    TracingOptions made;
    made.sampler = sampler;
    made.sampler_ratio = ratio;
    made.service = "test";
    made.exporter = "none";
    made.limits = limits;
    return made;
  }

  LogSink sink{::open("/dev/null", O_WRONLY | O_CLOEXEC)};
  Tracing tracing;
};

/// The only span of its trace, as OTLP/JSON.
TraceSpan ended(Recorder& recorder, Span span, std::string* json = nullptr) {
  const auto id = span.context().trace_id;
  span.end();
  const auto text = recorder.tracing.recent_spans(id);
  if (json != nullptr) *json = text;
  const auto trace = parse_trace(text);
  REQUIRE(trace);
  REQUIRE(trace->spans.size() == 1);
  return trace->spans[0];
}

TEST_CASE("tracing: a span has everything that was set; the later value of a key counts") {
  Recorder recorder({});
  auto span = recorder.tracing.start("GET /x", SpanKind::server, {}, {{"a", std::int64_t{1}}, {"b", true}});
  span.set("a", std::string_view("two"));
  span.set("c", 0.5);
  span.event("e", {{"k", std::string_view("v")}});
  span.fail("bad");
  const auto context = span.context();
  const auto read = ended(recorder, std::move(span));
  CHECK(read.name == "GET /x");
  CHECK(read.kind == SpanKind::server);
  CHECK(read.service == "test");
  CHECK(read.id == to_hex(context.span_id));
  CHECK(read.parent.empty());
  CHECK(read.text("a") == "two");
  CHECK(read.boolean("b") == true);
  CHECK(std::get<double>(read.attributes.at("c")) == 0.5);
  CHECK(read.text("error.type") == "bad");
  CHECK(read.error);
  REQUIRE(read.events.size() == 1);
  CHECK(std::get<std::string>(read.events[0].attributes.at("k")) == "v");
  CHECK(read.end_nanoseconds >= read.start_nanoseconds);
}

TEST_CASE("tracing: a value of any length can replace another, and the others stay") {
  // A length takes two bytes from 128, and three from 16384.
  const std::vector<std::size_t> lengths = {0, 1, 110, 120, 127, 128, 129, 16'383, 16'384, 20'000};
  for (const auto first : lengths) {
    for (const auto second : lengths) {
      CAPTURE(first);
      CAPTURE(second);
      Recorder recorder({});
      auto span = recorder.tracing.start("x", SpanKind::internal, {}, {{"before", std::int64_t{-1}}});
      span.set("changed", std::string(first, 'a'));
      span.set("after", std::string(first, 'b'));
      span.set(std::string(first + 1, 'k'), true);
      span.set("changed", std::string(second, 'c'));
      span.set("before", std::string(second, 'd'));
      span.set("changed", std::string(first, 'e'));
      const auto read = ended(recorder, std::move(span));
      CHECK(read.attributes.size() == 4);
      CHECK(read.text("changed") == std::string(first, 'e'));
      CHECK(read.text("after") == std::string(first, 'b'));
      CHECK(read.text("before") == std::string(second, 'd'));
      CHECK(read.boolean(std::string(first + 1, 'k')) == true);
    }
  }
}

TEST_CASE("tracing: numbers at both ends") {
  Recorder recorder({});
  auto span = recorder.tracing.start("x", SpanKind::internal, {}, {});
  span.set("least", std::numeric_limits<std::int64_t>::min());
  span.set("most", std::numeric_limits<std::int64_t>::max());
  span.set("zero", std::int64_t{0});
  span.set("small", std::numeric_limits<double>::denorm_min());
  span.set("no", false);
  const auto read = ended(recorder, std::move(span));
  CHECK(std::get<std::int64_t>(read.attributes.at("least")) == std::numeric_limits<std::int64_t>::min());
  CHECK(std::get<std::int64_t>(read.attributes.at("most")) == std::numeric_limits<std::int64_t>::max());
  CHECK(std::get<std::int64_t>(read.attributes.at("zero")) == 0);
  CHECK(std::get<double>(read.attributes.at("small")) == std::numeric_limits<double>::denorm_min());
  CHECK(read.boolean("no") == false);
}

TEST_CASE("tracing: attributes and events above the limits are dropped and counted") {
  Recorder recorder({.attributes = 2, .events = 1, .event_attributes = 1});
  auto span = recorder.tracing.start("x", SpanKind::internal, {}, {{"a", true}, {"b", true}, {"c", true}});
  span.set("d", true);
  span.set("a", false);  // allowed, because the key exists already
  for (int i = 0; i < 3; ++i) span.event("e", {{"k", true}, {"l", true}});
  std::string json;
  const auto read = ended(recorder, std::move(span), &json);
  CHECK(read.attributes.size() == 2);
  CHECK(read.boolean("a") == false);
  CHECK(json.find(R"("droppedAttributesCount":2)") != std::string::npos);
  REQUIRE(read.events.size() == 1);
  CHECK(read.events[0].attributes.size() == 1);
  CHECK(json.find(R"("droppedAttributesCount":1)") != std::string::npos);
  CHECK(json.find(R"("droppedEventsCount":2)") != std::string::npos);
}

TEST_CASE("tracing: long text is truncated between characters") {
  for (const auto& [limit, expected] : {std::pair<std::int64_t, std::string>{-1, "caf\xC3\xA9s"},
                                        {0, ""},
                                        {3, "caf"},
                                        {4, "caf\xC3\xA9"},
                                        {5, "caf\xC3\xA9s"},
                                        {100, "caf\xC3\xA9s"}}) {
    Recorder recorder({.value_length = limit});
    auto span = recorder.tracing.start("a long name", SpanKind::internal, {}, {{"a", "caf\xC3\xA9s"}});
    span.event("e", {{"k", "caf\xC3\xA9s"}});
    const auto read = ended(recorder, std::move(span));
    CHECK(read.name == "a long name");
    CHECK(read.text("a") == expected);
    CHECK(std::get<std::string>(read.events.at(0).attributes.at("k")) == expected);
  }
}

TEST_CASE("tracing: a child has its parent's trace, and both are kept") {
  Recorder recorder({});
  auto parent = recorder.tracing.start("parent", SpanKind::server, {});
  auto child = recorder.tracing.start("child", SpanKind::internal, parent.context());
  CHECK(child.context().trace_id == parent.context().trace_id);
  const auto id = parent.context().trace_id;
  child.end();
  parent.end();
  const auto trace = parse_trace(recorder.tracing.recent_spans(id));
  REQUIRE(trace);
  REQUIRE(trace->spans.size() == 2);
  CHECK(trace->spans[0].parent == trace->spans[1].id);
  CHECK(recorder.tracing.recent_spans(TraceId{1}).empty());
}

TEST_CASE("tracing: a root span can be given its trace id; the sampler decides as for any other root") {
  TraceContext given;
  given.trace_id = *parse_trace_id("0af7651916cd43dd8448eb211c80319c");
  Recorder recorder({}, "parentbased_always_on");
  for (int i = 0; i < 2; ++i) {
    auto span = recorder.tracing.start("given", SpanKind::server, given);
    CHECK(span.context().trace_id == given.trace_id);
    CHECK(span.context().sampled);
  }
  const auto trace = parse_trace(recorder.tracing.recent_spans(given.trace_id));
  REQUIRE(trace);
  REQUIRE(trace->spans.size() == 2);  // several roots may have the same id
  CHECK(trace->spans[0].id != trace->spans[1].id);
  for (const auto& span : trace->spans) CHECK(span.parent.empty());
  // The id is not used again, neither on this thread nor for the children of others.
  auto next = recorder.tracing.start("next", SpanKind::server, {});
  CHECK(next.context().trace_id != given.trace_id);
  CHECK(next.context().trace_id != recorder.tracing.start("next", SpanKind::server, {}).context().trace_id);
  CHECK(recorder.tracing.start("child", SpanKind::internal, next.context()).context().trace_id ==
        next.context().trace_id);

  Recorder off({}, "parentbased_always_off");
  const auto unsampled = off.tracing.start("given", SpanKind::server, given);
  CHECK(unsampled.context().trace_id == given.trace_id);
  CHECK_FALSE(unsampled.context().sampled);
}

TEST_CASE("tracing: a given trace id is sampled by its ratio") {
  Recorder recorder({}, "parentbased_traceidratio", 0.5);
  int sampled = 0;
  for (int byte = 0; byte < 256; ++byte) {
    TraceContext given;
    given.trace_id.fill(static_cast<std::uint8_t>(byte));
    given.trace_id.back() = 1;  // not all 0
    const bool first = recorder.tracing.start("x", SpanKind::server, given).context().sampled;
    CHECK(recorder.tracing.start("x", SpanKind::server, given).context().sampled == first);
    sampled += first ? 1 : 0;
  }
  CHECK(sampled == 128);
}

std::vector<TraceSpan> recent(const Recorder& recorder, const TraceId& id) {
  const auto text = recorder.tracing.recent_spans(id);
  return text.empty() ? std::vector<TraceSpan>() : parse_trace(text).value().spans;
}

TEST_CASE("tracing: a span that has not ended is there with what it has so far") {
  Recorder recorder({});
  auto parent = recorder.tracing.start("parent", SpanKind::server, {}, {{"a", true}});
  const auto id = parent.context().trace_id;
  auto spans = recent(recorder, id);
  REQUIRE(spans.size() == 1);
  CHECK(spans[0].open());
  CHECK(spans[0].id == to_hex(parent.context().span_id));
  CHECK(spans[0].start_nanoseconds > 0);
  CHECK(spans[0].boolean("a") == true);
  CHECK_FALSE(recorder.tracing.recent_spans(id).contains("endTimeUnixNano"));
  parent.set("b", std::int64_t{7});
  parent.event("e", {});
  const auto child = recorder.tracing.start("child", SpanKind::internal, parent.context());
  const auto other = recorder.tracing.start("other", SpanKind::server, {});
  parent.end();
  spans = recent(recorder, id);
  REQUIRE(spans.size() == 2);
  CHECK(spans[0].name == "parent");
  CHECK_FALSE(spans[0].open());
  CHECK(spans[0].integer("b") == 7);
  CHECK(spans[0].events.size() == 1);
  CHECK(spans[1].name == "child");
  CHECK(spans[1].open());
}

TEST_CASE("tracing: open spans are neither kept without a memory nor if they are not sampled") {
  auto options = Recorder::options({});
  SUBCASE("no memory") { options.memory.entries = 0; }
  SUBCASE("not sampled") { options.sampler = "always_off"; }
  LogSink sink{::open("/dev/null", O_WRONLY | O_CLOEXEC)};
  Tracing tracing(options, Logger(sink, "test", LogLevel::error));
  auto span = tracing.start("x", SpanKind::server, {});
  CHECK(tracing.recent_spans(span.context().trace_id).empty());
  span.end();
  CHECK(tracing.recent_spans(span.context().trace_id).empty());
}

TEST_CASE("tracing: the open spans of a trace are limited like those that have ended") {
  auto options = Recorder::options({});
  options.memory.trace_bytes = 5'000;
  LogSink sink{::open("/dev/null", O_WRONLY | O_CLOEXEC)};
  Tracing tracing(options, Logger(sink, "test", LogLevel::error));
  const auto root = tracing.start("root", SpanKind::server, {});
  std::vector<Span> children;
  for (int i = 0; i < 1000; ++i) children.push_back(tracing.start("child", SpanKind::internal, root.context()));
  const auto spans = parse_trace(tracing.recent_spans(root.context().trace_id)).value().spans;
  CHECK(spans.size() > 10);
  CHECK(spans.size() < 200);
}

TEST_CASE("tracing: while spans start, change and end, a reader sees each exactly once, and ended ones stay ended") {
  Recorder recorder({});
  const auto root = recorder.tracing.start("root", SpanKind::server, {});
  const auto id = root.context().trace_id;
  std::atomic<int> started = 0;
  std::atomic<int> ended = 0;
  constexpr int kSpans = 300;  // they fit into the memory of a trace
  {
    std::vector<std::jthread> writers;
    for (int writer = 0; writer < 3; ++writer) {
      writers.emplace_back([&] {
        for (int i = 0; i < kSpans; ++i) {
          auto span = recorder.tracing.start("child", SpanKind::internal, root.context());
          ++started;
          span.set("a", std::int64_t{i});
          span.event("e", {});
          span.end();
          ++ended;
        }
      });
    }
    std::set<std::string> known_ended;
    while (ended < 3 * kSpans) {
      const int least = started;
      const int least_ended = ended;
      const auto spans = recent(recorder, id);
      std::set<std::string> ids;
      int now_ended = 0;
      for (const auto& span : spans) {
        REQUIRE(ids.insert(span.id).second);
        if (known_ended.contains(span.id)) REQUIRE_FALSE(span.open());
        if (span.open()) continue;
        ++now_ended;
        known_ended.insert(span.id);
        if (span.name == "child") REQUIRE(span.events.size() == 1);
      }
      REQUIRE(static_cast<int>(spans.size()) >= least + 1);
      REQUIRE(now_ended >= least_ended);
      REQUIRE(std::ranges::includes(ids, known_ended));
    }
  }
  CHECK(recent(recorder, id).size() == 3 * kSpans + 1);
}

}  // namespace
}  // namespace dice

// Parsing of traces, metrics, log lines and responses.
#include <doctest/doctest.h>

#include "loadgen/model/answer.h"
#include "loadgen/model/log_line.h"
#include "loadgen/model/series.h"
#include "loadgen/trace.h"

using namespace dice::loadgen;
using dice::SpanKind;

TEST_CASE("a trace in OTLP/JSON") {
  const auto trace = parse_trace(R"({"complete":false,"resourceSpans":[{
    "resource":{"attributes":[{"key":"service.name","value":{"stringValue":"dice-roller"}}]},
    "scopeSpans":[{"spans":[{"traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"b7ad6b7169203331",
      "parentSpanId":"00f067aa0ba902b7","name":"async_roll_1","kind":1,"startTimeUnixNano":"1000000000",
      "endTimeUnixNano":"1500000000","status":{"code":2},
      "attributes":[{"key":"die.result","value":{"intValue":"5"}},{"key":"die.error","value":{"boolValue":true}}],
      "events":[{"name":"e","attributes":[{"key":"async.roll_index","value":{"intValue":1}}]}]}]}]}]})");
  REQUIRE(trace);
  CHECK(trace->complete == false);
  REQUIRE(trace->spans.size() == 1);
  const auto& span = trace->spans[0];
  CHECK(span.service == "dice-roller");
  CHECK(span.kind == SpanKind::internal);
  CHECK(span.seconds() == 0.5);
  CHECK(span.error);
  CHECK(span.integer("die.result") == 5);
  CHECK(span.boolean("die.error") == true);
  CHECK_FALSE(span.integer("die.error"));
  CHECK(std::get<std::int64_t>(span.events.at(0).attributes.at("async.roll_index")) == 1);
  CHECK(trace->find("b7ad6b7169203331") == &span);
  CHECK(trace->find("00f067aa0ba902b7") == nullptr);
  CHECK(trace->rolls().size() == 1);
}

TEST_CASE("a trace as Tempo writes it") {
  const auto trace = parse_trace(R"({"batches":[{"resource":{},"scopeSpans":[{"spans":[
    {"traceId":"CvdlGRbNQ92ESOshHIAxnA==","spanId":"t61rcWkgMzE=","name":"GET /roll","kind":"SPAN_KIND_SERVER",
     "status":{"code":"STATUS_CODE_ERROR"}}]}]}]})");
  REQUIRE(trace);
  CHECK(trace->spans.at(0).trace_id == "0af7651916cd43dd8448eb211c80319c");
  CHECK(trace->spans.at(0).id == "b7ad6b7169203331");
  CHECK(trace->spans.at(0).kind == SpanKind::server);
  CHECK(trace->spans.at(0).error);
}

TEST_CASE("no trace") {
  CHECK_FALSE(parse_trace(""));
  CHECK_FALSE(parse_trace("[]"));
  CHECK_FALSE(parse_trace(R"({"resourceSpans":7})"));
  CHECK(parse_trace(R"({"resourceSpans":[7,{"scopeSpans":[{"spans":[{}]}]}]})")->spans.size() == 1);
}

TEST_CASE("the maximum overlap: an end and a start at the same time do not overlap") {
  const auto span = [](std::int64_t start, std::int64_t end) {
    TraceSpan made;
    made.start_nanoseconds = start;
    made.end_nanoseconds = end;
    return made;
  };
  const auto a = span(0, 10);
  const auto b = span(5, 20);
  const auto c = span(10, 30);
  CHECK(max_overlap({}) == 0);
  CHECK(max_overlap({&a}) == 1);
  CHECK(max_overlap({&a, &b, &c}) == 2);
}

TEST_CASE("the makespan of tasks on several workers") {
  CHECK(makespan({3, 1, 2}, 1) == 6);
  CHECK(makespan({3, 1, 2}, 2) == 3);
  CHECK(makespan({3, 1, 2}, 3) == 3);
  CHECK(makespan({1, 1, 1, 5}, 2) == 6);
  CHECK(makespan({}, 2) == 0);
}

TEST_CASE("OpenMetrics and Prometheus' text format") {
  const auto series = parse_metrics_text(
      "# TYPE a counter\n"
      "a_total 7\n"
      "b_bucket{route=\"/r\",le=\"+Inf\"} 3 # {trace_id=\"0af7\",span_id=\"b7ad\"} 0.06 1795229162.19\n"
      "c{text=\"q\\\"u, {o}\\n\\\\te\"} 1e3 1795229162\n"
      "not a sample\n"
      "d{broken 1\n"
      "e +Inf\n"
      "# EOF\n");
  REQUIRE(series.size() == 4);
  CHECK(series[0].name == "a_total");
  CHECK(series[0].value == 7);
  CHECK(series[1].label("route") == "/r");
  CHECK(series[1].label("le") == "+Inf");
  CHECK(series[1].exemplars.at(0).trace_id == "0af7");
  CHECK(series[1].exemplars.at(0).span_id == "b7ad");
  CHECK(series[2].label("text") == "q\"u, {o}\n\\te");
  CHECK(series[2].value == 1000);
  CHECK(series[3].value > 1e300);
  CHECK(series[1].matches({{"route", "/r"}}));
  CHECK_FALSE(series[1].matches({{"route", "/r"}, {"le", "1"}}));
  CHECK(describe("a", {}) == "a");
  CHECK(describe("a", {{"b", "c"}, {"d", "e"}}) == "a{b=\"c\",d=\"e\"}");
}

TEST_CASE("Prometheus' responses") {
  const auto vector = parse_prometheus_vector(
      R"({"status":"success","data":{"resultType":"vector","result":[
        {"metric":{"__name__":"up","job":"frontend"},"value":[1795229162.1,"1"]}]}})");
  REQUIRE(vector);
  CHECK(vector->at(0).name == "up");
  CHECK(vector->at(0).label("job") == "frontend");
  CHECK(vector->at(0).label("__name__").empty());
  CHECK(vector->at(0).value == 1);
  CHECK_FALSE(parse_prometheus_vector(R"({"status":"error"})"));
  CHECK_FALSE(parse_prometheus_vector("<html>"));
  const auto exemplars = parse_prometheus_exemplars(
      R"({"status":"success","data":[{"seriesLabels":{"__name__":"h_bucket","route":"/roll"},
        "exemplars":[{"labels":{"trace_id":"0af7","span_id":"b7ad"},"value":"6","timestamp":1600096945.4}]}]})");
  REQUIRE(exemplars);
  CHECK(exemplars->at(0).exemplars.at(0).trace_id == "0af7");
  CHECK_FALSE(parse_prometheus_exemplars(R"({"status":"error"})"));
}

TEST_CASE("log lines") {
  const auto line = parse_log_line(R"({"message":"m","service":"s","trace_id":"t","rolls":[4,2],"n":7,"ok":true})");
  REQUIRE(line);
  CHECK(line->message() == "m");
  CHECK(line->field("rolls") == "[4,2]");
  CHECK(line->field("n") == "7");
  CHECK(line->field("ok") == "true");
  CHECK(line->field("absent").empty());
  CHECK_FALSE(parse_log_line("plain text"));
  CHECK_FALSE(parse_log_line("[1]"));
}

TEST_CASE("Loki's response: JSON lines, or text with the labels as fields") {
  const auto lines = parse_loki_streams(
      R"({"data":{"resultType":"streams","result":[{"stream":{"service":"s","trace_id":"t"},
        "values":[["1","{\"message\":\"m\",\"trace_id\":\"u\"}"],["2","plain"]]}]}})");
  REQUIRE(lines);
  REQUIRE(lines->size() == 2);
  CHECK(lines->at(0).trace_id() == "u");
  CHECK(lines->at(1).message() == "plain");
  CHECK(lines->at(1).trace_id() == "t");
  CHECK_FALSE(parse_loki_streams(R"({"data":{"resultType":"matrix"}})"));
  CHECK_FALSE(parse_loki_streams("no"));
}

TEST_CASE("answers") {
  const auto answer = [](int status, const std::string& body) {
    dice::ClientResponse response;
    response.status = status;
    response.body = body;
    return parse_answer(response);
  };
  const auto batch =
      answer(200, R"({"total":3,"rolls":[1,2],"count":2,"failed":[{"index":1,"error":"roll_failed"}],"trace_id":"t"})");
  CHECK(batch.succeeded());
  CHECK(batch.total == 3);
  CHECK(batch.rolls == std::vector<std::int64_t>{1, 2});
  CHECK(batch.failed->at(0).index == 1);
  CHECK(batch.outcome() == "200");
  CHECK_FALSE(answer(200, R"({"rolls":[1,"2"]})").rolls);
  CHECK_FALSE(answer(200, "<html>").is_json_object);
  CHECK(answer(500, R"({"error":{"code":"roll_failed","message":"m"}})").outcome() == "500 roll_failed");
  const auto none =
      parse_answer(std::unexpected(dice::Error{dice::ErrorCode::downstream_unavailable, "no connection to x"}));
  CHECK(none.status == 0);
  CHECK(none.outcome() == "no answer: no connection to x");
}

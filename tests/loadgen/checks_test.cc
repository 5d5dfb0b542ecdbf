// The checks and the diagnosis alone, without a running system.
#include "loadgen/verify/checks.h"

#include <doctest/doctest.h>

#include "loadgen/verify/diagnosis.h"
#include "loadgen/verify/report.h"

using namespace dice::loadgen;
using dice::SpanKind;

namespace {

Sent sent_list() {
  Sent sent;
  sent.probe.wants = Probe::Wants::list;
  sent.probe.path = sent.probe.route = "/dice";
  sent.probe.context = *dice::parse_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
  sent.answer.status = 200;
  sent.answer.is_json_object = true;
  sent.answer.identifiers = {"fair"};
  sent.answer.traceresponse = "00-0af7651916cd43dd8448eb211c80319c-00000000000000f1-01";
  return sent;
}

Sent sent_roll() {
  auto sent = sent_list();
  sent.probe.wants = Probe::Wants::roll;
  sent.probe.request = {.die = "fair"};
  sent.probe.route = "/roll";
  sent.answer.roll = 4;
  sent.answer.trace_id = sent.probe.trace_id();
  return sent;
}

/// All of its spans, one second each, children within their parents.
Trace sound_trace(const Sent& sent) {
  Trace trace;
  std::int64_t depth = 0;
  for (const auto& expected : expected_spans(sent)) {
    TraceSpan span;
    span.trace_id = sent.probe.trace_id();
    span.id = "span" + std::to_string(depth);
    span.parent = depth == 0 ? dice::to_hex(sent.probe.context.span_id) : trace.spans[expected.parent].id;
    span.service = expected.service;
    span.name = expected.name;
    span.kind = expected.kind;
    span.start_nanoseconds = depth * 1000;
    span.end_nanoseconds = 1'000'000'000 - depth * 1000;
    const bool die = expected.name.ends_with("{identifier}");
    span.attributes = {{"http.request.method", "GET"},
                       {"http.response.status_code", std::int64_t{200}},
                       {"http.route", die ? "/dice/{identifier}" : sent.probe.route},
                       {"url.path", "/"}};
    trace.spans.push_back(span);
    ++depth;
  }
  return trace;
}

std::string first(const std::vector<Finding>& findings) {
  if (findings.empty()) return "nothing";
  return findings[0].what + ": expected " + findings[0].expected + ", found " + findings[0].found;
}

std::string first_of(const Sent& sent, const Trace& trace) { return first(check_trace(sent, trace, 0.05)); }

ServiceEvidence sound_service() {
  return {.spans_expected = 10,
          .spans_found = 10,
          .lines_expected = 5,
          .lines_found = 5,
          .context_seen = true,
          .metrics_found = true,
          .requests_expected = 3,
          .requests_counted = 3};
}

Evidence sound_evidence() {
  Evidence evidence;
  for (const auto* name : {dice::kFrontend.name, dice::kDiceRoller.name, dice::kDieService.name})
    evidence.services[name] = sound_service();
  evidence.traces = {.checked = true, .name = "Tempo"};
  evidence.logs = {.checked = true, .name = "Loki"};
  evidence.metrics = {.checked = true, .name = "Prometheus"};
  return evidence;
}

}  // namespace

TEST_CASE("a correct trace") {
  CHECK(first_of(sent_list(), sound_trace(sent_list())) == "nothing");
  CHECK(first_of(sent_roll(), sound_trace(sent_roll())) == "nothing");
}

TEST_CASE("traces with wrong times") {
  const auto sent = sent_roll();
  auto trace = sound_trace(sent);
  std::swap(trace.spans[2].start_nanoseconds, trace.spans[2].end_nanoseconds);
  CHECK(first_of(sent, trace).starts_with("clock order of SERVER GET /roll of dice-roller: expected an end after"));

  trace = sound_trace(sent);
  trace.spans[2].start_nanoseconds = trace.spans[1].start_nanoseconds - 20'000'000;
  CHECK(first_of(sent, trace) == "nothing");  // clocks of two services
  trace.spans[2].start_nanoseconds = trace.spans[1].start_nanoseconds - 60'000'000;
  CHECK(first_of(sent, trace).contains("expected a start not before its parent's, found 0.060000 s before it"));

  trace = sound_trace(sent);
  trace.spans[1].end_nanoseconds = trace.spans[0].end_nanoseconds + 2'000'000;  // the clock of one service
  CHECK(first_of(sent, trace).contains("expected an end not after its parent's"));
}

TEST_CASE("malformed traces") {
  const auto sent = sent_roll();
  auto trace = sound_trace(sent);
  trace.spans[0].parent = "";
  CHECK(first_of(sent, trace) ==
        "parent of SERVER GET /roll of frontend (the traceparent sent): expected b7ad6b7169203331, found ");
  trace = sound_trace(sent);
  trace.spans[3].parent = "nobody";
  CHECK(first_of(sent, trace).ends_with("expected SERVER GET /roll of dice-roller, found an orphan"));
  trace = sound_trace(sent);
  trace.spans[3].id = trace.spans[2].id;
  CHECK(first_of(sent, trace).starts_with("span id of "));
  trace = sound_trace(sent);
  trace.spans[4].service = "another";
  CHECK(first_of(sent, trace) == "service of GET /dice/{identifier}: expected die-service, found another");
  trace = sound_trace(sent);
  trace.spans[2].attributes["http.response.status_code"] = std::int64_t{500};
  CHECK(first_of(sent, trace) ==
        "http.response.status_code of SERVER GET /roll of dice-roller: expected 200, found 500");
  trace = sound_trace(sent);
  trace.spans[2].attributes.erase("http.route");
  CHECK(first_of(sent, trace).ends_with("expected /roll, found nothing"));
  trace = sound_trace(sent);
  trace.complete = false;
  CHECK(first_of(sent, trace) == "complete: expected true, found false");
}

TEST_CASE("the name of a client span need not contain the route") {
  auto trace = sound_trace(sent_roll());
  trace.spans[1].name = trace.spans[3].name = "GET";
  CHECK(first_of(sent_roll(), trace) == "nothing");
}

TEST_CASE("malformed responses") {
  auto sent = sent_roll();
  CHECK(first(check_answer(sent)) == "nothing");
  sent.answer.trace_id = "0af7651916cd43dd8448eb211c80319d";
  CHECK(first(check_answer(sent)).starts_with("trace_id (must be that of the traceparent sent): expected 0af7"));
  sent = sent_roll();
  sent.answer.traceresponse = "";
  CHECK(first(check_answer(sent)).ends_with("found nothing"));
  sent = sent_roll();
  sent.answer.roll.reset();
  CHECK(first(check_answer(sent)) == "roll: expected a whole number, found nothing");
  sent.answer.status = 400;
  sent.answer.error_code = "invalid_parameter";
  CHECK(first(check_answer(sent)) == "status: expected 200, found 400 invalid_parameter");
}

TEST_CASE("no cause if nothing is broken") { CHECK(diagnose(sound_evidence()).empty()); }

TEST_CASE("opposite causes are distinguished") {
  auto evidence = sound_evidence();
  auto& roller = evidence.services[dice::kDiceRoller.name];
  roller.spans_found = 0;
  CHECK(diagnose(evidence).at(0).text.starts_with("dice-roller does not export its spans"));
  roller.context_seen = false;
  CHECK(diagnose(evidence).at(0).text.starts_with("context is not propagated from frontend to dice-roller"));
  roller.requests_counted = 0;
  roller.requests_expected = 0;
  CHECK(diagnose(evidence).at(0).text ==
        "no span of dice-roller is in Tempo: its exporter is disabled, or it does not receive the context");

  evidence = sound_evidence();
  evidence.services[dice::kFrontend.name].spans_dropped = 3;
  CHECK(diagnose(evidence).at(0).text.starts_with("the collector is down"));
  evidence.services[dice::kDieService.name].spans_exported = 5;
  CHECK(diagnose(evidence).at(0).text.starts_with("spans are dropped: frontend could not deliver 3 spans, while 5"));

  evidence = sound_evidence();
  for (auto& [name, service] : evidence.services) service.spans_found = 0;
  CHECK(diagnose(evidence).at(0).text.starts_with("no span of any service reaches Tempo"));

  evidence = sound_evidence();
  evidence.traceparent_ignored = true;
  CHECK(diagnose(evidence).at(0).text.starts_with("context is not propagated to frontend"));

  evidence = sound_evidence();
  evidence.metrics.error = "no connection";
  for (auto& [name, service] : evidence.services) service.metrics_found = false;
  CHECK(diagnose(evidence).size() == 1);
  CHECK(diagnose(evidence).at(0).text == "Prometheus cannot be read: no connection");
}

TEST_CASE("reports") {
  Report report;
  report.cases = {{"answers", "one", "0af7", {}, 0.0},
                  {"traces", "a <b> & \"c\"", "0af7", {{"span is missing", "s", "nothing"}}, std::nullopt},
                  {"logs", "one", "0af7", {}, 0.5}};
  report.causes = {{"traces", dice::CauseId::spans_lost, "it is broken"}};
  CHECK_FALSE(report.passed());
  const auto table = to_table(report);
  CHECK(table.contains("traces       0 of 1"));
  CHECK(table.contains("span is missing  expected s  found nothing"));
  CHECK(table.contains("CAUSE: it is broken"));
  CHECK(table.contains("NOT ALL PASSED"));
  const auto junit = to_junit(report);
  CHECK(junit.contains("<testsuite name=\"traces\" tests=\"1\" failures=\"1\">"));
  CHECK(junit.contains("name=\"a &lt;b&gt; &amp; &quot;c&quot;\""));
  CHECK(to_json(report).contains("\"logs\":{\"checked\":1,\"passed\":1,\"median_seconds\":0.5,\"worst_seconds\":0.5}"));
}

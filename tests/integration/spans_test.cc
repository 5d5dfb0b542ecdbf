// The exact spans of each kind of request, as a collector receives them.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <map>
#include <mutex>
#include <set>
#include <thread>
#include <utility>

#include "common/telemetry/trace_model.h"
#include "support/http.h"
#include "support/manual_clock.h"
#include "support/otlp_receiver.h"
#include "support/stub_server.h"
#include "support/system.h"
#include "support/wait.h"

namespace dice::test {
namespace {

using Spans = std::vector<ReceivedSpan>;

Variables exporting(const OtlpReceiver& receiver, Variables more = {}) {
  more.insert({{"OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url()},
               {"OTEL_TRACES_EXPORTER", "otlp"},
               {"OTEL_BSP_SCHEDULE_DELAY", "20"}});
  return quick(more);
}

/// Each span as "parent's service and name > kind service name", sorted.
std::vector<std::string> tree(const Spans& spans) {
  std::map<std::string, std::string> names;
  for (const auto& span : spans) names[span.span_id] = span.service + " " + span.name;
  std::vector<std::string> lines;
  for (const auto& span : spans) {
    const auto parent = span.parent_span_id.empty()           ? ""
                        : names.contains(span.parent_span_id) ? names[span.parent_span_id] + " > "
                                                              : "? > ";
    lines.push_back(parent + span.kind + " " + span.service + " " + span.name);
  }
  std::ranges::sort(lines);
  return lines;
}

const ReceivedSpan& find(const Spans& spans, std::string_view service, std::string_view kind) {
  const auto found =
      std::ranges::find_if(spans, [&](const auto& span) { return span.service == service && span.kind == kind; });
  REQUIRE(found != spans.end());
  return *found;
}

Spans rolls(const Spans& spans) {
  Spans found = spans;
  std::erase_if(found, [](const auto& span) { return !span.name.starts_with("async_roll_"); });
  return found;
}

/// The maximum number of them in progress at the same time.
int most_at_once(const Spans& spans) {
  int most = 0;
  for (const auto& at : spans) {
    const auto open =
        std::ranges::count_if(spans, [&](const auto& span) { return span.start <= at.start && at.start < span.end; });
    most = std::max(most, static_cast<int>(open));
  }
  return most;
}

std::vector<std::string> sync_tree(const std::string& route) {
  return {"dice-roller GET /dice/{identifier} > server die-service GET /dice/{identifier}",
          "dice-roller GET " + route + " > client dice-roller GET /dice/{identifier}",
          "frontend GET " + route + " > client frontend GET " + route,
          "frontend GET " + route + " > server dice-roller GET " + route, "server frontend GET " + route};
}

TEST_CASE("a roll creates five spans that follow the HTTP conventions") {
  const OtlpReceiver receiver;
  const System system(exporting(receiver));
  const auto body = get(system.frontend.port(), "/roll?die=fair", {{"User-Agent", "caf\xE9/1.0"}}).body;
  const auto spans = receiver.wait_for(trace_id(body), 5);
  REQUIRE(tree(spans) == sync_tree("/roll"));

  const auto& server = find(spans, "frontend", "server");
  CHECK(server.attribute("http.request.method") == "GET");
  CHECK(server.attribute("http.route") == "/roll");
  CHECK(server.attribute("url.path") == "/roll");
  CHECK(server.attribute("url.query") == "die=fair");
  CHECK(server.attribute("url.scheme") == "http");
  CHECK(server.attribute("user_agent.original") == "caf\xEF\xBF\xBD/1.0");
  CHECK(server.attribute("client.address") == "127.0.0.1");
  CHECK(server.attribute("network.protocol.version") == "1.1");
  CHECK(server.attribute("server.address") == "localhost");
  CHECK(server.attribute("server.port") == std::to_string(system.frontend.port()));
  CHECK(server.attribute("http.response.status_code") == "200");
  CHECK(!server.error);
  const auto& client = find(spans, "dice-roller", "client");
  CHECK(client.attribute("url.full") == system.die_service.url() + "/dice/fair");
  CHECK(client.attribute("server.address") == "127.0.0.1");
  CHECK(client.attribute("server.port") == std::to_string(system.die_service.port()));
  CHECK(client.attribute("http.response.status_code") == "200");
  const auto& last = find(spans, "die-service", "server");
  CHECK(!last.attributes.contains("url.query"));
  CHECK(!last.attributes.contains("user_agent.original"));
  const auto& roller = find(spans, "dice-roller", "server");
  CHECK(roller.attribute("die.type") == "fair");
  CHECK(roller.attribute("die.result") == std::to_string(json(body)["roll"].GetInt()));
}

TEST_CASE("a batch of ten creates fifteen spans, ten of them concurrent") {
  const OtlpReceiver receiver;
  const System system(exporting(receiver, {{"ROLL_DELAY_MIN_SECONDS", "1"}, {"ROLL_DELAY_MAX_SECONDS", "1"}}));
  const auto body = get(system.frontend.port(), "/roll-async?die=fair&times=10").body;
  const auto answer = json(body);
  const auto spans = receiver.wait_for(trace_id(body), 15);
  REQUIRE(spans.size() == 15);
  auto expected = sync_tree("/roll-async");
  for (int i = 0; i < 10; ++i) {
    expected.push_back("dice-roller GET /roll-async > internal dice-roller async_roll_" + std::to_string(i));
  }
  std::ranges::sort(expected);
  CHECK(tree(spans) == expected);
  CHECK(most_at_once(rolls(spans)) == 10);
  for (const auto& roll : rolls(spans)) {
    const auto index = roll.attribute("async.roll_index");
    CHECK(roll.name == "async_roll_" + index);
    CHECK(roll.attribute("die.type") == "fair");
    CHECK(roll.attribute("die.error") == "false");
    CHECK(roll.attribute("die.result") ==
          std::to_string(answer["rolls"][static_cast<unsigned>(std::stoi(index))].GetInt()));
    CHECK(!roll.error);
  }
  const auto& roller = find(spans, "dice-roller", "server");
  CHECK(roller.attribute("die.type") == "fair");
  CHECK(roller.attribute("async.batch_size") == "10");
  CHECK(roller.attribute("async.strategy") == "all-or-nothing");
  CHECK(roller.attribute("async.total_result") == std::to_string(answer["total"].GetInt()));
  std::set<std::string> told;
  for (const auto& event : roller.events) {
    CHECK(event.name == "Async roll completed");
    told.insert(event.attributes.at("async.roll_index"));
  }
  CHECK(told.size() == 10);
}

TEST_CASE("the parameter concurrency limits the number of concurrent rolls") {
  const OtlpReceiver receiver;
  const System system(exporting(receiver, {{"ROLL_DELAY_MIN_SECONDS", "0.15"}, {"ROLL_DELAY_MAX_SECONDS", "0.15"}}));
  for (const int concurrency : {1, 3}) {
    const auto body =
        get(system.frontend.port(), "/roll-async?die=fair&times=6&concurrency=" + std::to_string(concurrency)).body;
    const auto spans = receiver.wait_for(trace_id(body), 11);
    CHECK(spans.size() == 11);
    CHECK(most_at_once(rolls(spans)) == concurrency);
  }
}

TEST_CASE("a failed roll fails its span and its batch; the other rolls are marked as cancelled") {
  const OtlpReceiver receiver;
  const System system(exporting(receiver, {{"ROLL_SEED", "7"}}));
  const auto body = get(system.frontend.port(), "/roll-async?die=risky&times=20&concurrency=1").body;
  const auto spans = receiver.wait_for(trace_id(body), 25);
  REQUIRE(spans.size() == 25);
  int failed = 0;
  int cancelled = 0;
  for (const auto& roll : rolls(spans)) {
    CHECK(roll.error == (roll.attribute("die.error") == "true"));
    if (roll.error) ++failed;
    if (roll.error) CHECK(roll.attribute("error.type") == "roll_failed");
    if (roll.attribute("die.cancelled") == "true") {
      ++cancelled;
      CHECK(!roll.error);
      CHECK(!roll.attributes.contains("die.result"));
    }
  }
  CHECK(failed == 1);
  CHECK(cancelled > 0);
  for (const auto* service : {"frontend", "dice-roller"}) {
    const auto& server = find(spans, service, "server");
    CHECK(server.error);
    CHECK(server.attribute("error.type") == "batch_failed");
    CHECK(server.attribute("http.response.status_code") == "500");
  }
  CHECK(find(spans, "frontend", "client").error);
  CHECK(!find(spans, "dice-roller", "client").error);
}

TEST_CASE("a 4xx is an error of the client span, but not of the server span") {
  const OtlpReceiver receiver;
  const System system(exporting(receiver));
  const auto spans = receiver.wait_for(trace_id(get(system.frontend.port(), "/roll?die=golden").body), 5);
  REQUIRE(spans.size() == 5);
  for (const auto& span : spans) {
    CHECK(span.error == (span.kind == "client"));
    CHECK(span.attribute("http.response.status_code") == "404");
  }
}

TEST_CASE(
    "a downstream service that is down is an error of the client span and the server span, where the trace ends") {
  const OtlpReceiver receiver;
  System system(exporting(receiver));
  system.die_service.stop();
  const auto spans = receiver.wait_for(trace_id(get(system.frontend.port(), "/roll?die=fair").body), 4);
  REQUIRE(tree(spans) == std::vector<std::string>{"dice-roller GET /roll > client dice-roller GET /dice/{identifier}",
                                                  "frontend GET /roll > client frontend GET /roll",
                                                  "frontend GET /roll > server dice-roller GET /roll",
                                                  "server frontend GET /roll"});
  CHECK(find(spans, "dice-roller", "client").attribute("error.type") == "downstream_unavailable");
  CHECK(find(spans, "dice-roller", "client").attribute("http.response.status_code").empty());
  CHECK(find(spans, "frontend", "server").attribute("http.response.status_code") == "502");
  for (const auto& span : spans) CHECK(span.error);
}

TEST_CASE("an incoming context is continued, and its tracestate and baggage reach the last service") {
  const OtlpReceiver receiver;
  const System system(exporting(receiver));
  const std::string id = "0af7651916cd43dd8448eb211c80319c";
  const auto body =
      get(system.frontend.port(), "/roll?die=fair",
          {{"traceparent", "00-" + id + "-b7ad6b7169203331-01"}, {"tracestate", "a=1"}, {"baggage", "user.id=7"}})
          .body;
  CHECK(trace_id(body) == id);
  const auto spans = receiver.wait_for(id, 5);
  CHECK(spans.size() == 5);
  CHECK(find(spans, "frontend", "server").parent_span_id == "b7ad6b7169203331");
  CHECK(find(spans, "die-service", "server").trace_state == "a=1");
  // Not sampled: nothing is recorded anywhere, and the answer says the same.
  auto unsampled = get(system.frontend.port(), "/roll?die=fair",
                       {{"traceparent", "00-1af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"}});
  CHECK(unsampled.headers["traceresponse"].ends_with("-00"));
  CHECK(trace_id(unsampled.body) == "1af7651916cd43dd8448eb211c80319c");
  CHECK(get(system.frontend.port(), "/api/traces/1af7651916cd43dd8448eb211c80319c").status == 404);
}

TEST_CASE("repeated tracestate headers are one list, and two traceparent headers are ignored") {
  const OtlpReceiver receiver;
  const RunningService dice(RunningService::Kind::die_service, exporting(receiver));
  const std::string id = "2af7651916cd43dd8448eb211c80319c";
  const auto parent = "00-" + id + "-b7ad6b7169203331-01";
  (void)get(dice.port(), "/dice",
            {{"traceparent", parent}, {"tracestate", "a=1, B=2"}, {"tracestate", "c=3"}, {"Tracestate", "a=4,,d=5"}});
  const auto spans = receiver.wait_for(id, 1);
  REQUIRE(spans.size() == 1);
  CHECK(spans[0].trace_state == "a=1,c=3,d=5");
  auto reply = get(dice.port(), "/dice", {{"traceparent", parent}, {"traceparent", parent}});
  CHECK(reply.headers["traceresponse"].substr(3, 32) != id);
  Connection old(dice.port());
  old.send("GET /dice?x HTTP/1.0\r\ntraceparent: \t" + parent + " \r\n\r\n");
  CHECK(old.receive().headers["traceresponse"].substr(3, 32) == id);
  const auto both = receiver.wait_for(id, 2);
  REQUIRE(both.size() == 2);
  CHECK(both[1].attribute("network.protocol.version") == "1.0");
  CHECK(both[1].attribute("url.query") == "x");
}

TEST_CASE("a client can name the trace that the frontend starts: the span stays a root") {
  const OtlpReceiver receiver;
  const System system(exporting(receiver));
  const auto frontend = system.frontend.port();
  const std::string id = "3af7651916cd43dd8448eb211c80319c";
  auto reply = get(frontend, "/roll-async?die=fair&times=2", {{"dice-trace-id", id}});
  CHECK(trace_id(reply.body) == id);
  CHECK(reply.headers["traceresponse"].starts_with("00-" + id + "-"));
  CHECK(reply.headers["traceresponse"].ends_with("-01"));
  const auto spans = receiver.wait_for(id, 7);
  REQUIRE(spans.size() == 7);
  CHECK(find(spans, "frontend", "server").parent_span_id.empty());
  CHECK(json(get(frontend, "/api/traces/" + id).body)["complete"].GetBool());
  // Several requests may name the same trace; the header's name has no case, and an error has the id, too.
  CHECK(trace_id(get(frontend, "/roll?die=", {{"Dice-Trace-ID", " " + id + "\t"}}).body) == id);
  CHECK(receiver.wait_for(id, 8).size() == 8);
  CHECK(json(get(frontend, "/api/traces/" + id).body)["complete"].GetBool());
  // A malformed traceparent is none.
  CHECK(trace_id(get(frontend, "/roll?die=", {{"traceparent", "00-" + id}, {"dice-trace-id", id}}).body) == id);
}

TEST_CASE("a name for the trace is ignored if it is invalid, or a trace is continued, or another service gets it") {
  const System system(quick());
  const std::string id = "4af7651916cd43dd8448eb211c80319c";
  const auto trace_of = [&](std::uint16_t port, const std::string& path, const Headers& headers) {
    const auto made = get(port, path, headers).headers["traceresponse"].substr(3, 32);
    CHECK(parse_trace_id(made));
    return made;
  };
  const auto frontend = system.frontend.port();
  const std::set<std::string> made = {
      trace_of(frontend, "/roll?die=fair", {{"dice-trace-id", id.substr(1)}}),
      trace_of(frontend, "/roll?die=fair", {{"dice-trace-id", id + "0"}}),
      trace_of(frontend, "/roll?die=fair", {{"dice-trace-id", "4AF7651916CD43DD8448EB211C80319C"}}),
      trace_of(frontend, "/roll?die=fair", {{"dice-trace-id", std::string(32, '0')}}),
      trace_of(frontend, "/roll?die=fair", {{"dice-trace-id", ""}}),
      trace_of(frontend, "/roll?die=fair", {{"dice-trace-id", id}, {"dice-trace-id", id}}),
      trace_of(frontend, "/dice", {{"dice-trace-id", id}}),
      trace_of(system.dice_roller.port(), "/roll?die=fair", {{"dice-trace-id", id}}),
      trace_of(system.die_service.port(), "/dice", {{"dice-trace-id", id}})};
  CHECK(made.size() == 9);  // all different
  CHECK_FALSE(made.contains(id));
  const std::string parent = "5af7651916cd43dd8448eb211c80319c";
  CHECK(trace_of(frontend, "/roll?die=fair",
                 {{"traceparent", "00-" + parent + "-b7ad6b7169203331-01"}, {"dice-trace-id", id}}) == parent);
  CHECK(get(frontend, "/api/traces/" + id).status == 404);
}

TEST_CASE("the frontend's sampler decides on a trace that a client names") {
  for (const auto& variables :
       {Variables{{"OTEL_TRACES_SAMPLER", "always_off"}}, Variables{{"OTEL_TRACES_SAMPLER", "parentbased_always_off"}},
        Variables{{"OTEL_TRACES_SAMPLER", "parentbased_traceidratio"}, {"OTEL_TRACES_SAMPLER_ARG", "0"}}}) {
    const System system(quick(variables));
    const std::string id = "6af7651916cd43dd8448eb211c80319c";
    auto reply = get(system.frontend.port(), "/roll?die=fair", {{"dice-trace-id", id}});
    CHECK(trace_id(reply.body) == id);
    CHECK(reply.headers["traceresponse"].starts_with("00-" + id + "-"));
    CHECK(reply.headers["traceresponse"].ends_with("-00"));
    CHECK(get(system.frontend.port(), "/api/traces/" + id).status == 404);
  }
}

TEST_CASE("the frontend assembles the trace from the services' recent spans, in standard OTLP JSON") {
  const System system(quick());
  const auto id = trace_id(get(system.frontend.port(), "/roll-async?die=fair&times=10").body);
  const auto reply = get(system.frontend.port(), "/api/traces/" + id);
  CHECK(reply.status == 200);
  const auto trace = json(reply.body);
  CHECK(trace["complete"].GetBool() == true);
  const auto now = std::chrono::system_clock::now().time_since_epoch() / std::chrono::nanoseconds(1);
  CHECK(std::abs(std::stoll(trace["timeUnixNano"].GetString()) - now) < 60'000'000'000);
  std::size_t count = 0;
  for (const auto& resource : trace["resourceSpans"].GetArray()) {
    for (const auto& span : resource["scopeSpans"][0]["spans"].GetArray()) {
      ++count;
      CHECK(span["traceId"] == id.c_str());
      CHECK(span["spanId"].GetStringLength() == 16);
      CHECK(span["kind"].IsInt());
      CHECK(span["startTimeUnixNano"].IsString());
    }
  }
  CHECK(count == 15);
  CHECK(get(system.frontend.port(), "/api/traces/" + std::string(32, 'a')).status == 404);
  CHECK(error_code(get(system.frontend.port(), "/api/traces/" + std::string(32, 'a')).body) == "trace_not_found");
  for (const auto& bad : {std::string("xyz"), std::string(32, '0'), std::string(33, 'a'), std::string(32, 'A')}) {
    CHECK(get(system.frontend.port(), "/api/traces/" + bad).status == 400);
  }
}

std::vector<TraceSpan> spans_of(const System& system, const std::string& id, bool* complete = nullptr) {
  const auto reply = get(system.frontend.port(), "/api/traces/" + id);
  if (reply.status == 404) return {};
  auto trace = parse_trace(reply.body);
  CHECK(reply.status == 200);
  CHECK(trace);
  if (!trace) return {};
  if (complete != nullptr) *complete = trace->complete.value_or(false);
  return trace->spans;
}

TEST_CASE("a running batch can be watched: its rolls are there before they have ended") {
  ManualClock clock;
  const System system(
      {{"OTEL_TRACES_EXPORTER", "none"}, {"ROLL_DELAY_MIN_SECONDS", "10"}, {"ROLL_DELAY_MAX_SECONDS", "10"}}, &clock);
  const std::string id = "0af7651916cd43dd8448eb211c80319c";
  Connection client(system.frontend.port());
  client.send("GET /roll-async?die=fair&times=6&concurrency=4 HTTP/1.1\r\nHost: x\r\ntraceparent: 00-" + id +
              "-b7ad6b7169203331-01\r\n\r\n");
  const auto check = [&](std::size_t open_rolls, std::size_t ended_rolls) {
    CAPTURE(ended_rolls);
    bool complete = true;
    const auto spans = spans_of(system, id, &complete);
    CHECK_FALSE(complete);
    const auto rolls = [&](bool open) {
      return static_cast<std::size_t>(std::ranges::count_if(
          spans, [&](const auto& span) { return span.name.starts_with("async_roll_") && span.open() == open; }));
    };
    CHECK(rolls(true) == open_rolls);
    CHECK(rolls(false) == ended_rolls);
    CHECK(spans.size() == 5 + open_rolls + ended_rolls);
    const auto die = std::ranges::find(spans, "die-service", &TraceSpan::service);
    REQUIRE(die != spans.end());
    CHECK_FALSE(die->open());
    const auto batch =
        std::ranges::find_if(spans, [](const auto& span) { return span.integer("async.batch_size").has_value(); });
    REQUIRE(batch != spans.end());
    CHECK(batch->open());
    CHECK(batch->integer("async.batch_size") == 6);
    CHECK(batch->events.size() == ended_rolls);
  };
  REQUIRE(clock.wait_for_sleepers(4));
  check(4, 0);
  clock.advance(Seconds(11));
  REQUIRE(clock.wait_for_sleepers(2));
  REQUIRE(eventually([&] {
    const auto spans = spans_of(system, id);
    return std::ranges::count_if(spans, [](const auto& span) { return span.open(); }) == 3 + 2;
  }));
  check(2, 4);
  clock.advance(Seconds(11));
  CHECK(client.receive().status == 200);
  bool complete = false;
  const auto spans = spans_of(system, id, &complete);
  CHECK(complete);
  CHECK(spans.size() == 11);
  CHECK(std::ranges::none_of(spans, &TraceSpan::open));
}

TEST_CASE("while batches run, every answer about their traces is consistent") {
  const System system(quick({{"ROLL_DELAY_MAX_SECONDS", "0.005"}}));
  constexpr int kBatches = 200;
  const auto id_of = [](int batch) {
    auto id = std::to_string(batch);
    return std::string(32 - id.size(), 'a') + id;
  };
  std::atomic<int> running = 0;
  std::atomic<int> polls = 0;
  std::atomic<int> open_seen = 0;
  {
    const std::jthread reader([&] {
      std::set<std::string> ended;
      int last = -1;
      for (int batch = 0; (batch = running) < kBatches;) {
        if (std::exchange(last, batch) != batch) ended.clear();
        bool complete = false;
        const auto spans = spans_of(system, id_of(batch), &complete);
        ++polls;
        std::set<std::string> ids;
        bool open = false;
        for (const auto& span : spans) {
          CHECK(ids.insert(span.id).second);
          CHECK(span.trace_id == id_of(batch));
          if (ended.contains(span.id)) CHECK_FALSE(span.open());
          if (!span.open()) ended.insert(span.id);
          open = open || span.open();
        }
        CHECK(std::ranges::includes(ids, ended));  // none is lost
        if (open) ++open_seen;
        if (complete) CHECK((!open && spans.size() == 10));
      }
    });
    Connection client(system.frontend.port());
    for (int batch = 0; batch < kBatches; ++batch) {
      running = batch;
      client.send("GET /roll-async?die=fair&times=5 HTTP/1.1\r\nHost: x\r\ntraceparent: 00-" + id_of(batch) +
                  "-b7ad6b7169203331-01\r\n\r\n");
      REQUIRE(client.receive().status == 200);
      bool complete = false;
      REQUIRE(spans_of(system, id_of(batch), &complete).size() == 10);
      REQUIRE(complete);
    }
    running = kBatches;
  }
  CHECK(polls > kBatches / 2);
  CHECK(open_seen > 0);
}

TEST_CASE("looking at a trace leaves no trace") {
  const System system(quick());
  const std::string id = "0af7651916cd43dd8448eb211c80319c";
  for (const std::string& path : {std::string("/api/config"), "/api/traces/" + id}) {
    auto reply = get(system.frontend.port(), path, {{"traceparent", "00-" + id + "-b7ad6b7169203331-01"}});
    CHECK(reply.headers["traceresponse"].ends_with("-00"));
    CHECK(spans_of(system, id).empty());
  }
  for (const auto& line : system.frontend.log()) CHECK(line["message"] != "Request");
}

/// A Tempo with one trace.
struct TempoStub {
  std::atomic<int> requests = 0;
  std::atomic<int> status = 200;

  void have(const std::string& trace) {
    const std::lock_guard lock(mutex);
    body = trace;
  }

  std::mutex mutex;
  std::string body = R"({"batches":[]})";
  StubServer server{[this](const std::string& head) {
    CHECK(target_of(head).starts_with("/api/traces/"));
    ++requests;
    const std::lock_guard lock(mutex);
    return Reply{.status = status, .headers = {{"content-type", "application/json"}}, .body = body};
  }};
};

TEST_CASE("with Tempo, a trace that the services remember completely is not asked for; otherwise the two are joined") {
  TempoStub tempo;
  System system(quick({{"TEMPO_URL", tempo.server.url()}}));
  const auto id = trace_id(get(system.frontend.port(), "/roll?die=fair").body);
  const auto whole = get(system.frontend.port(), "/api/traces/" + id).body;
  CHECK(json(whole)["complete"].GetBool());
  CHECK(tempo.requests == 0);

  system.die_service.stop();
  bool complete = true;
  SUBCASE("Tempo has all spans") {
    tempo.have(whole);
    CHECK(spans_of(system, id, &complete).size() == 5);
    CHECK(complete);
  }
  SUBCASE("Tempo has nothing") {
    tempo.status = 404;
    CHECK(spans_of(system, id, &complete).size() == 4);
    CHECK_FALSE(complete);
  }
  SUBCASE("Tempo fails") {
    tempo.status = 500;
    CHECK(spans_of(system, id, &complete).size() == 4);
    CHECK_FALSE(complete);
    const auto reply = get(system.frontend.port(), "/api/traces/" + std::string(32, 'a'));
    CHECK(reply.status == 502);
    CHECK(error_code(reply.body) == "downstream_invalid");
    CHECK(tempo.requests == 2);
    return;
  }
  CHECK(tempo.requests == 1);
}

TEST_CASE("with Tempo, a running trace is read from the services only") {
  TempoStub tempo;
  tempo.status = 500;
  ManualClock clock;
  const System system(
      {{"OTEL_TRACES_EXPORTER", "none"}, {"ROLL_DELAY_MIN_SECONDS", "1"}, {"TEMPO_URL", tempo.server.url()}}, &clock);
  const std::string id = "0af7651916cd43dd8448eb211c80319c";
  Connection client(system.frontend.port());
  client.send("GET /roll-async?die=fair&times=3 HTTP/1.1\r\nHost: x\r\ntraceparent: 00-" + id +
              "-b7ad6b7169203331-01\r\n\r\n");
  REQUIRE(clock.wait_for_sleepers(3));
  CHECK(spans_of(system, id).size() == 8);
  CHECK(tempo.requests == 0);
  clock.advance(Seconds(2));
  CHECK(client.receive().status == 200);
}

TEST_CASE("a service that does not respond delays one look at a trace, not each") {
  const CannedServer silent({""});
  const System system(quick({{"DIE_SERVICE_METRICS_URL", silent.url()}}));
  const auto id = trace_id(get(system.frontend.port(), "/roll?die=fair").body);
  bool complete = true;
  CHECK(spans_of(system, id, &complete).size() == 4);  // takes the timeout of 2 s
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < 5; ++i) CHECK(spans_of(system, id, &complete).size() == 4);
  CHECK_FALSE(complete);
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(1));
}

TEST_CASE("a trace without the spans of a service is returned, but not complete") {
  System system(quick());
  const auto id = trace_id(get(system.frontend.port(), "/roll?die=fair").body);
  system.die_service.stop();
  const auto trace = json(get(system.frontend.port(), "/api/traces/" + id).body);
  CHECK(trace["complete"].GetBool() == false);
  CHECK(trace["resourceSpans"].Size() == 2);
}

TEST_CASE("TRACE_MEMORY_SPANS limits the recent spans, and 0 keeps none") {
  const RunningService small(RunningService::Kind::die_service, quick({{"TRACE_MEMORY_SPANS", "3"}}));
  std::vector<std::string> ids;
  for (int i = 0; i < 5; ++i) ids.push_back(get(small.port(), "/dice").headers["traceresponse"].substr(3, 32));
  for (std::size_t i = 0; i < ids.size(); ++i) {
    CHECK(get(small.metrics_port(), "/debug/spans/" + ids[i]).status == (i < 2 ? 404 : 200));
  }
  const RunningService none(RunningService::Kind::die_service, quick({{"TRACE_MEMORY_SPANS", "0"}}));
  const auto id = get(none.port(), "/dice").headers["traceresponse"].substr(3, 32);
  CHECK(get(none.metrics_port(), "/debug/spans/" + id).status == 404);
}

TEST_CASE("OTEL_TRACES_SAMPLER and OTEL_SDK_DISABLED take effect") {
  for (const auto& variables :
       {Variables{{"OTEL_TRACES_SAMPLER", "always_off"}}, Variables{{"OTEL_SDK_DISABLED", "true"}},
        Variables{{"OTEL_TRACES_SAMPLER", "traceidratio"}, {"OTEL_TRACES_SAMPLER_ARG", "0"}}}) {
    const RunningService dice(RunningService::Kind::die_service, quick(variables));
    auto reply =
        get(dice.port(), "/dice", {{"traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}});
    CHECK(reply.headers["traceresponse"].ends_with("-00"));
    CHECK(get(dice.metrics_port(), "/debug/spans/0af7651916cd43dd8448eb211c80319c").status == 404);
    CHECK(dice.log("Request", "0af7651916cd43dd8448eb211c80319c").size() == 1);
  }
}

TEST_CASE("unknown OTEL_* values are logged and ignored") {
  const RunningService dice(
      RunningService::Kind::die_service,
      quick({{"OTEL_TRACES_SAMPLER", "parentbased_jaeger_remote"}, {"OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"}}));
  const auto ignored = dice.log("Setting ignored");
  REQUIRE(ignored.size() == 2);
  CHECK(std::string(ignored[0]["variable"].GetString()) == "OTEL_EXPORTER_OTLP_PROTOCOL");
  CHECK(std::string(ignored[0]["value"].GetString()) == "grpc");
  CHECK(std::string(ignored[0]["used"].GetString()) == "http/protobuf");
  CHECK(get(dice.port(), "/dice").headers["traceresponse"].ends_with("-01"));
}

TEST_CASE("the resource attributes come from the environment") {
  const OtlpReceiver receiver;
  const RunningService dice(RunningService::Kind::die_service, exporting(receiver, {{"OTEL_SERVICE_NAME", "other"}}));
  const auto id = get(dice.port(), "/dice").headers["traceresponse"].substr(3, 32);
  const auto spans = receiver.wait_for(id, 1);
  REQUIRE(spans.size() == 1);
  CHECK(spans[0].service == "other");
  CHECK(dice.log("Request").at(0)["service"] == "other");
}

}  // namespace
}  // namespace dice::test

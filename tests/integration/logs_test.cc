// The log lines of docs/telemetry.md.
#include <doctest/doctest.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "support/http.h"
#include "support/stub_server.h"
#include "support/system.h"

namespace dice::test {
namespace {

std::vector<std::string> names(const rapidjson::Document& line) {
  std::vector<std::string> all;
  for (const auto& member : line.GetObject()) all.emplace_back(member.name.GetString());
  return all;
}

using Names = std::vector<std::string>;
const Names kHead = {"timestamp", "level", "message", "logger", "service", "trace_id", "span_id"};

Names with(Names more) {
  auto all = kHead;
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

TEST_CASE("a batch logs its start, each roll and its end, with its trace id") {
  const System system(quick());
  const auto body = get(system.frontend.port(), "/roll-async?die=fair&times=10").body;
  const auto answer = json(body);
  const auto trace = trace_id(body);
  const auto& roller = system.dice_roller;

  const auto started = roller.log("Async roll batch started", trace);
  REQUIRE(started.size() == 1);
  CHECK(names(started[0]) == with({"die_type", "times", "concurrency", "strategy"}));
  CHECK(started[0]["level"] == "INFO");

  const auto rolls = roller.log("Async roll completed", trace);
  REQUIRE(rolls.size() == 10);
  std::set<int> indices;
  std::set<std::string> spans;
  for (const auto& roll : rolls) {
    CHECK(names(roll) == with({"die_type", "roll_index", "roll_value"}));
    const int index = roll["roll_index"].GetInt();
    CHECK(roll["roll_value"] == answer["rolls"][static_cast<unsigned>(index)]);
    indices.insert(index);
    spans.insert(roll["span_id"].GetString());
  }
  CHECK(indices.size() == 10);
  CHECK(spans.size() == 10);

  const auto completed = roller.log("Async roll batch completed", trace);
  REQUIRE(completed.size() == 1);
  CHECK(names(completed[0]) == with({"die_type", "times", "total", "rolls", "failed", "duration"}));
  CHECK(completed[0]["total"] == answer["total"]);
  CHECK(completed[0]["rolls"] == answer["rolls"]);
  CHECK(completed[0]["duration"].IsNumber());
}

TEST_CASE("a failed batch is logged as an error, with the failed and the cancelled rolls") {
  const System system(quick({{"ROLL_SEED", "7"}}));
  const auto trace = trace_id(get(system.frontend.port(), "/roll-async?die=risky&times=20&concurrency=1").body);
  const auto& roller = system.dice_roller;
  const auto failed = roller.log("Async roll batch failed", trace);
  REQUIRE(failed.size() == 1);
  CHECK(failed[0]["level"] == "ERROR");
  CHECK(names(failed[0]) == with({"die_type", "times", "failed", "duration"}));
  const auto completed = roller.log("Async roll completed", trace).size();
  const auto lost = roller.log("Async roll failed", trace);
  REQUIRE(lost.size() == 1);
  CHECK(lost[0]["level"] == "WARN");
  CHECK(names(lost[0]) == with({"die_type", "roll_index"}));
  CHECK(completed + 1 + roller.log("Async roll cancelled", trace).size() == 20);
  CHECK(roller.log("Async roll batch completed", trace).empty());
}

TEST_CASE("every request has one access log line with its trace id") {
  const System system(quick());
  const auto trace = trace_id(get(system.frontend.port(), "/roll?die=fair").body);
  for (const auto* service : {&system.frontend, &system.dice_roller, &system.die_service}) {
    const auto lines = service->log("Request", trace);
    REQUIRE(lines.size() == 1);
    CHECK(names(lines[0]) == with({"method", "path", "route", "status", "duration"}));
    CHECK(lines[0]["status"].GetInt() == 200);
  }
  const auto refused = trace_id(get(system.frontend.port(), "/roll?die=golden").body);
  const auto lines = system.frontend.log("Request", refused);
  REQUIRE(lines.size() == 1);
  CHECK(lines[0]["error_code"] == "die_not_found");
  CHECK(lines[0]["path"] == "/roll");
}

TEST_CASE("LOG_LEVEL takes effect, and probes are logged at debug level only") {
  const RunningService service(RunningService::Kind::die_service, quick({{"LOG_LEVEL", "warn"}}));
  CHECK(get(service.port(), "/dice").status == 200);
  CHECK(service.log().empty());
  const RunningService loud(RunningService::Kind::die_service, quick({{"LOG_LEVEL", "debug"}}));
  CHECK(get(loud.port(), "/healthz").status == 200);
  const auto lines = loud.log("Request");
  REQUIRE(lines.size() == 1);
  CHECK(lines[0]["level"] == "DEBUG");
  const RunningService usual(RunningService::Kind::die_service, quick());
  CHECK(get(usual.port(), "/healthz").status == 200);
  CHECK(usual.log("Request").empty());
}

std::string text_of(const rapidjson::Value& line) {
  rapidjson::StringBuffer buffer;
  rapidjson::Writer<rapidjson::StringBuffer> writer(buffer);
  line.Accept(writer);
  return buffer.GetString();
}

/// The lines of a trace in a response; empty if it is not 200.
std::vector<std::string> lines_of(const Reply& reply) {
  std::vector<std::string> lines;
  if (reply.status != 200) return lines;
  const auto body = json(reply.body);
  for (const auto& line : body["lines"].GetArray()) lines.push_back(text_of(line));
  return lines;
}

/// The lines of the trace that the services have written, ordered by time.
std::vector<std::string> written(const System& system, const std::string& trace) {
  std::vector<std::pair<std::string, std::string>> lines;
  for (const auto* service : {&system.frontend, &system.dice_roller, &system.die_service}) {
    for (const auto& line : service->log()) {
      if (line.HasMember("trace_id") && line["trace_id"] == trace.c_str()) {
        lines.emplace_back(line["timestamp"].GetString(), text_of(line));
      }
    }
  }
  std::ranges::sort(lines);
  std::vector<std::string> texts;
  for (auto& [time, text] : lines) texts.push_back(std::move(text));
  return texts;
}

void check_log_errors(const System& system) {
  for (const auto& path : {"/debug/logs/" + std::string(32, 'a'), std::string("/debug/logs/x")}) {
    CHECK(get(system.frontend.port(), path).status == 404);  // on the metrics port only
  }
  const auto unknown = get(system.frontend.port(), "/api/logs/" + std::string(32, 'a'));
  CHECK(unknown.status == 404);
  CHECK(error_code(unknown.body) == "trace_not_found");
  CHECK(get(system.die_service.metrics_port(), "/debug/logs/" + std::string(32, 'a')).status == 404);
  for (const auto& bad : {std::string("xyz"), std::string(32, '0'), std::string(33, 'a'), std::string(32, 'A')}) {
    CHECK(get(system.frontend.port(), "/api/logs/" + bad).status == 400);
    CHECK(get(system.frontend.metrics_port(), "/debug/logs/" + bad).status == 400);
  }
}

TEST_CASE("the log lines of a trace are those that the services have written, ordered by time") {
  const System system(quick());
  const auto trace = trace_id(get(system.frontend.port(), "/roll-async?die=fair&times=10").body);
  (void)get(system.frontend.port(), "/roll?die=fair");
  const auto lines = lines_of(get(system.frontend.port(), "/api/logs/" + trace));
  CHECK(lines.size() == 10 + 2 + 3);  // rolls, start and end, requests
  CHECK(lines == written(system, trace));
  const auto refused = trace_id(get(system.frontend.port(), "/roll?die=%22%0A%C3%A9").body);
  CHECK(lines_of(get(system.frontend.port(), "/api/logs/" + refused)) == written(system, refused));

  const auto own = lines_of(get(system.dice_roller.metrics_port(), "/debug/logs/" + trace));
  std::vector<std::string> rollers;
  for (const auto& line : system.dice_roller.log()) {
    if (line.HasMember("trace_id") && line["trace_id"] == trace.c_str()) rollers.push_back(text_of(line));
  }
  CHECK(std::set(own.begin(), own.end()) == std::set(rollers.begin(), rollers.end()));
  CHECK(own.size() == 13);
  check_log_errors(system);
}

TEST_CASE("a trace that is not sampled has log lines, too") {
  const System system(quick({{"OTEL_TRACES_SAMPLER", "always_off"}}));
  const auto trace = trace_id(get(system.frontend.port(), "/roll?die=fair").body);
  CHECK(get(system.frontend.port(), "/api/traces/" + trace).status == 404);
  CHECK(lines_of(get(system.frontend.port(), "/api/logs/" + trace)) == written(system, trace));
}

TEST_CASE("LOG_MEMORY_BYTES limits the log lines in memory, and 0 keeps none") {
  const RunningService small(RunningService::Kind::die_service, quick({{"LOG_MEMORY_BYTES", "4000"}}));
  std::vector<std::string> ids;
  for (int i = 0; i < 20; ++i) ids.push_back(get(small.port(), "/dice").headers["traceresponse"].substr(3, 32));
  int kept = 0;
  for (const auto& id : ids) {
    const auto known = lines_of(get(small.metrics_port(), "/debug/logs/" + id)).size();
    CHECK((known == 1 || kept == 0));  // the last ones
    kept += static_cast<int>(known);
  }
  CHECK(kept >= 4);
  CHECK(kept <= 4000 / 400);
  const RunningService none(RunningService::Kind::die_service, quick({{"LOG_MEMORY_BYTES", "0"}}));
  const auto id = get(none.port(), "/dice").headers["traceresponse"].substr(3, 32);
  CHECK(get(none.metrics_port(), "/debug/logs/" + id).status == 404);
  CHECK(none.log("Request", id).size() == 1);
}

/// A Loki with these lines.
struct LokiStub {
  std::atomic<int> requests = 0;
  std::atomic<int> status = 200;

  void have(const std::vector<std::string>& all) {
    const std::lock_guard lock(mutex);
    lines = all;
  }
  std::string last() {
    const std::lock_guard lock(mutex);
    return asked;
  }

  std::mutex mutex;
  std::vector<std::string> lines;
  std::string asked;
  StubServer server{[this](const std::string& head) {
    const std::lock_guard lock(mutex);
    ++requests;
    asked = target_of(head);
    rapidjson::StringBuffer buffer;
    rapidjson::Writer<rapidjson::StringBuffer> writer(buffer);
    writer.StartArray();
    for (const auto& line : lines) {
      writer.StartArray();
      writer.String("1700000000000000000");
      writer.String(line.c_str());
      writer.EndArray();
    }
    writer.EndArray();
    return Reply{.status = status,
                 .headers = {},
                 .body = R"({"status":"success","data":{"resultType":"streams","result":[{"stream":{},"values":)" +
                         std::string(buffer.GetString()) + "}]}}"};
  }};
};

TEST_CASE("with Loki, it is asked only if a service has no lines of the trace, and adds those") {
  LokiStub loki;
  System system(quick({{"LOKI_URL", loki.server.url()}}));
  const auto trace = trace_id(get(system.frontend.port(), "/roll?die=fair").body);
  const auto all = written(system, trace);
  CHECK(lines_of(get(system.frontend.port(), "/api/logs/" + trace)) == all);
  CHECK(loki.requests == 0);

  system.dice_roller.stop();
  std::vector<std::string> rest;
  for (const auto& line : all) {
    if (!line.contains("\"service\":\"dice-roller\"")) rest.push_back(line);
  }
  CHECK(rest.size() == 2);
  const auto path = "/api/logs/" + trace;
  SUBCASE("Loki has all lines, and some of others") {
    auto lines = all;
    lines.insert(lines.begin(), {"not JSON " + trace, R"({"message":")" + trace + R"("})", "7"});
    loki.have(lines);
    CHECK(lines_of(get(system.frontend.port(), path)) == all);
    CHECK(loki.last().contains(trace));
    CHECK(loki.last().starts_with("/loki/api/v1/query_range?"));
    const auto query = percent_decode(loki.last(), true).value();
    CHECK(query.contains(R"({service_name=~"frontend|dice-roller|die-service"} |= ")"));
  }
  SUBCASE("Loki has nothing") { CHECK(lines_of(get(system.frontend.port(), path)) == rest); }
  SUBCASE("Loki fails") {
    loki.status = 500;
    CHECK(lines_of(get(system.frontend.port(), path)) == rest);
    const auto reply = get(system.frontend.port(), "/api/logs/" + std::string(32, 'a'));
    CHECK(reply.status == 502);
    CHECK(error_code(reply.body) == "downstream_invalid");
    return;
  }
  CHECK(loki.requests == 1);
  CHECK(get(system.frontend.port(), "/api/logs/" + std::string(32, 'a')).status == 404);
}

}  // namespace
}  // namespace dice::test

// The log lines of docs/telemetry.md.
#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include "support/http.h"
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

}  // namespace
}  // namespace dice::test

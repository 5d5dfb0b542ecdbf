// The API of each service: statuses, bodies, errors.
#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>

#include "common/base/version.h"
#include "support/http.h"
#include "support/system.h"
#include "support/wait.h"

namespace dice::test {
namespace {

void check_error(const Reply& reply, int status, const std::string& code, const std::string& in_message = "") {
  CAPTURE(reply.body);
  CHECK(reply.status == status);
  CHECK(error_code(reply.body) == code);
  CHECK(trace_id(reply.body).size() == 32);
  if (!error_code(reply.body).empty()) {
    CHECK(std::string(json(reply.body)["error"]["message"].GetString()).find(in_message) != std::string::npos);
  }
}

TEST_CASE("die-service serves its list and each die") {
  const RunningService dice(RunningService::Kind::die_service, quick());
  CHECK(get(dice.port(), "/dice").body == R"({"identifiers":["fair","risky"]})");
  const std::string fair = R"({"identifier":"fair","specification":{"faces":[1,2,3,4,5,6],"error_rate":0}})";
  CHECK(get(dice.port(), "/dice/fair").body == fair);
  CHECK(get(dice.port(), "/dice?identifier=fair").body == fair);
  CHECK(get(dice.port(), "/dice/f%61ir").body == fair);
  CHECK(get(dice.port(), "/dice/risky").body ==
        R"({"identifier":"risky","specification":{"faces":[1,2,3,4,5,6],"error_rate":0.3}})");
  check_error(get(dice.port(), "/dice/golden"), 404, "die_not_found", "golden");
  check_error(get(dice.port(), "/dice?identifier=golden"), 404, "die_not_found", "golden");
  check_error(get(dice.port(), "/dice?identifier="), 400, "invalid_parameter", "identifier");
  check_error(get(dice.port(), "/dice?name=fair"), 400, "invalid_parameter", "name");
}

TEST_CASE("every service has /, /healthz, /readyz and /version") {
  const System system(quick());
  const std::string about = std::string(R"({"service":"Dice Roller API","version":")") + version +
                            R"(","stage":"4","endpoints":["/roll","/roll-async"],"integration":"die-service",)" +
                            R"("features":["async-rolling","concurrent-operations"]})";
  CHECK(get(system.dice_roller.port(), "/").body == about);
  CHECK(json(get(system.die_service.port(), "/").body)["service"] == "Die Service API");
  CHECK(get(system.frontend.port(), "/").headers["content-type"] == "text/html; charset=utf-8");
  for (const auto* service : {&system.die_service, &system.dice_roller, &system.frontend}) {
    CHECK(get(service->port(), "/healthz").status == 200);
    CHECK(get(service->port(), "/readyz").status == 200);
    CHECK(json(get(service->port(), "/version").body)["version"] == version);
    CHECK(get(service->metrics_port(), "/metrics").status == 200);
    CHECK(get(service->port(), "/metrics").status == 200);
    // Never on the main port.
    check_error(get(service->port(), "/debug/spans/0af7651916cd43dd8448eb211c80319c"), 404, "not_found");
  }
}

TEST_CASE("a roll is one of the die's faces") {
  const System system(quick());
  const auto direct = json(get(system.dice_roller.port(), "/roll?die=fair").body);
  REQUIRE(direct.IsObject());
  CHECK(direct.MemberCount() == 1);
  CHECK(direct["roll"].GetInt() >= 1);
  CHECK(direct["roll"].GetInt() <= 6);
  const auto through = json(get(system.frontend.port(), "/roll?die=fair").body);
  CHECK(through.MemberCount() == 2);
  CHECK(through["roll"].GetInt() >= 1);
  CHECK(std::string(through["trace_id"].GetString()).size() == 32);
}

TEST_CASE("a batch has the requested number of rolls, and their sum") {
  const System system(quick());
  for (const int times : {1, 5, 20}) {
    const auto path = "/roll-async?die=fair&times=" + std::to_string(times);
    const auto direct = json(get(system.dice_roller.port(), path).body);
    REQUIRE(direct.IsObject());
    CHECK(direct.MemberCount() == 3);
    CHECK(direct["count"].GetInt() == times);
    CHECK(direct["rolls"].Size() == static_cast<unsigned>(times));
    int total = 0;
    for (const auto& roll : direct["rolls"].GetArray()) total += roll.GetInt();
    CHECK(direct["total"].GetInt() == total);
    const auto through = json(get(system.frontend.port(), path).body);
    CHECK(through["count"].GetInt() == times);
    CHECK(through["trace_id"].IsString());
  }
}

TEST_CASE("the same seed gives the same rolls, whatever the concurrency") {
  const auto rolls = [](const std::string& more) {
    const System system(quick({{"ROLL_SEED", "42"}}));
    auto body = get(system.dice_roller.port(), "/roll-async?die=fair&times=20" + more).body;
    return body + get(system.dice_roller.port(), "/roll?die=fair").body;
  };
  const auto first = rolls("");
  CHECK(first == rolls("&concurrency=1"));
  CHECK(first == rolls("&concurrency=7&strategy=best-effort"));
  CHECK(first.find("total") != std::string::npos);
}

TEST_CASE("all-or-nothing fails as a whole; best effort keeps what succeeded and says what failed") {
  const System system(quick({{"ROLL_SEED", "7"}}));
  const std::string path = "/roll-async?die=risky&times=20";
  check_error(get(system.frontend.port(), path), 500, "batch_failed", "of 20");
  const auto reply = get(system.frontend.port(), path + "&strategy=best-effort");
  CHECK(reply.status == 200);
  const auto body = json(reply.body);
  REQUIRE(body.HasMember("failed"));
  CHECK(body["count"].GetUint() == body["rolls"].Size());
  CHECK(body["rolls"].Size() + body["failed"].Size() == 20);
  int previous = -1;
  for (const auto& failed : body["failed"].GetArray()) {
    CHECK(failed["index"].GetInt() > previous);
    CHECK(failed["error"] == "roll_failed");
    previous = failed["index"].GetInt();
  }
}

TEST_CASE("first-success answers with one roll; the trace and the metrics have all of them") {
  const System system({{"ROLL_SEED", "7"}, {"OTEL_TRACES_EXPORTER", "none"}, {"ROLL_DELAY_MAX_SECONDS", "0.2"}});
  const auto reply = get(system.frontend.port(), "/roll-async?die=fair&times=10&strategy=first-success");
  CHECK(reply.status == 200);
  const auto body = json(reply.body);
  CHECK(body["count"].GetInt() == 1);
  REQUIRE(body["rolls"].Size() == 1);
  CHECK(body["total"].GetInt() == body["rolls"][0].GetInt());
  CHECK_FALSE(body.HasMember("failed"));
  const auto trace = get(system.frontend.port(), "/api/traces/" + trace_id(reply.body)).body;
  for (int index = 0; index < 10; ++index) CHECK(trace.contains("\"async_roll_" + std::to_string(index) + "\""));
  const auto metric = [&](const std::string& series) { return system.dice_roller.metric(series); };
  CHECK(metric(R"(async_rolls_total{die_type="fair",result="success"})") == 1);
  CHECK(metric(R"(async_rolls_total{die_type="fair",result="cancelled"})") == 9);
  CHECK(metric(R"(async_roll_batches_total{die_type="fair",result="success"})") == 1);
}

TEST_CASE("ROLL_STRATEGY is the default that a request can override") {
  const System system(quick({{"ROLL_SEED", "7"}, {"ROLL_STRATEGY", "best-effort"}}));
  const std::string path = "/roll-async?die=risky&times=20";
  CHECK(get(system.dice_roller.port(), path).status == 200);
  CHECK(get(system.dice_roller.port(), path + "&strategy=all-or-nothing").status == 500);
}

TEST_CASE("a batch whose rolls all fail is a failure with any strategy, also with a single roll") {
  const auto file = std::string("/tmp/dice-broken-") + std::to_string(::getpid()) + ".yaml";
  std::ofstream(file) << "broken: {faces: [1], error_rate: 1}\n";
  const System system(quick({{"DIE_SPECIFICATIONS", file}}));
  check_error(get(system.frontend.port(), "/roll?die=broken"), 500, "roll_failed", "broken");
  check_error(get(system.frontend.port(), "/roll-async?die=broken&times=3"), 500, "batch_failed");
  check_error(get(system.frontend.port(), "/roll-async?die=broken&times=3&strategy=best-effort"), 500, "batch_failed",
              "all 3");
  std::remove(file.c_str());
}

TEST_CASE("an invalid parameter results in 400 with its name and the allowed values") {
  const System system(quick());
  struct Case {
    const char* path;
    const char* in_message;
  };
  for (const auto port : {system.frontend.port(), system.dice_roller.port()}) {
    for (const auto& [path, in_message] :
         {Case{"/roll", "'die' is required"},
          {"/roll?die=", "'die' is required"},
          {"/roll?die=fair&times=2", "'times' is not a parameter; allowed: die"},
          {"/roll?die=%ff", "'die' is not percent-encoded UTF-8"},
          {"/roll?die=%4", "'die' is not percent-encoded UTF-8"},
          {"/roll-async?die=fair", "'times' is required"},
          {"/roll-async?times=3", "'die' is required"},
          {"/roll-async?die=fair&times=0", "'times' must be a whole number from 1 to 20"},
          {"/roll-async?die=fair&times=21", "1 to 20"},
          {"/roll-async?die=fair&times=-1", "1 to 20"},
          {"/roll-async?die=fair&times=3x", "1 to 20"},
          {"/roll-async?die=fair&times=99999999999999999999", "1 to 20"},
          {"/roll-async?die=fair&times=3&concurrency=0", "'concurrency'"},
          {"/roll-async?die=fair&times=3&strategy=luck", "all-or-nothing, best-effort"},
          {"/roll-async?die=fair&tiems=3", "'tiems' is not a parameter"}}) {
      CAPTURE(path);
      check_error(get(port, path), 400, "invalid_parameter", in_message);
    }
    check_error(get(port, "/roll?die=" + std::string(129, 'x')), 400, "invalid_parameter", "too long");
    check_error(get(port, "/roll?die=golden"), 404, "die_not_found", "golden");
    check_error(get(port, "/roll-async?die=golden&times=2"), 404, "die_not_found", "golden");
  }
}

TEST_CASE("a downstream service that is down results in 502, a slow one in 504") {
  System system(
      quick({{"DIE_BREAKER_FAILURES", "0"}, {"FAULTS_ENABLED", "true"}, {"DIE_SERVICE_TIMEOUT_SECONDS", "0.5"}}));
  REQUIRE(eventually([&] { return get(system.frontend.port(), "/dice").status == 200; }));
  const std::string slow = R"({"delay_seconds":5})";
  CHECK(request(system.die_service.metrics_port(), "PUT", "/debug/faults", {}, slow).status == 200);
  check_error(get(system.frontend.port(), "/roll?die=fair"), 504, "downstream_timeout", "die-service");
  system.die_service.stop();
  check_error(get(system.frontend.port(), "/roll?die=fair"), 502, "downstream_unavailable", "die-service");
  CHECK(get(system.frontend.port(), "/dice").body == R"({"identifiers":["fair","risky"]})");
  system.dice_roller.stop();
  check_error(get(system.frontend.port(), "/roll?die=fair"), 502, "downstream_unavailable", "dice-roller");
}

TEST_CASE("the frontend returns 502 for the list of dice until die-service is available") {
  const RunningService alone(RunningService::Kind::frontend, quick({{"DIE_SERVICE_URL", "http://127.0.0.1:1"}}));
  check_error(get(alone.port(), "/dice"), 502, "downstream_unavailable");
  CHECK(get(alone.port(), "/readyz").status == 200);
  const System system(quick());
  CHECK(eventually([&] { return get(system.frontend.port(), "/dice").status == 200; }));
}

TEST_CASE("a changed dice file takes effect without a restart; an invalid one is reported and ignored") {
  const auto file = std::string("/tmp/dice-reload-") + std::to_string(::getpid()) + ".yaml";
  const auto write = [&](const std::string& text) { std::ofstream(file, std::ios::trunc) << text; };
  write("one: {faces: [1]}\n");
  RunningService dice(RunningService::Kind::die_service, quick({{"DIE_SPECIFICATIONS", file}}));
  write("one: {faces: [1], error_rate: 0.25}\ntwo: {faces: [2]}\n");
  dice.reload();
  CHECK(get(dice.port(), "/dice").body == R"({"identifiers":["one","two"]})");
  CHECK(dice.metric("die_specifications_loaded") == 2);
  CHECK(dice.metric(R"(die_specifications_error_rate{identifier="one"})") == 0.25);
  write("one: {faces: []}\n");
  dice.reload();
  CHECK(get(dice.port(), "/dice").body == R"({"identifiers":["one","two"]})");
  CHECK(dice.metric("die_specifications_reload_success") == 0);
  CHECK(dice.metric(R"(die_specifications_error_rate{identifier="one"})") == 0.25);
  const auto lines = dice.log("Die specifications not reloaded");
  REQUIRE(lines.size() == 1);
  CHECK(std::string(lines[0]["reason"].GetString()) ==
        file + ": line 1: 'one.faces' must be a list of 1 to 100 whole numbers");
  write("three: {faces: [3]}\n");
  dice.reload();
  CHECK(dice.metric("die_specifications_reload_success") == 1);
  const auto metrics = get(dice.metrics_port(), "/metrics").body;
  CHECK(metrics.find(R"(die_specifications_error_rate{identifier="three"} 0)") != std::string::npos);
  CHECK(metrics.find(R"(identifier="one"} 0.25)") == std::string::npos);
  std::remove(file.c_str());
}

}  // namespace
}  // namespace dice::test

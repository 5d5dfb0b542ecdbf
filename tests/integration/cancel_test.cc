// Cancelled work: it ends in all services and is not counted as an error.
#include <doctest/doctest.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "support/http.h"
#include "support/manual_clock.h"
#include "support/otlp_receiver.h"
#include "support/storm.h"
#include "support/system.h"
#include "support/wait.h"

namespace dice::test {
namespace {

using std::chrono::steady_clock;

constexpr const char* kTrace = "0af7651916cd43dd8448eb211c80319c";

std::string asking(const std::string& path) {
  return "GET " + path + " HTTP/1.1\r\nHost: x\r\ntraceparent: 00-" + std::string(kTrace) +
         "-b7ad6b7169203331-01\r\n\r\n";
}

double gone(const RunningService& service, const std::string& route) {
  return service.metric(R"(http_requests_total{error_code="client_gone",method="GET",route=")" + route +
                        R"(",status="499"})");
}

double in_progress(const RunningService& service, const std::string& route) {
  return service.metric(R"(http_requests_in_progress{method="GET",route=")" + route + R"("})");
}

Variables exporting(const OtlpReceiver& receiver, Variables more = {}) {
  more.insert({{"OTEL_TRACES_EXPORTER", "otlp"},
               {"OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url()},
               {"OTEL_BSP_SCHEDULE_DELAY", "20"},
               {"FAULTS_ENABLED", "true"}});
  return quick(std::move(more));
}

TEST_CASE("a client that disconnects cancels its batch in all services, and the trace is complete") {
  const OtlpReceiver receiver;
  ManualClock clock;  // stopped, so no roll ends by itself
  const System system(exporting(receiver, {{"ROLL_DELAY_MIN_SECONDS", "1"}, {"ROLL_DELAY_MAX_SECONDS", "1"}}), &clock);
  Connection client(system.frontend.port());
  client.send(asking("/roll-async?die=fair&times=20&concurrency=1"));
  REQUIRE(clock.wait_for_sleepers(1));
  client.reset();
  CHECK(eventually([&] {
    return in_progress(system.frontend, "/roll-async") == 0 && in_progress(system.dice_roller, "/roll-async") == 0;
  }));
  CHECK(clock.sleepers() == 0);
  CHECK(system.dice_roller.metric("async_rolls_in_progress") == 0);
  CHECK(gone(system.frontend, "/roll-async") == 1);
  CHECK(gone(system.dice_roller, "/roll-async") == 1);
  CHECK(system.die_service.metric(
            R"(http_requests_total{error_code="",method="GET",route="/dice/{identifier}",status="200"})") == 1);
  CHECK(system.dice_roller.metric(R"(dice_rolls_total{die_type="fair",mode="async",result="cancelled"})") == 20);
  CHECK(system.dice_roller.metric(R"(async_roll_batches_total{die_type="fair",result="cancelled"})") == 1);

  const auto spans = receiver.wait_for(kTrace, 25);
  REQUIRE(spans.size() == 25);
  int rolls = 0;
  for (const auto& span : spans) {
    CHECK_FALSE(span.error);
    if (span.name.starts_with("async_roll_")) {
      ++rolls;
      CHECK(span.attribute("die.cancelled") == "true");
    } else if (span.kind == "client" && span.service == "frontend") {
      CHECK(span.attribute("error.type") == "cancelled");
      CHECK(span.attribute("http.response.status_code").empty());
    } else if (span.kind == "server" && span.service != "die-service") {
      CHECK(span.attribute("http.response.status_code") == "499");
      CHECK(span.attribute("error.type") == "client_gone");
    }
  }
  CHECK(rolls == 20);
  const auto trace = json(get(system.frontend.port(), "/api/traces/" + std::string(kTrace)).body);
  CHECK(trace["complete"].GetBool());
  for (const auto* service : {&system.frontend, &system.dice_roller}) {
    const auto lines = service->log("Request", kTrace);
    REQUIRE(lines.size() == 1);
    CHECK(std::string(lines[0]["level"].GetString()) == "INFO");
    CHECK(lines[0]["status"].GetInt() == 499);
    CHECK(std::string(lines[0]["error_code"].GetString()) == "client_gone");
  }
  CHECK(system.dice_roller.log("Async roll batch cancelled", kTrace).size() == 1);
  CHECK(system.dice_roller.log("Async roll cancelled", kTrace).size() == 20);
}

TEST_CASE("a client that disconnects also cancels a pending call to die-service") {
  const OtlpReceiver receiver;
  const System system(exporting(receiver));
  const auto put = [&](const std::string& body) {
    REQUIRE(request(system.die_service.metrics_port(), "PUT", "/debug/faults", {}, body).status == 200);
  };
  for (const auto* path : {"/roll?die=fair", "/roll-async?die=fair&times=5"}) {
    const std::string route = std::string(path).substr(0, std::string(path).find('?'));
    CAPTURE(route);
    put(R"({"delay_seconds":60})");
    const auto before = gone(system.die_service, "/dice/{identifier}");
    Connection client(system.frontend.port());
    client.send(asking(path));
    REQUIRE(eventually([&] { return in_progress(system.die_service, "/dice/{identifier}") == 1; }));
    const auto start = steady_clock::now();
    client.reset();
    CHECK(eventually([&] {
      return in_progress(system.frontend, route) == 0 && in_progress(system.dice_roller, route) == 0 &&
             in_progress(system.die_service, "/dice/{identifier}") == 0;
    }));
    CHECK(steady_clock::now() - start < std::chrono::seconds(5));  // not the fault's 60 s
    CHECK(gone(system.frontend, route) == 1);
    CHECK(gone(system.dice_roller, route) == 1);
    CHECK(gone(system.die_service, "/dice/{identifier}") == before + 1);
    put("{}");
  }
  CHECK(system.dice_roller.metric(R"(die_service_requests_total{identifier="_unknown",status="cancelled"})") == 2);
  CHECK(system.dice_roller.metric("die_service_circuit_breaker_state") == 0);
  CHECK(get(system.frontend.port(), "/roll?die=fair").status == 200);
}

TEST_CASE("a cancelled call is not a failure of die-service: the circuit breaker stays closed") {
  const System system(quick({{"DIE_BREAKER_FAILURES", "1"}, {"FAULTS_ENABLED", "true"}}));
  REQUIRE(request(system.die_service.metrics_port(), "PUT", "/debug/faults", {}, R"({"delay_seconds":60})").status ==
          200);
  for (int i = 0; i < 3; ++i) {
    Connection client(system.dice_roller.port());
    client.send(asking("/roll?die=fair"));
    REQUIRE(eventually([&] { return in_progress(system.die_service, "/dice/{identifier}") == 1; }));
    client.reset();
    REQUIRE(eventually([&] { return in_progress(system.die_service, "/dice/{identifier}") == 0; }));
  }
  REQUIRE(request(system.die_service.metrics_port(), "PUT", "/debug/faults", {}, "{}").status == 200);
  CHECK(system.dice_roller.metric("die_service_circuit_breaker_state") == 0);
  CHECK(get(system.dice_roller.port(), "/roll?die=fair").status == 200);
}

TEST_CASE("a client cannot open the circuit breaker for others") {
  const System system(quick({{"DIE_BREAKER_FAILURES", "1"}}));
  for (const auto* die : {".", "..", "%2E", "%2e%2E", "%2F", "..%2F..", "%00", "a%0Ab", "%3F", "%23"}) {
    CAPTURE(die);
    const auto reply = get(system.frontend.port(), std::string("/roll?die=") + die);
    CHECK(reply.status == 404);
    CHECK(error_code(reply.body) == "die_not_found");
    CHECK(get(system.frontend.port(), "/roll?die=fair").status == 200);
  }
  CHECK(system.dice_roller.metric("die_service_circuit_breaker_state") == 0);
}

TEST_CASE("rolls are of the requested die while other clients abandon requests for another die") {
  const auto file = std::string("/tmp/dice-storm-") + std::to_string(::getpid()) + ".yaml";
  std::ofstream(file) << "fair: {faces: [1, 2, 3, 4, 5, 6]}\nodd: {faces: [777]}\n";
  const System system(quick({{"LOG_LEVEL", "warn"}, {"DIE_SPECIFICATIONS", file}}));
  std::atomic<bool> stop = false;
  std::atomic<int> rolled = 0;
  {
    std::vector<std::jthread> rollers;
    for (int i = 0; i < 4; ++i) {
      rollers.emplace_back([&] {
        while (!stop) {
          const auto answer = json(get(system.dice_roller.port(), "/roll?die=fair").body);
          const bool fair = answer.IsObject() && answer.HasMember("roll") && answer["roll"].GetInt() <= 6;
          if (!fair) CHECK(fair);
          ++rolled;
        }
      });
    }
    const auto result = storm({.port = system.die_service.port(),
                               .abandoned = {"/dice/odd"},
                               .honest = {"/dice/fair"},
                               .leavers = 3000,
                               .check = [](const std::string&, const std::string& body) {
                                 return body.find(R"("identifier":"fair")") != std::string::npos;
                               }});
    stop = true;
    CHECK(result.clean());
  }
  CHECK(rolled > 100);
  std::remove(file.c_str());
}

}  // namespace
}  // namespace dice::test

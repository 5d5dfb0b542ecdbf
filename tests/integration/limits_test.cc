// Behaviour at the limits: admission control, rate limit, a failing downstream service.
#include <doctest/doctest.h>

#include <chrono>
#include <vector>

#include "support/http.h"
#include "support/manual_clock.h"
#include "support/system.h"
#include "support/wait.h"

namespace dice::test {
namespace {

using std::chrono::steady_clock;

TEST_CASE("rolls above MAX_ROLL_THREADS are rejected immediately, and admitted again when threads are free") {
  ManualClock clock;  // stopped, so a rejection cannot have waited for a roll
  const System system(
      quick({{"MAX_ROLL_THREADS", "20"}, {"ROLL_DELAY_MIN_SECONDS", "1"}, {"ROLL_DELAY_MAX_SECONDS", "1"}}), &clock);
  auto& roller = system.dice_roller;
  Connection batch(roller.port());
  batch.send("GET /roll-async?die=fair&times=20 HTTP/1.1\r\nHost: x\r\n\r\n");
  REQUIRE(clock.wait_for_sleepers(20));
  CHECK(roller.metric("async_rolls_in_progress") == 20);
  CHECK(roller.metric("roll_admission_in_use") == 20);
  for (const auto* path : {"/roll?die=fair", "/roll-async?die=fair&times=1"}) {
    auto reply = get(roller.port(), path);
    CHECK(reply.status == 503);
    CHECK(error_code(reply.body) == "overloaded");
    CHECK(reply.headers["retry-after"] == "1");
    auto through = get(system.frontend.port(), path);
    CHECK(through.status == 503);
    CHECK(error_code(through.body) == "overloaded");
    CHECK(through.headers["retry-after"] == "1");
  }
  CHECK(roller.metric(R"(roll_admission_rejected_total{reason="overloaded"})") == 4);
  clock.advance(Seconds(1));
  CHECK(batch.receive().status == 200);
  CHECK(roller.metric("async_rolls_in_progress") == 0);
  Connection next(roller.port());
  next.send("GET /roll?die=fair HTTP/1.1\r\nHost: x\r\n\r\n");
  REQUIRE(clock.wait_for_sleepers(1));
  clock.advance(Seconds(1));
  CHECK(next.receive().status == 200);
}

TEST_CASE("requests above RATE_LIMIT_RPS get 429 with Retry-After") {
  // One request per thousand seconds: the first is admitted, the second is not.
  const System system(quick({{"RATE_LIMIT_RPS", "0.001"}}));
  CHECK(get(system.dice_roller.port(), "/roll?die=fair").status == 200);
  auto reply = get(system.dice_roller.port(), "/roll-async?die=fair&times=2");
  CHECK(reply.status == 429);
  CHECK(error_code(reply.body) == "rate_limited");
  CHECK(reply.headers.contains("retry-after"));
  CHECK(get(system.dice_roller.port(), "/healthz").status == 200);
  CHECK(system.dice_roller.metric(R"(roll_admission_rejected_total{reason="rate_limited"})") == 1);
}

TEST_CASE("calls to a failing die-service are paused, and resume when it is back") {
  ManualClock clock;
  const System system(
      quick({{"DIE_BREAKER_FAILURES", "3"}, {"DIE_BREAKER_PAUSE_SECONDS", "5"}, {"FAULTS_ENABLED", "true"}}), &clock);
  const auto faults = [&](const std::string& body) {
    REQUIRE(request(system.die_service.metrics_port(), "PUT", "/debug/faults", {}, body).status == 200);
  };
  auto& roller = system.dice_roller;
  faults(R"({"error_rate":1})");
  for (int i = 0; i < 3; ++i) CHECK(error_code(get(roller.port(), "/roll?die=fair").body) == "fault_injected");
  auto reply = get(roller.port(), "/roll?die=fair");
  CHECK(reply.status == 503);
  CHECK(error_code(reply.body) == "circuit_open");
  CHECK(reply.headers["retry-after"] == "5");
  CHECK(roller.metric("die_service_circuit_breaker_state") == 2);
  CHECK(roller.metric(R"(die_service_requests_total{identifier="_unknown",status="circuit_open"})") == 1);
  faults("{}");
  CHECK(error_code(get(roller.port(), "/roll?die=fair").body) == "circuit_open");
  clock.advance(Seconds(5));
  CHECK(get(roller.port(), "/roll?die=fair").status == 200);
  CHECK(roller.metric("die_service_circuit_breaker_state") == 0);
  CHECK(roller.log("Circuit breaker opened").size() == 1);
}

TEST_CASE("an unknown die is not a failure of die-service and not a label value") {
  const System system(quick({{"DIE_BREAKER_FAILURES", "1"}}));
  for (int i = 0; i < 3; ++i) CHECK(get(system.dice_roller.port(), "/roll?die=golden").status == 404);
  CHECK(system.dice_roller.metric("die_service_circuit_breaker_state") == 0);
  CHECK(system.dice_roller.metric(R"(die_service_requests_total{identifier="_unknown",status="404"})") == 3);
  CHECK(system.die_service.metric(R"(die_specifications_requested_total{identifier="_unknown"})") == 3);
  CHECK(get(system.dice_roller.metrics_port(), "/metrics").body.find("golden") == std::string::npos);
  CHECK(get(system.die_service.metrics_port(), "/metrics").body.find("golden") == std::string::npos);
}

TEST_CASE("health checks and scrapes work while all workers are busy") {
  ManualClock clock;
  const System system(quick({{"MAX_REQUESTS", "4"}, {"ROLL_DELAY_MIN_SECONDS", "1"}, {"ROLL_DELAY_MAX_SECONDS", "1"}}),
                      &clock);
  std::vector<std::unique_ptr<Connection>> waiting;
  for (int i = 0; i < 4; ++i) {
    waiting.push_back(std::make_unique<Connection>(system.frontend.port()));
    waiting.back()->send("GET /roll?die=fair HTTP/1.1\r\nHost: x\r\n\r\n");
  }
  REQUIRE(eventually(
      [&] { return system.frontend.metric(R"(http_requests_in_progress{method="GET",route="/roll"})") == 4; }));
  CHECK(error_code(get(system.frontend.port(), "/roll?die=fair").body) == "overloaded");
  for (const auto* path : {"/healthz", "/readyz", "/metrics", "/", "/dice"})
    CHECK(get(system.frontend.port(), path).status == 200);
  REQUIRE(clock.wait_for_sleepers(4));
  clock.advance(Seconds(1));
  for (auto& connection : waiting) CHECK(connection->receive().status == 200);
}

}  // namespace
}  // namespace dice::test

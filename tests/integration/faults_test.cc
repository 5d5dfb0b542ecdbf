// Injected faults, set on a metrics port and through the frontend.
#include <doctest/doctest.h>

#include <chrono>
#include <string>

#include "support/http.h"
#include "support/manual_clock.h"
#include "support/system.h"
#include "support/wait.h"

namespace dice::test {
namespace {

using std::chrono::steady_clock;

const Variables kEnabled = quick({{"FAULTS_ENABLED", "true"}});
const Headers kJson = {{"Content-Type", "application/json"}};

/// A frontend in front of this die-service, and of no dice-roller.
Variables in_front_of(const RunningService& dice, Variables more) {
  more.insert({{"DIE_SERVICE_URL", dice.url()},
               {"DIE_SERVICE_METRICS_URL", dice.metrics_url()},
               {"DICE_ROLLER_METRICS_URL", "http://127.0.0.1:1"}});
  return more;
}

TEST_CASE("faults are injected while they are set, and appear in metrics, spans and logs") {
  const RunningService dice(RunningService::Kind::die_service, quick({{"FAULTS_ENABLED", "true"}}));
  const auto put = [&](const std::string& body) {
    return request(dice.metrics_port(), "PUT", "/debug/faults", {}, body);
  };
  constexpr const char* kSet = R"({"delay_seconds":0.05,"error_rate":0.5,"unavailable":false})";
  CHECK(put(R"({"delay_seconds":0.05,"error_rate":0.5})").body == kSet);
  CHECK(get(dice.metrics_port(), "/debug/faults").body == kSet);
  CHECK(dice.metric("fault_injection_active") == 1);
  int failures = 0;
  for (int i = 0; i < 4; ++i) {
    const auto start = steady_clock::now();
    const auto reply = get(dice.port(), "/dice");
    CHECK(steady_clock::now() - start >= std::chrono::milliseconds(50));
    if (reply.status == 500) ++failures;
    if (reply.status == 500) CHECK(error_code(reply.body) == "fault_injected");
  }
  CHECK(failures == 2);
  CHECK(get(dice.port(), "/healthz").status == 200);
  const auto lines = dice.log("Request");
  REQUIRE(lines.size() == 4);
  for (const auto& line : lines) CHECK(line["fault.injected"].GetBool() == true);
  CHECK(put("{}").status == 200);
  CHECK(dice.metric("fault_injection_active") == 0);

  for (const auto* body : {"", "[]", "{", R"({"delay":1})", R"({"error_rate":1.5})", R"({"delay_seconds":-1})",
                           R"({"delay_seconds":"1"})", R"({"unavailable":1})", R"({"duration_seconds":0})",
                           R"({"duration_seconds":300.1})", R"({"duration_seconds":null})"}) {
    CAPTURE(body);
    CHECK(put(body).status == 400);
    CHECK(error_code(put(body).body) == "invalid_parameter");
  }
}

TEST_CASE("without FAULTS_ENABLED, faults cannot be set") {
  const RunningService dice(RunningService::Kind::die_service, quick());
  CHECK(request(dice.metrics_port(), "PUT", "/debug/faults", {}, R"({"error_rate":1})").status == 404);
  CHECK(get(dice.port(), "/dice").status == 200);
}

TEST_CASE("unavailable: connections are closed without a response, but health, metrics and faults stay") {
  const RunningService dice(RunningService::Kind::die_service, kEnabled);
  const auto put = [&](const std::string& body) {
    return request(dice.metrics_port(), "PUT", "/debug/faults", {}, body);
  };
  const std::string trace(32, 'a');
  const auto ask =
      "GET /dice HTTP/1.1\r\nHost: x\r\ntraceparent: 00-" + trace + "-" + std::string(16, 'b') + "-01\r\n\r\n";
  Connection kept(dice.port());
  kept.send(ask);
  CHECK(kept.receive().status == 200);
  Connection probe(dice.port());

  CHECK(put(R"({"unavailable":true})").body == R"({"delay_seconds":0,"error_rate":0,"unavailable":true})");
  CHECK(dice.metric("fault_injection_active") == 1);
  kept.send(ask + ask);  // the second one is never looked at
  CHECK(kept.receive().status == 0);
  CHECK(kept.closed());
  for (const auto* path : {"/dice", "/nowhere"}) CHECK(get(dice.port(), path).status == 0);
  // Also when the answer comes from another thread.
  CHECK(put(R"({"unavailable":true,"delay_seconds":0.01})").status == 200);
  CHECK(get(dice.port(), "/dice").status == 0);
  for (int i = 0; i < 2; ++i) {
    probe.send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK(probe.receive().status == 200);
  }
  CHECK(get(dice.port(), "/readyz").status == 200);
  CHECK(get(dice.port(), "/metrics").status == 200);

  const auto lines = dice.log("Request", trace);
  REQUIRE(lines.size() == 2);
  CHECK(lines[1]["status"].GetInt() == 500);
  CHECK(std::string(lines[1]["error_code"].GetString()) == "fault_injected");
  CHECK(lines[1]["fault.injected"].GetBool());
  CHECK(get(dice.metrics_port(), "/debug/spans/" + trace).body.contains("fault.injected"));
  CHECK(dice.metric(R"(http_requests_total{error_code="fault_injected",method="GET",route="/dice",status="500"})") ==
        3);
  CHECK(dice.metric(R"(http_requests_in_progress{method="GET",route="/dice"})") == 0);

  CHECK(put("{}").status == 200);
  CHECK(get(dice.port(), "/dice").status == 200);
}

TEST_CASE("a service in front of an unavailable one reports it as unreachable, and recovers") {
  System system(quick({{"FAULTS_ENABLED", "true"}, {"DIE_BREAKER_FAILURES", "1000"}}));
  CHECK(get(system.frontend.port(), "/roll?die=fair").status == 200);  // it has a kept connection now
  REQUIRE(request(system.die_service.metrics_port(), "PUT", "/debug/faults", {}, R"({"unavailable":true})").status ==
          200);
  for (int i = 0; i < 3; ++i) {
    const auto reply = get(system.frontend.port(), "/roll?die=fair");
    CHECK(reply.status == 502);
    CHECK(error_code(reply.body) == "downstream_unavailable");
  }
  REQUIRE(request(system.die_service.metrics_port(), "PUT", "/debug/faults", {}, "{}").status == 200);
  CHECK(get(system.frontend.port(), "/roll?die=fair").status == 200);
}

TEST_CASE("a fault with a duration ends by itself") {
  ManualClock clock;
  const RunningService dice(RunningService::Kind::die_service, kEnabled, &clock);
  CHECK(request(dice.metrics_port(), "PUT", "/debug/faults", {}, R"({"error_rate":1,"duration_seconds":300})").body ==
        R"({"delay_seconds":0,"error_rate":1,"unavailable":false,"remaining_seconds":300})");
  clock.advance(Seconds(299.5));
  CHECK(get(dice.port(), "/dice").status == 500);
  CHECK(json(get(dice.metrics_port(), "/debug/faults").body)["remaining_seconds"].GetDouble() == 0.5);
  clock.advance(Seconds(0.5));
  CHECK(get(dice.port(), "/dice").status == 200);
  CHECK(get(dice.metrics_port(), "/debug/faults").body == R"({"delay_seconds":0,"error_rate":0,"unavailable":false})");
  CHECK(dice.metric("fault_injection_active") == 0);
}

TEST_CASE("/api/faults sets the faults of each service, and is never faulted itself") {
  const System system(kEnabled);
  const auto port = system.frontend.port();
  CHECK(json(get(port, "/api/config").body)["faults_enabled"].GetBool());
  const struct {
    const char* name;
    const RunningService& service;
  } all[] = {{"frontend", system.frontend}, {"dice-roller", system.dice_roller}, {"die-service", system.die_service}};
  for (const auto& [name, service] : all) {
    CAPTURE(name);
    const auto path = std::string("/api/faults/") + name;
    const auto set = request(port, "PUT", path, kJson, R"({"unavailable":true,"duration_seconds":300})");
    CHECK(set.status == 200);
    CHECK(json(set.body)["unavailable"].GetBool());
    CHECK(json(set.body)["remaining_seconds"].GetDouble() > 290);
    CHECK(service.metric("fault_injection_active") == 1);
    CHECK(get(service.port(), "/version").status == 0);
    CHECK(json(get(port, path).body)["remaining_seconds"].GetDouble() > 290);
    CHECK(get(port, "/api/config").status == 200);
    CHECK(request(port, "PUT", path, kJson, R"({"duration_seconds":1})").body ==
          R"({"delay_seconds":0,"error_rate":0,"unavailable":false})");
    CHECK(get(service.port(), "/version").status == 200);
    CHECK(service.log("Fault injection set").size() == 2);
  }
  CHECK(system.frontend.log("Request").size() == 2);  // of /version, no other
}

TEST_CASE("/api/faults refuses what is not allowed, naming it") {
  const System system(kEnabled);
  const auto put = [&](const std::string& service, const std::string& body, const Headers& headers = kJson) {
    return request(system.frontend.port(), "PUT", "/api/faults/" + service, headers, body);
  };
  for (const auto* body : {R"({"unavailable":true})", R"({"duration_seconds":0.5})", R"({"duration_seconds":301})",
                           R"({"duration_seconds":"60"})"}) {
    CAPTURE(body);
    const auto reply = put("die-service", body);
    CHECK(reply.status == 400);
    CHECK(error_code(reply.body) == "invalid_parameter");
    CHECK(reply.body.contains("duration_seconds"));
  }
  constexpr const char* kShort = R"({"error_rate":1,"duration_seconds":1})";
  for (const auto& headers : {Headers{}, Headers{{"Content-Type", "text/plain"}}}) {
    const auto reply = put("die-service", kShort, headers);
    CHECK(reply.status == 400);
    CHECK(reply.body.contains("Content-Type"));
  }
  CHECK(put("frontend", R"({"duration_seconds":1})", {{"content-type", "application/JSON; charset=utf-8"}}).status ==
        200);
  for (const auto& reply : {put("tempo", kShort), get(system.frontend.port(), "/api/faults/tempo")}) {
    CHECK(reply.status == 404);
    CHECK(error_code(reply.body) == "not_found");
    CHECK(reply.body.contains("frontend, dice-roller, die-service"));
  }
  CHECK(request(system.frontend.port(), "DELETE", "/api/faults/frontend").status == 405);
  for (const auto* service : {&system.frontend, &system.dice_roller, &system.die_service}) {
    CHECK(service->metric("fault_injection_active") == 0);
  }
}

TEST_CASE("/api/faults only obeys the site's own page") {
  const RunningService frontend(RunningService::Kind::frontend, kEnabled);
  const auto own = "localhost:" + std::to_string(frontend.port());
  const auto put = [&](Headers headers) {
    headers.push_back(kJson[0]);
    return request(frontend.port(), "PUT", "/api/faults/frontend", headers, R"({"duration_seconds":1})");
  };
  for (const auto& headers :
       {Headers{}, Headers{{"Origin", "http://" + own}}, Headers{{"Origin", "https://LOCALHOST" + own.substr(9)}},
        Headers{{"Sec-Fetch-Site", "same-origin"}, {"Origin", "http://" + own}}, Headers{{"Sec-Fetch-Site", "none"}}}) {
    CHECK(put(headers).status == 200);
  }
  for (const auto& headers :
       {Headers{{"Origin", "http://evil.example"}}, Headers{{"Origin", "null"}}, Headers{{"Origin", own}},
        Headers{{"Origin", "http://localhost:1"}}, Headers{{"Origin", "http://" + own + ".evil.example"}},
        Headers{{"Origin", "http://" + own}, {"Origin", "http://evil.example"}},
        Headers{{"Sec-Fetch-Site", "cross-site"}},
        Headers{{"Sec-Fetch-Site", "same-site"}, {"Origin", "http://" + own}}}) {
    CAPTURE(headers[0].second);
    const auto reply = put(headers);
    CHECK(reply.status == 403);
    CHECK(error_code(reply.body) == "forbidden");
  }
}

TEST_CASE("/api/faults says when a service behind it does not allow faults, or is down") {
  const RunningService dice(RunningService::Kind::die_service, quick());
  const RunningService frontend(RunningService::Kind::frontend, in_front_of(dice, kEnabled));
  for (const auto* method : {"GET", "PUT"}) {
    const auto ask = [&](const std::string& service) {
      return request(frontend.port(), method, "/api/faults/" + service, kJson,
                     *method == 'P' ? R"({"duration_seconds":1})" : "");
    };
    const auto off = ask("die-service");
    CHECK(off.status == 404);
    CHECK(error_code(off.body) == "not_found");
    CHECK(off.body.contains("die-service does not allow faults"));
    CHECK(ask("dice-roller").status == 502);
  }
}

TEST_CASE("without FAULTS_ENABLED, there is no /api/faults") {
  const RunningService dice(RunningService::Kind::die_service, kEnabled);
  const RunningService frontend(RunningService::Kind::frontend, in_front_of(dice, quick()));
  CHECK_FALSE(json(get(frontend.port(), "/api/config").body)["faults_enabled"].GetBool());
  for (const auto* service : {"frontend", "die-service"}) {
    const auto path = std::string("/api/faults/") + service;
    CHECK(get(frontend.port(), path).status == 404);
    CHECK(request(frontend.port(), "PUT", path, kJson, R"({"error_rate":1,"duration_seconds":60})").status == 404);
  }
  CHECK(dice.metric("fault_injection_active") == 0);
}

}  // namespace
}  // namespace dice::test

// Connections: order and recipients of responses, timeouts, and limits.
#include <doctest/doctest.h>

#include <array>
#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "support/http.h"
#include "support/manual_clock.h"
#include "support/storm.h"
#include "support/system.h"
#include "support/wait.h"

namespace dice::test {
namespace {

using std::chrono::steady_clock;

std::string asking(const std::string& path, const std::string& lines = "", const std::string& method = "GET") {
  return method + " " + path + " HTTP/1.1\r\nHost: x\r\n" + lines + "\r\n";
}

std::string trace_id_of(int number) {
  auto id = std::to_string(number);
  return std::string(32 - id.size(), 'a') + id;
}

/// Requests /healthz over new connections, so that every I/O thread is used.
bool all_threads_answer(std::uint16_t port) {
  for (int i = 0; i < 100; ++i) {
    if (get(port, "/healthz").status != 200) return false;
  }
  return true;
}

/// The frontend fetches its list of dice at startup.
bool has_its_list(const RunningService& frontend) {
  return eventually([&] { return get(frontend.port(), "/dice").status == 200; });
}

struct Port {
  std::uint16_t port;
  /// Requests of mixed speed: answered immediately, on a worker, or by other services.
  std::vector<std::pair<std::string, int>> paths;
};

std::vector<Port> ports_of(const System& system) {
  return {
      {system.frontend.port(),
       {{"/dice", 200},
        {"/roll?die=fair", 200},
        {"/nowhere", 404},
        {"/metrics", 200},
        {"/roll?die=none", 404},
        {"/roll-async?die=fair&times=3", 200},
        {"/style.css", 200},
        {"/api/traces/x", 400}}},
      {system.dice_roller.port(),
       {{"/", 200},
        {"/roll?die=fair", 200},
        {"/roll-async?die=fair&times=3", 200},
        {"/roll", 400},
        {"/healthz", 200},
        {"/metrics", 200}}},
      {system.die_service.port(), {{"/dice", 200}, {"/dice/fair", 200}, {"/metrics", 200}, {"/dice/none", 404}}},
      {system.frontend.metrics_port(), {{"/metrics", 200}, {"/healthz", 200}, {"/nowhere", 404}}},
      {system.dice_roller.metrics_port(), {{"/metrics", 200}, {"/readyz", 200}, {"/debug/spans/x", 400}}},
      {system.die_service.metrics_port(), {{"/metrics", 200}, {"/healthz", 200}, {"/nowhere", 404}}},
  };
}

TEST_CASE("pipelined requests of mixed speed get their own responses in order, however the input is split") {
  const System system(quick({{"ROLL_DELAY_MAX_SECONDS", "0.004"}}));
  REQUIRE(has_its_list(system.frontend));
  for (const auto& [port, paths] : ports_of(system)) {
    for (const std::size_t requests : {1UL, 2UL, 3UL, 7UL, 20UL, 50UL}) {
      std::string bytes;
      for (std::size_t i = 0; i < requests; ++i) {
        const auto id = trace_id_of(static_cast<int>(i));
        bytes += asking(paths[i % paths.size()].first, "traceparent: 00-" + id + "-00f067aa0ba902b7-01\r\n");
      }
      // All together, in pieces, and byte by byte.
      for (const std::size_t piece : {bytes.size(), std::size_t{97}, std::size_t{1}}) {
        if (piece == 1 && requests > 7) continue;
        CAPTURE(port);
        CAPTURE(requests);
        CAPTURE(piece);
        Connection connection(port);
        for (std::size_t at = 0; at < bytes.size(); at += piece) connection.send(bytes.substr(at, piece));
        for (std::size_t i = 0; i < requests; ++i) {
          auto reply = connection.receive();
          CHECK(reply.status == paths[i % paths.size()].second);
          CHECK(reply.headers["traceresponse"].substr(3, 32) == trace_id_of(static_cast<int>(i)));
          CHECK(!reply.headers.contains("connection"));
        }
      }
    }
  }
}

TEST_CASE("pipelined input may be split at any byte") {
  const System system(quick());
  REQUIRE(has_its_list(system.frontend));
  const auto bytes = asking("/dice") + asking("/roll?die=fair") + asking("/nowhere");
  for (std::size_t at = 1; at < bytes.size(); ++at) {
    CAPTURE(at);
    Connection connection(system.frontend.port());
    connection.send(bytes.substr(0, at));
    connection.send(bytes.substr(at));
    for (const int status : {200, 200, 404}) CHECK(connection.receive().status == status);
  }
}

TEST_CASE("chunked bodies, split anywhere, are accepted or rejected on every route without using a thread") {
  const System system(quick({{"FAULTS_ENABLED", "true"}}));
  std::string large;
  for (int i = 0; i < 20; ++i) large += "400\r\n" + std::string(1024, ' ') + "\r\n";
  large += "0\r\n\r\n";
  const std::string small = "2\r\n{}\r\n1;a=b\r\n \r\n0\r\nX: y\r\n\r\n";
  for (const auto& [port, paths] : ports_of(system)) {
    CAPTURE(port);
    auto all = paths;
    all.emplace_back("/debug/faults", 0);
    for (const auto& [path, status] : all) {
      CAPTURE(path);
      for (const auto* method : {"GET", "PUT"}) {
        const auto head = asking(path, "Transfer-Encoding: chunked\r\n", method);
        for (std::size_t at = 0; at <= small.size(); ++at) {
          Connection connection(port);
          connection.send(head + small.substr(0, at));
          connection.send(small.substr(at) + asking("/healthz"));
          CHECK(connection.receive().status >= 200);
          CHECK(connection.receive().status == 200);
        }
        Connection connection(port);
        connection.send(head);
        for (std::size_t at = 0; at < large.size(); at += 4096) connection.send(large.substr(at, 4096));
        CHECK(connection.receive().status >= 200);
      }
    }
    CHECK(all_threads_answer(port));
  }
}

TEST_CASE(
    "after a half-close, immediate responses are sent, blocking work gets 503 client_gone, and the connection is "
    "closed") {
  ManualClock clock;  // stopped, so a roll never ends
  const System system(quick({{"ROLL_DELAY_MIN_SECONDS", "1"}, {"ROLL_DELAY_MAX_SECONDS", "1"}}), &clock);
  for (const auto port : {system.dice_roller.port(), system.frontend.port()}) {
    CAPTURE(port);
    Connection quick_one(port);
    quick_one.send(asking("/"));
    quick_one.end_input();
    CHECK(quick_one.receive().status == 200);
    CHECK(quick_one.closed());

    Connection pipeline(port);
    pipeline.send(asking("/") + asking("/roll?die=fair") + asking("/nowhere") + asking("/roll-async?die=fair&times=5") +
                  asking("/version"));
    pipeline.end_input();
    std::vector<std::pair<int, std::string>> came;
    std::string last;
    for (int i = 0; i < 5; ++i) {
      auto reply = pipeline.receive();
      came.emplace_back(reply.status, error_code(reply.body));
      last = reply.headers["connection"];
    }
    CHECK(came == std::vector<std::pair<int, std::string>>{
                      {200, ""}, {503, "client_gone"}, {404, "not_found"}, {503, "client_gone"}, {200, ""}});
    CHECK(last == "close");
    CHECK(pipeline.closed());

    Connection single(port);
    single.send(asking("/roll?die=fair"));
    single.end_input();
    auto reply = single.receive();
    CHECK(reply.status == 503);
    CHECK(error_code(reply.body) == "client_gone");
    CHECK(reply.headers["connection"] == "close");
    CHECK(single.closed());
  }
  const std::string gone = R"(http_requests_total{error_code="client_gone",method="GET",route="/roll",status="499"})";
  CHECK(system.frontend.metric(gone) == 2);
}

TEST_CASE("while many clients disconnect, every response reaches its own client") {
  const System system(quick({{"LOG_LEVEL", "warn"}, {"ROLL_DELAY_MAX_SECONDS", "0.002"}}));
  for (const auto& [port, paths] : ports_of(system)) {
    CAPTURE(port);
    StormOptions options{.port = port, .leavers = 1000};
    for (const auto& [path, status] : paths) {
      options.abandoned.push_back(path);
      options.honest.push_back(path);
    }
    const auto result = storm(options);
    CHECK(result.honest == 1000);
    CHECK(result.foreign == 0);
    CHECK(result.unsolicited == 0);
    CHECK(result.lost == 0);
    CHECK(all_threads_answer(port));
  }
}

TEST_CASE("a client that reads nothing does not delay others and is finally reset") {
  const System system(quick({{"HTTP_WRITE_TIMEOUT_SECONDS", "1"}}));
  for (const auto& [port, path] : {std::pair{system.frontend.port(), std::string("/style.css")},
                                   {system.frontend.metrics_port(), "/metrics"},
                                   {system.die_service.port(), "/metrics"}}) {
    CAPTURE(path);
    std::vector<std::unique_ptr<Connection>> silent;
    for (int i = 0; i < 20; ++i) {
      silent.push_back(std::make_unique<Connection>(port));
      silent.back()->shrink_window();
      for (int k = 0; k < 200; ++k) silent.back()->send(asking(path));
    }
    const auto start = steady_clock::now();
    CHECK(all_threads_answer(port));
    CHECK(steady_clock::now() - start < std::chrono::seconds(5));
    for (auto& connection : silent) CHECK(eventually([&] { return connection->was_reset(); }));
  }
}

TEST_CASE("timeouts: 408 for headers and body, close between requests") {
  const RunningService dice(RunningService::Kind::die_service, quick({{"HTTP_HEADER_TIMEOUT_SECONDS", "0.2"},
                                                                      {"HTTP_BODY_TIMEOUT_SECONDS", "0.3"},
                                                                      {"HTTP_IDLE_TIMEOUT_SECONDS", "0.4"}}));
  Connection slow_head(dice.port());
  Connection slow_body(dice.port());
  Connection idle(dice.port());
  Connection used(dice.port());
  slow_head.send("GET /dice HTTP/1.1\r\nHost:");
  slow_body.send(asking("/dice", "Content-Length: 5\r\n") + "hell");
  used.send(asking("/dice"));
  CHECK(used.receive().status == 200);
  for (auto* connection : {&slow_head, &slow_body}) {
    auto reply = connection->receive();
    CHECK(reply.status == 408);
    CHECK(error_code(reply.body) == "request_timeout");
    CHECK(reply.headers["connection"] == "close");
    CHECK(connection->closed());
  }
  CHECK(idle.closed());
  CHECK(used.closed());
  CHECK(dice.metric(
            R"(http_requests_total{error_code="request_timeout",method="_OTHER",route="_unmatched",status="408"})") ==
        2);
}

TEST_CASE("above HTTP_MAX_CONNECTIONS, the connection idle the longest is closed") {
  const RunningService dice(RunningService::Kind::die_service, quick({{"HTTP_MAX_CONNECTIONS", "8"}}));
  std::vector<std::unique_ptr<Connection>> idle;
  for (int i = 0; i < 8; ++i) {
    idle.push_back(std::make_unique<Connection>(dice.port()));
    idle.back()->send(asking("/dice"));
    CHECK(idle.back()->receive().status == 200);
  }
  // New connections are not closed, so some requests may be rejected before there is room; probes never are.
  CHECK(get(dice.port(), "/healthz").status == 200);
  CHECK(eventually([&] { return get(dice.port(), "/dice").status == 200; }));
  CHECK(eventually([&] { return idle.front()->was_reset(); }));
  CHECK(all_threads_answer(dice.port()));
}

TEST_CASE("if every connection waits for a response, probes are answered and other requests get 503") {
  ManualClock clock;
  const RunningService dice(RunningService::Kind::die_service, quick());
  const RunningService roller(RunningService::Kind::dice_roller,
                              quick({{"DIE_SERVICE_URL", dice.url()},
                                     {"HTTP_MAX_CONNECTIONS", "4"},
                                     {"ROLL_DELAY_MIN_SECONDS", "1"},
                                     {"ROLL_DELAY_MAX_SECONDS", "1"}}),
                              &clock);
  std::vector<std::unique_ptr<Connection>> busy;
  for (int i = 0; i < 4; ++i) {
    busy.push_back(std::make_unique<Connection>(roller.port()));
    busy.back()->send(asking("/roll?die=fair"));
  }
  REQUIRE(clock.wait_for_sleepers(4));
  for (int i = 0; i < 10; ++i) {
    auto refused = get(roller.port(), "/roll?die=fair");
    CHECK(refused.status == 503);
    CHECK(error_code(refused.body) == "overloaded");
    CHECK(refused.headers["retry-after"] == "1");
    CHECK(refused.headers["connection"] == "close");
    for (const auto* path : {"/healthz", "/readyz", "/metrics"}) CHECK(get(roller.port(), path).status == 200);
  }
  clock.advance(Seconds(1));
  for (auto& connection : busy) CHECK(connection->receive().status == 200);
}

TEST_CASE("client input is visibly truncated in logs and spans") {
  const RunningService dice(RunningService::Kind::die_service, quick({{"MAX_TEXT_BYTES", "100"}}));
  CHECK(get(dice.port(), "/" + std::string(5'000, 'x')).status == 404);
  const auto lines = dice.log("Request");
  REQUIRE(lines.size() == 1);
  const std::string path = lines[0]["path"].GetString();
  CHECK(path == "/" + std::string(99, 'x') + "…");
  const std::string id = lines[0]["trace_id"].GetString();
  const auto spans = get(dice.metrics_port(), "/debug/spans/" + id).body;
  CHECK(spans.find("/" + std::string(99, 'x') + "…") != std::string::npos);
  CHECK(spans.find(std::string(100, 'x')) == std::string::npos);
}

}  // namespace
}  // namespace dice::test

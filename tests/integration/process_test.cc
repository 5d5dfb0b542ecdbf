// The programs as processes: startup, configuration errors, signals, and graceful shutdown.
#include "support/process.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <set>
#include <vector>

#include "support/http.h"
#include "support/otlp_receiver.h"
#include "support/system.h"
#include "support/wait.h"

namespace dice::test {
namespace {

Variables alone(Variables more = {}) {
  more.insert(
      {{"PORT", "0"}, {"METRICS_PORT", "0"}, {"DIE_SPECIFICATIONS", shipped_dice()}, {"OTEL_TRACES_EXPORTER", "none"}});
  return more;
}

/// How often to repeat a shutdown that used to crash occasionally.
int stop_rounds() {
  const char* rounds = std::getenv("STOP_ROUNDS");  // NOLINT(concurrency-mt-unsafe): nothing sets variables
  return rounds == nullptr ? 2 : std::atoi(rounds);
}

std::uint16_t port(int number) { return static_cast<std::uint16_t>(number); }

TEST_CASE("SIGTERM with fifty rolls in flight: fifty answers, every span exported, exit 0") {
  const OtlpReceiver receiver;
  const RunningService dice(RunningService::Kind::die_service, quick());
  Process roller("dice-roller", alone({{"DIE_SERVICE_URL", dice.url()},
                                       {"ROLL_DELAY_MIN_SECONDS", "3"},
                                       {"ROLL_DELAY_MAX_SECONDS", "3.1"},
                                       {"OTEL_TRACES_EXPORTER", "otlp"},
                                       {"OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url()}}));
  const auto ports = roller.ports();
  std::vector<std::unique_ptr<Connection>> clients;
  for (int i = 0; i < 50; ++i) {
    clients.push_back(std::make_unique<Connection>(port(ports.main)));
    const std::string path = i % 10 == 0 ? "/roll-async?die=fair&times=5" : "/roll?die=fair";
    clients.back()->send("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n");
  }
  const auto in_progress = [&] {
    const auto text = get(port(ports.metrics), "/metrics").body;
    return text.find("http_requests_in_progress{method=\"GET\",route=\"/roll\"} 45") != std::string::npos &&
           text.find("async_rolls_in_progress 25") != std::string::npos;
  };
  REQUIRE(eventually(in_progress));
  roller.signal(SIGTERM);
  std::set<std::string> traces;
  for (auto& client : clients) {
    auto reply = client->receive();
    CHECK(reply.status == 200);
    CHECK(reply.headers["connection"] == "close");
    if (reply.headers["traceresponse"].size() == 55) traces.insert(reply.headers["traceresponse"].substr(3, 32));
  }
  CHECK(traces.size() == 50);
  CHECK(roller.wait() == 0);
  std::size_t of_these = 0;
  for (const auto& span : receiver.spans()) of_these += traces.contains(span.trace_id) ? 1 : 0;
  CHECK(of_these == 45 * 2 + 5 * (2 + 5));  // the server's span, the call to die-service, and the rolls of a batch
}

TEST_CASE("after SIGTERM it is not ready but serves for SHUTDOWN_DELAY_SECONDS, then answers new requests 503") {
  const RunningService dice(RunningService::Kind::die_service, quick());
  Process roller("dice-roller", alone({{"DIE_SERVICE_URL", dice.url()},
                                       {"SHUTDOWN_DELAY_SECONDS", "2"},
                                       {"ROLL_DELAY_MIN_SECONDS", "4"},
                                       {"ROLL_DELAY_MAX_SECONDS", "4"}}));
  const auto main = port(roller.ports().main);
  Connection slow(main);
  Connection early(main);
  slow.send("GET /roll?die=fair HTTP/1.1\r\nHost: x\r\n\r\n");
  REQUIRE(eventually([&] {
    return get(main, "/metrics").body.find(R"(http_requests_in_progress{method="GET",route="/roll"} 1)") !=
           std::string::npos;
  }));
  roller.signal(SIGTERM);
  REQUIRE(eventually([&] { return get(main, "/readyz").status == 503; }));
  CHECK(error_code(get(main, "/readyz").body) == "not_ready");
  early.send("GET /version HTTP/1.1\r\nHost: x\r\n\r\n");
  auto served = early.receive();
  CHECK(served.status == 200);
  CHECK(served.headers["connection"] == "close");
  CHECK(eventually([&] { return get(main, "/version").status == 503; }));
  CHECK(get(main, "/healthz").status == 200);
  CHECK(slow.receive().status == 200);
  CHECK(roller.wait() == 0);
}

/// Delay + grace + flush + 1 s.
Variables short_stop(Variables more) {
  more.insert(
      {{"SHUTDOWN_DELAY_SECONDS", "0.1"}, {"SHUTDOWN_GRACE_SECONDS", "0.3"}, {"SHUTDOWN_FLUSH_SECONDS", "0.2"}});
  return alone(std::move(more));
}
constexpr std::chrono::milliseconds kShortStop{1600};
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr int kSlower = 5;  // the sanitizer's work at the end of a process takes time
#else
constexpr int kSlower = 1;
#endif

/// Checks that it ends with 0 and in time, and each of the requests in flight gets 503 `not_ready`.
void check_stop(Process& process, std::vector<std::unique_ptr<Connection>>& clients) {
  const auto start = std::chrono::steady_clock::now();
  process.signal(SIGTERM);
  for (auto& client : clients) {
    auto reply = client->receive();
    CHECK(reply.status == 503);
    CHECK(error_code(reply.body) == "not_ready");
    CHECK(reply.headers["connection"] == "close");
    CHECK(client->closed());
  }
  CHECK(process.wait() == 0);
  CHECK(std::chrono::steady_clock::now() - start < kShortStop * kSlower);
  const auto abandoned = "\"in_flight\":" + std::to_string(clients.size());
  CHECK_MESSAGE(process.output().find("\"Stopped with requests in flight\"") != std::string::npos, process.output());
  CHECK(process.output().find(abandoned) != std::string::npos);
}

std::unique_ptr<Connection> asking(std::uint16_t port, const std::string& path) {
  auto client = std::make_unique<Connection>(port);
  client->send("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n");
  return client;
}

TEST_CASE("requests still running after SHUTDOWN_GRACE_SECONDS get 503, and the shutdown is in time") {
  const RunningService dice(RunningService::Kind::die_service, quick());
  for (int round = 0; round < stop_rounds(); ++round) {
    Process roller("dice-roller", short_stop({{"DIE_SERVICE_URL", dice.url()},
                                              {"ROLL_DELAY_MIN_SECONDS", "50"},
                                              {"ROLL_DELAY_MAX_SECONDS", "60"}}));
    const auto ports = roller.ports();
    std::vector<std::unique_ptr<Connection>> clients;
    for (int i = 0; i < 20; ++i) clients.push_back(asking(port(ports.main), "/roll?die=fair"));
    clients.push_back(asking(port(ports.main), "/roll-async?die=fair&times=20&concurrency=5"));
    REQUIRE(eventually([&] {
      const auto text = get(port(ports.metrics), "/metrics").body;
      return text.find("http_requests_in_progress{method=\"GET\",route=\"/roll\"} 20") != std::string::npos &&
             text.find("async_rolls_in_progress 5") != std::string::npos;
    }));
    check_stop(roller, clients);
  }
}

TEST_CASE("a hanging downstream service does not delay the shutdown") {
  const CannedServer roller({""});
  for (int round = 0; round < stop_rounds(); ++round) {
    Process frontend("frontend", short_stop({{"DICE_ROLLER_URL", roller.url()}, {"DIE_SERVICE_URL", roller.url()}}));
    const auto ports = frontend.ports();
    std::vector<std::unique_ptr<Connection>> clients;
    for (int i = 0; i < 5; ++i) clients.push_back(asking(port(ports.main), "/roll-async?die=fair&times=3"));
    REQUIRE(eventually([&] {
      return get(port(ports.metrics), "/metrics")
                 .body.find("http_requests_in_progress{method=\"GET\",route=\"/roll-async\"} 5") != std::string::npos;
    }));
    check_stop(frontend, clients);
  }
}

TEST_CASE("clients that read nothing or send half a request do not delay the shutdown") {
  Process dice("die-service", short_stop({}));
  const auto ports = dice.ports();
  std::vector<std::unique_ptr<Connection>> clients;
  for (int i = 0; i < 20; ++i) {
    clients.push_back(std::make_unique<Connection>(port(ports.main)));
    clients.back()->shrink_window();
    for (int k = 0; k < 100; ++k) clients.back()->send("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    clients.push_back(std::make_unique<Connection>(port(ports.main)));
    clients.back()->send("GET /dice HTT");
  }
  REQUIRE(get(port(ports.main), "/healthz").status == 200);
  const auto start = std::chrono::steady_clock::now();
  dice.signal(SIGTERM);
  CHECK(dice.wait() == 0);
  CHECK(std::chrono::steady_clock::now() - start < kShortStop * kSlower);
}

TEST_CASE("a hanging collector does not delay the shutdown") {
  const CannedServer collector({""});
  Process dice("die-service", short_stop({{"OTEL_TRACES_EXPORTER", "otlp"},
                                          {"OTEL_EXPORTER_OTLP_ENDPOINT", collector.url()},
                                          {"OTEL_BSP_SCHEDULE_DELAY", "10"}}));
  const auto ports = dice.ports();
  for (int i = 0; i < 10; ++i) CHECK(get(port(ports.main), "/dice").status == 200);
  const auto start = std::chrono::steady_clock::now();
  dice.signal(SIGTERM);
  CHECK(dice.wait() == 0);
  CHECK(std::chrono::steady_clock::now() - start < kShortStop * kSlower);
  CHECK_MESSAGE(dice.output().find("\"spans_dropped\":10") != std::string::npos, dice.output());
}

TEST_CASE("with more connections than descriptors, probes, scrapes and calls to other services still work") {
  const RunningService dice(RunningService::Kind::die_service, quick());
  Process roller("dice-roller", alone({{"DIE_SERVICE_URL", dice.url()}, {"ROLL_DELAY_MAX_SECONDS", "0"}}), 256);
  const auto ports = roller.ports();
  std::vector<std::unique_ptr<Connection>> idle;
  for (int i = 0; i < 400; ++i)
    idle.push_back(std::make_unique<Connection>(port(i % 2 == 0 ? ports.main : ports.metrics)));
  CHECK(eventually([&] { return get(port(ports.main), "/roll?die=fair").status == 200; }));
  for (int i = 0; i < 50; ++i) {
    for (const auto one : {ports.main, ports.metrics}) {
      for (const auto* path : {"/healthz", "/metrics"}) CHECK(get(port(one), path).status == 200);
    }
    CHECK(eventually([&] { return get(port(ports.main), "/roll?die=fair").status == 200; }));
  }
  idle.clear();
  CHECK(get(port(ports.main), "/roll-async?die=fair&times=20").status == 200);
  roller.signal(SIGTERM);
  CHECK(roller.wait() == 0);
}

TEST_CASE("a second signal ends the process immediately") {
  const RunningService dice(RunningService::Kind::die_service, quick());
  Process roller("dice-roller", alone({{"DIE_SERVICE_URL", dice.url()}, {"SHUTDOWN_DELAY_SECONDS", "600"}}));
  const auto main = port(roller.ports().main);
  roller.signal(SIGTERM);
  REQUIRE(eventually([&] { return get(main, "/readyz").status == 503; }));
  roller.signal(SIGTERM);
  CHECK(roller.wait() == 128 + SIGTERM);
}

TEST_CASE("the shutdown does not wait long for an unreachable collector") {
  Process dice("die-service",
               alone({{"OTEL_TRACES_EXPORTER", "otlp"}, {"OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1"}}));
  CHECK(get(port(dice.ports().main), "/dice").status == 200);
  dice.signal(SIGTERM);
  CHECK(dice.wait() == 0);
  CHECK(dice.output().find("\"spans_dropped\":1") != std::string::npos);
}

TEST_CASE("--healthcheck: exit code 0 if the service on PORT responds, otherwise 1 and the reason") {
  const auto check = [](const std::string& program, const std::string& port) {
    Process process(program + " --healthcheck", alone({{"PORT", port}}));
    const auto code = process.wait();
    return std::pair(code, process.output());
  };
  const RunningService dice(RunningService::Kind::die_service, quick());
  for (const auto* program : {"die-service", "dice-roller", "frontend"}) {
    CHECK(check(program, std::to_string(dice.port())) == std::pair(0, std::string()));
    const auto [refused, why] = check(program, "1");
    CHECK(refused == 1);
    CHECK_MESSAGE(why.starts_with("http://127.0.0.1:1/healthz: "), why);
  }
  const CannedServer unwell({canned("", "503 Service Unavailable")});
  const auto port = unwell.url().substr(unwell.url().rfind(':') + 1);
  CHECK(check("frontend", port) == std::pair(1, unwell.url() + "/healthz: status 503\n"));
  const auto [no_port, words] = check("frontend", "0");
  CHECK(no_port == 1);
  CHECK(words == "PORT: \"0\" is not allowed with --healthcheck; allowed: the port of a running service\n");
}

TEST_CASE("SIGHUP and a changed file reload the dice") {
  const auto file = std::string("/tmp/dice-process-") + std::to_string(::getpid()) + ".yaml";
  const auto write = [&](const std::string& text) {
    std::ofstream(file + ".new") << text;
    std::rename((file + ".new").c_str(), file.c_str());
  };
  write("one: {faces: [1]}\n");
  Process dice("die-service", alone({{"DIE_SPECIFICATIONS", file}}));
  const auto main = port(dice.ports().main);
  const auto list = [&] { return get(main, "/dice").body; };
  CHECK(list() == R"({"identifiers":["one"]})");
  write("two: {faces: [2]}\n");
  CHECK(eventually([&] { return list() == R"({"identifiers":["two"]})"; }));
  dice.signal(SIGHUP);
  CHECK(eventually([&] {
    const auto text = dice.output();
    const auto first = text.find("Die specifications reloaded");
    return first != std::string::npos && text.find("Die specifications reloaded", first + 1) != std::string::npos;
  }));
  dice.signal(SIGTERM);
  CHECK(dice.wait() == 0);
  std::remove(file.c_str());
}

TEST_CASE("configuration errors prevent the start and are reported in one line each") {
  struct Case {
    std::string program;
    Variables variables;
    int code;
    std::string in_output;
  };
  const auto file = std::string("/tmp/dice-mistake-") + std::to_string(::getpid()) + ".yaml";
  std::ofstream(file) << "fair:\n  faces: [1, 2]\n  error_rate: 2\n";
  const RunningService taken(RunningService::Kind::die_service, quick());
  const auto taken_port = std::to_string(taken.port());
  for (const auto& [program, variables, code, in_output] :
       {Case{"die-service",
             {{"DIE_SPECIFICATIONS", file}},
             1,
             file + ": line 3: 'fair.error_rate' must be a number from 0 to 1\n"},
        Case{"die-service", {{"DIE_SPECIFICATIONS", "/nonexistent"}}, 1, "/nonexistent: cannot be read\n"},
        Case{"die-service", {{"PORT", taken_port}}, 1, "port " + taken_port + ": Address already in use\n"},
        Case{"die-service",
             {{"PORT", "http"}},
             2,
             "PORT: \"http\" is not allowed; allowed: a whole number from 0 to 65535\n"},
        Case{"dice-roller",
             {{"ROLL_STRATEGY", "luck"}},
             2,
             "ROLL_STRATEGY: \"luck\" is not allowed; allowed: all-or-nothing, best-effort"},
        Case{"dice-roller", {{"ROLL_DELAY_MIN_SECONDS", "2"}}, 2, "ROLL_DELAY_MAX_SECONDS"},
        Case{"frontend",
             {{"DICE_ROLLER_URL", "dice-roller:8401"}},
             2,
             "DICE_ROLLER_URL: \"dice-roller:8401\" is not allowed, because it does not start with http:// or "
             "https://; allowed: "},
        Case{"frontend", {{"LOG_LEVEL", "all"}, {"MAX_REQUESTS", "some"}}, 2, "MAX_REQUESTS"}}) {
    CAPTURE(in_output);
    Process process(program, alone(variables));
    CHECK(process.wait() == code);
    CHECK_MESSAGE(process.output().find(in_output) != std::string::npos, process.output());
  }
  std::remove(file.c_str());
}

}  // namespace
}  // namespace dice::test

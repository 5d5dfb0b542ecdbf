// The programs as processes: start, mistakes, signals, and a stop that loses nothing.
#include "support/process.h"

#include <doctest/doctest.h>

#include <csignal>
#include <cstdio>
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

TEST_CASE("a second signal ends it at once") {
  const RunningService dice(RunningService::Kind::die_service, quick());
  Process roller("dice-roller", alone({{"DIE_SERVICE_URL", dice.url()}, {"SHUTDOWN_DELAY_SECONDS", "600"}}));
  const auto main = port(roller.ports().main);
  roller.signal(SIGTERM);
  REQUIRE(eventually([&] { return get(main, "/readyz").status == 503; }));
  roller.signal(SIGTERM);
  CHECK(roller.wait() == 128 + SIGTERM);
}

TEST_CASE("a stop does not wait long for a collector that is not there") {
  Process dice("die-service",
               alone({{"OTEL_TRACES_EXPORTER", "otlp"}, {"OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1"}}));
  CHECK(get(port(dice.ports().main), "/dice").status == 200);
  dice.signal(SIGTERM);
  CHECK(dice.wait() == 0);
  CHECK(dice.output().find("\"spans_dropped\":1") != std::string::npos);
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

TEST_CASE("mistakes stop the start with a line that names them") {
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
             "ROLL_STRATEGY: \"luck\" is not allowed; allowed: all-or-nothing, best-effort\n"},
        Case{"dice-roller", {{"ROLL_DELAY_MIN_SECONDS", "2"}}, 2, "ROLL_DELAY_MAX_SECONDS"},
        Case{"frontend",
             {{"DICE_ROLLER_URL", "dice-roller:8401"}},
             2,
             "DICE_ROLLER_URL: \"dice-roller:8401\" is not allowed; allowed: http://"},
        Case{"frontend", {{"LOG_LEVEL", "all"}, {"OTEL_TRACES_SAMPLER", "some"}}, 2, "OTEL_TRACES_SAMPLER"}}) {
    CAPTURE(in_output);
    Process process(program, alone(variables));
    CHECK(process.wait() == code);
    CHECK_MESSAGE(process.output().find(in_output) != std::string::npos, process.output());
  }
  std::remove(file.c_str());
}

}  // namespace
}  // namespace dice::test

// The API of each service: statuses, bodies, errors.
#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <mutex>
#include <set>
#include <utility>
#include <vector>

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

/// What became of each roll of a batch, by index: its value, or `kFailed`.
using Fates = std::vector<int>;
constexpr int kFailed = 0;

/// The same rolls, one request for each.
Fates fates_of_singles(std::uint16_t port, const std::string& die, const std::string& seed, int count) {
  const auto path = "/roll?die=" + die + "&seed=" + seed + "&index=";
  Fates fates;
  for (int index = 0; index < count; ++index) {
    const auto reply = get(port, path + std::to_string(index));
    REQUIRE((reply.status == 200 || error_code(reply.body) == "roll_failed"));
    fates.push_back(reply.status == 200 ? json(reply.body)["roll"].GetInt() : kFailed);
  }
  return fates;
}

std::string batch_of_20(const std::string& die, const std::string& seed, const std::string& more) {
  return "/roll-async?die=" + die + "&times=20&seed=" + seed + more;
}

Fates fates_of_batch(const std::string& body) {
  const auto batch = json(body);
  Fates fates;
  for (const auto& roll : batch["rolls"].GetArray()) fates.push_back(roll.GetInt());
  if (!batch.HasMember("failed")) return fates;
  for (const auto& failed : batch["failed"].GetArray()) {
    fates.insert(fates.begin() + failed["index"].GetInt(), kFailed);
  }
  return fates;
}

TEST_CASE("a request's seed decides each roll by its index: alone or in a batch, whatever concurrency and strategy") {
  const System system(quick());
  const System seeded(quick({{"ROLL_SEED", "42"}}));
  const auto frontend = system.frontend.port();
  std::set<Fates> all;
  for (const std::string seed : {"0", "1", "42", "9007199254740991"}) {
    CAPTURE(seed);
    const auto risky = fates_of_singles(frontend, "risky", seed, 20);
    const auto fair = fates_of_singles(frontend, "fair", seed, 20);
    const auto failed = std::ranges::count(risky, kFailed);
    REQUIRE(failed > 0);
    REQUIRE(failed < 20);
    CHECK(std::ranges::count(fair, kFailed) == 0);
    CHECK(all.insert(risky).second);
    CHECK(fates_of_singles(seeded.dice_roller.port(), "risky", seed, 20) == risky);
    CHECK(fates_of_singles(seeded.frontend.port(), "fair", seed, 20) == fair);
    CHECK(json(get(frontend, "/roll?die=fair&seed=" + seed).body)["roll"].GetInt() == fair[0]);

    const auto batch = [&](const std::string& die, const std::string& more) { return batch_of_20(die, seed, more); };
    for (const std::string concurrency : {"", "&concurrency=1", "&concurrency=3"}) {
      CAPTURE(concurrency);
      CHECK(fates_of_batch(get(frontend, batch("risky", "&strategy=best-effort" + concurrency)).body) == risky);
      CHECK(fates_of_batch(get(seeded.dice_roller.port(), batch("fair", concurrency)).body) == fair);
      check_error(get(frontend, batch("risky", concurrency)), 500, "batch_failed");
      const auto first = json(get(frontend, batch("risky", "&strategy=first-success" + concurrency)).body);
      REQUIRE(first["rolls"].Size() == 1);
      CHECK(std::ranges::count(risky, first["rolls"][0].GetInt()) > 0);
      if (!first.HasMember("failed")) continue;
      for (const auto& one : first["failed"].GetArray()) CHECK(risky[one["index"].GetUint()] == kFailed);
    }
    const auto first_failure = std::ranges::find(risky, kFailed) - risky.begin();
    check_error(get(frontend, batch("risky", "&concurrency=1")), 500, "batch_failed",
                "roll " + std::to_string(first_failure) + " of 20");
    const auto first_success = std::ranges::find_if(risky, [](int fate) { return fate != kFailed; });
    const auto first = json(get(frontend, batch("risky", "&strategy=first-success&concurrency=1")).body);
    CHECK(first["rolls"][0].GetInt() == *first_success);
  }
}

/// Sleeps take no time and are remembered.
class RememberingClock final : public Clock {
 public:
  TimePoint now() const override { return std::chrono::steady_clock::now(); }
  bool sleep(Seconds duration, const std::stop_token& stop) override {
    const std::lock_guard lock(mutex_);
    sleeps_.push_back(duration.count());
    return !stop.stop_requested();
  }
  /// Those since the last call, in order.
  std::vector<double> take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(sleeps_, {});
  }

 private:
  std::mutex mutex_;
  std::vector<double> sleeps_;
};

TEST_CASE("a request's seed decides the delays, too, which are those of any other die") {
  RememberingClock clock;
  const System system({{"OTEL_TRACES_EXPORTER", "none"}}, &clock);
  const auto port = system.frontend.port();
  (void)fates_of_singles(port, "fair", "7", 20);
  auto delays = clock.take();
  REQUIRE(delays.size() == 20);
  (void)fates_of_singles(port, "risky", "7", 20);
  CHECK(clock.take() == delays);
  CHECK(get(port, "/roll-async?die=fair&times=20&seed=7&concurrency=1").status == 200);
  CHECK(clock.take() == delays);
  CHECK(get(port, "/roll?die=fair&seed=7").status == 200);
  CHECK(clock.take() == std::vector(1, delays[0]));
  std::ranges::sort(delays);
  CHECK(std::ranges::adjacent_find(delays) == delays.end());
  CHECK(delays.front() >= 0);
  CHECK(delays.back() <= 1);
  for (const std::string more : {"", "&concurrency=3"}) {
    CHECK(get(port, "/roll-async?die=risky&times=20&strategy=best-effort&seed=7" + more).status == 200);
    auto others = clock.take();
    std::ranges::sort(others);
    CHECK(others == delays);
  }
  CHECK(get(port, "/roll-async?die=fair&times=20&seed=8&concurrency=1").status == 200);
  auto others = clock.take();
  std::ranges::sort(others);
  CHECK(others != delays);
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
          {"/roll?die=fair&times=2", "'times' is not a parameter; allowed: die, seed, index"},
          {"/roll?die=fair&seed=-1", "'seed' must be a whole number from 0 to 9007199254740991"},
          {"/roll?die=fair&seed=9007199254740992", "0 to 9007199254740991"},
          {"/roll?die=fair&seed=", "0 to 9007199254740991"},
          {"/roll?die=fair&seed=%2B7", "0 to 9007199254740991"},
          {"/roll?die=fair&seed=7&index=-1", "'index' must be a whole number from 0 to 999"},
          {"/roll?die=fair&seed=7&index=1000", "0 to 999"},
          {"/roll?die=fair&index=3", "'index' is only allowed with 'seed'"},
          {"/roll-async?die=fair&times=3&seed=9007199254740992", "'seed' must be"},
          {"/roll-async?die=fair&times=3&seed=1e3", "0 to 9007199254740991"},
          {"/roll-async?die=fair&times=3&seed=7&index=3", "'index' is not a parameter"},
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

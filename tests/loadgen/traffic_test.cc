#include "loadgen/traffic/traffic.h"

#include <doctest/doctest.h>

#include <mutex>
#include <set>
#include <utility>

#include "contract/names.h"
#include "loadgen/compare.h"
#include "support/http.h"
#include "support/stub_server.h"
#include "tampered_system.h"

using namespace dice::loadgen;
using dice::Seconds;
using dice::loadgen::test::Broken;
using dice::loadgen::test::TamperedSystem;

namespace {

class Generator {
 public:
  explicit Generator(const std::string& url) {
    options.url = url;
    options.think_max = Seconds(0);
    options.seed = 1;
  }

  TrafficSummary run() {
    Traffic traffic(options, telemetry.tracing, clock);
    return traffic.run({}, [](const std::string&) {});
  }

  static dice::Tracing::Options tracing() {
    dice::Tracing::Options options;
    options.service = "loadgen";
    options.exporter = "none";
    return options;
  }

  Traffic::Options options;
  dice::LogSink sink{2};
  dice::Telemetry telemetry{sink, dice::LoggingOptions{.level = dice::LogLevel::warn}, tracing()};
  dice::SteadyClock clock;
};

/// A server that remembers the targets of requests.
class Recorder {
 public:
  explicit Recorder(const dice::test::StubServer::Handler& answer)
      : server_([this, answer](const std::string& head) {
          {
            const std::lock_guard lock(mutex_);
            targets_.push_back(dice::test::target_of(head));
          }
          return answer(head);
        }) {}

  std::string url() const { return server_.url(); }
  /// Those since the last call, in order.
  std::vector<std::string> take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(targets_, {});
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> targets_;
  dice::test::StubServer server_;
};

}  // namespace

TEST_CASE("closed loop: every user sends the requests of its seed, and expected failures do not fail the run") {
  TamperedSystem system;
  Generator generator(system.url());
  generator.options.users = 4;
  generator.options.rolls = 100;  // enough for some of them to fail
  generator.options.mix.dice = {"fair", "risky"};
  std::uint64_t planned = 0;
  for (std::uint64_t user = 0; user < 4; ++user) {
    planned += static_cast<std::uint64_t>(Plan(generator.options.mix, 1, user).rolls(100));
  }
  const auto summary = generator.run();
  CHECK(summary.tally.count() == planned);
  CHECK(summary.tally.failures().contains("roll_failed"));
  CHECK(summary.passed());
}

TEST_CASE("open loop: all due requests are sent") {
  TamperedSystem system;
  Generator generator(system.url());
  generator.options.rate = 400;
  generator.options.duration = Seconds(0.5);
  generator.options.workers = 16;
  generator.options.mix.list_only = true;
  const auto summary = generator.run();
  CHECK(summary.tally.count() == 200);
  CHECK_MESSAGE(summary.tally.unexpected() == 0, to_table(summary));
}

TEST_CASE("each roll request has the seed that follows from its place in the plan, in closed and open loop") {
  Recorder recorder([](const std::string&) { return dice::test::Reply{200, {}, R"({"roll":1})"}; });
  Generator generator(recorder.url());
  generator.options.users = 3;
  generator.options.rolls = 5;
  generator.options.roll_seed = 100;
  const auto planned = [&](Plan& plan, std::int64_t seed) {
    auto request = plan.next();
    request->seed = seed;
    return request->path();
  };
  std::multiset<std::string> expected;
  for (std::uint64_t user = 0; user < 3; ++user) {
    Plan plan(generator.options.mix, 1, user);
    const auto start = static_cast<std::int64_t>(100 + user);
    for (std::int64_t left = plan.rolls(5), seed = start; left > 0; --left, seed += 3) {
      expected.insert(planned(plan, seed));
      (void)plan.think(Seconds(0), Seconds(0));
    }
  }
  (void)generator.run();
  const auto closed = recorder.take();
  CHECK(std::multiset(closed.begin(), closed.end()) == expected);

  generator.options.rate = 1000;
  generator.options.duration = Seconds(0.02);
  generator.options.workers = 1;
  (void)generator.run();
  const auto open = recorder.take();
  REQUIRE(open.size() == 20);
  for (std::size_t i = 0; i < open.size(); ++i) {
    Plan plan(generator.options.mix, 1, i);
    CHECK(open[i] == planned(plan, static_cast<std::int64_t>(100 + i)));
  }

  generator.options.roll_seed.reset();
  (void)generator.run();
  for (const auto& target : recorder.take()) CHECK_FALSE(target.contains("seed="));
}

TEST_CASE("an unexpected failure fails the run, with an example") {
  TamperedSystem system(Broken::error_code_wrong);
  Generator generator(system.url());
  generator.options.users = 2;
  generator.options.rolls = 200;  // enough for some of them to fail
  generator.options.mix.dice = {"risky"};
  generator.options.mix.async_probability = 0;
  const auto summary = generator.run();
  CHECK_FALSE(summary.passed());
  const auto& failure = summary.tally.failures().at("internal");
  CHECK_FALSE(failure.expected);
  CHECK(failure.count == summary.tally.unexpected());
  CHECK(failure.trace_id.size() == 32);
  CHECK(to_table(summary).contains("UNEXPECTED FAILURE internal"));
  CHECK(to_json(summary).contains("\"passed\":false"));
  generator.options.expected_failures = {"internal"};
  CHECK(generator.run().passed());
}

TEST_CASE("an unreachable target only fails each request") {
  Generator generator("http://127.0.0.1:1");
  CHECK_FALSE(Traffic(generator.options, generator.telemetry.tracing, generator.clock).list_dice().has_value());
  generator.options.users = 3;
  generator.options.rolls = 1;
  const auto summary = generator.run();
  CHECK(summary.tally.count() == 3);
  CHECK(summary.tally.failures().at("downstream_unavailable").count == 3);
}

TEST_CASE("an answer from something else than the service is not a list of dice") {
  for (const auto* status : {"200 OK", "404 Not Found", "502 Bad Gateway"}) {
    const dice::test::CannedServer other({dice::test::canned("", status)});
    Generator generator(other.url());
    const auto dice = Traffic(generator.options, generator.telemetry.tracing, generator.clock).list_dice();
    REQUIRE_FALSE(dice.has_value());
    CHECK(dice.error() == std::string(status, 3) + ", not JSON");
  }
}

TEST_CASE("a stop request ends a run immediately") {
  TamperedSystem system;
  Generator generator(system.url());
  generator.options.duration = Seconds(3600);
  generator.options.think_min = generator.options.think_max = Seconds(3600);
  std::stop_source stop;
  stop.request_stop();
  Traffic traffic(generator.options, generator.telemetry.tracing, generator.clock);
  CHECK(traffic.run(stop.get_token(), [](const std::string&) {}).tally.count() <= 10);
}

TEST_CASE("latency is measured from the time at which a request was due") {
  Tally tally({});
  Answer answer;
  answer.status = 200;
  tally.add(dice::route::kDice, answer, 2.5, "t");
  CHECK(tally.latency().max() == 2.5);
  CHECK(tally.outcomes().at({"/dice", "200"}) == 1);
}

TEST_CASE("compare: speedups are calculated per batch") {
  const Concurrent all{.threads = 3, .runs = {{.seconds = 1.25, .roll_seconds = {1, 0.5, 1}}}};
  CHECK(all.measured_speedup() == 2);
  CHECK(all.possible_speedup() == 2.5);
  CHECK(all.efficiency() == doctest::Approx(0.8));
  const Concurrent one{.threads = 1, .runs = {{.seconds = 2.5, .roll_seconds = {1, 0.5, 1}}}};
  CHECK(one.possible_speedup() == 1);
  CHECK(one.efficiency() == 1);
}

TEST_CASE("compare: both halves of an iteration have the same seed, and the next iteration another") {
  TamperedSystem system;
  const auto port = static_cast<std::uint16_t>(std::stoi(system.url().substr(system.url().rfind(':') + 1)));
  Recorder recorder([port](const std::string& head) { return dice::test::forward(port, head); });
  dice::SteadyClock clock;
  Target target(recorder.url());
  TraceSource traces("frontend", system.url());
  const auto comparison =
      Compare({.rolls = 3, .iterations = 2, .threads = {1, 3}}, target, traces, clock).run().value();
  const auto targets = recorder.take();
  REQUIRE(targets.size() == 10);
  std::set<std::string> seeds;
  for (std::size_t i = 0; i < targets.size(); i += 5) {
    const std::string start = "/roll?die=fair&seed=";
    REQUIRE(targets[i].starts_with(start));
    const auto seed = "&seed=" + targets[i].substr(start.size(), targets[i].find("&index") - start.size());
    seeds.insert(seed);
    for (std::size_t index = 0; index < 3; ++index) {
      CHECK(targets[i + index] == "/roll?die=fair" + seed + "&index=" + std::to_string(index));
    }
    CHECK(targets[i + 3] == "/roll-async?die=fair&times=3&concurrency=1" + seed);
    CHECK(targets[i + 4] == "/roll-async?die=fair&times=3" + seed);
  }
  CHECK(seeds.size() == 2);
  CHECK(to_table(comparison).contains("both have the same delays"));
}

TEST_CASE("compare: several thread counts") {
  TamperedSystem system;
  dice::SteadyClock clock;
  Target target(system.url());
  TraceSource traces("frontend", system.url());
  const auto comparison =
      Compare({.rolls = 4, .iterations = 2, .threads = {1, 4}}, target, traces, clock).run().value();
  CHECK(comparison.sequential_seconds.size() == 2);
  REQUIRE(comparison.concurrent.size() == 2);
  CHECK(comparison.concurrent[1].runs.size() == 2);
  CHECK(comparison.concurrent[1].runs[0].roll_seconds.size() == 4);
  CHECK(to_table(comparison).contains("4 × /roll, sequential"));
  CHECK(to_json(comparison).contains("\"efficiency\":"));
  CHECK_FALSE(Compare({.die = "none"}, target, traces, clock).run().has_value());
}

#include "loadgen/traffic/traffic.h"

#include <doctest/doctest.h>

#include "contract/names.h"
#include "loadgen/compare.h"
#include "support/http.h"
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

#include "loadgen/traffic/traffic.h"

#include <doctest/doctest.h>

#include <memory>
#include <mutex>
#include <set>
#include <utility>

#include "contract/names.h"
#include "loadgen/compare.h"
#include "loadgen/target.h"
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

  TrafficSummary run(const std::stop_token& stop = {}) {
    metrics = std::make_unique<dice::Metrics>();
    Traffic traffic(options, telemetry.tracing, *metrics, clock);
    return traffic.run(stop, [](const std::string&) {});
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
  /// Of the last run.
  std::unique_ptr<dice::Metrics> metrics;
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

TEST_CASE("several parts send exactly the requests of one process, in closed and open loop") {
  Recorder recorder([](const std::string&) { return dice::test::Reply{200, {}, R"({"roll":1})"}; });
  Generator generator(recorder.url());
  generator.options.mix.dice = {"fair", "risky"};
  generator.options.users = 6;
  generator.options.rolls = 5;
  generator.options.roll_seed = 100;
  for (const double rate : {0.0, 2000.0}) {
    CAPTURE(rate);
    generator.options.rate = rate;
    generator.options.workers = 4;
    generator.options.part = {};
    const auto whole = generator.run();
    const auto alone = recorder.take();
    REQUIRE(alone.size() == whole.tally.count());
    std::multiset<std::string> together;
    auto sum = std::optional<TrafficSummary>();
    for (std::uint64_t index = 0; index < 4; ++index) {
      generator.options.part = {index, 4};
      const auto part = generator.run();
      const auto sent = recorder.take();
      CHECK(sent.size() == part.tally.count());
      CHECK(part.rate == rate / 4);
      together.insert(sent.begin(), sent.end());
      sum ? sum->add(part) : static_cast<void>(sum = part);
    }
    CHECK(together == std::multiset(alone.begin(), alone.end()));
    CHECK(sum->tally.count() == whole.tally.count());
    CHECK(sum->tally.outcomes() == whole.tally.outcomes());
    CHECK(sum->rate == rate);
    CHECK(sum->finished_parts == 4);
  }
}

TEST_CASE("a part sends each request when it is due in the schedule of all parts") {
  Recorder recorder([](const std::string&) { return dice::test::Reply{200, {}, R"({"roll":1})"}; });
  Generator generator(recorder.url());
  generator.options.rate = 40;
  generator.options.duration = Seconds(0.25);  // requests 0 to 9
  generator.options.part = {3, 4};             // 3 and 7, the last due after 175 ms
  const auto summary = generator.run();
  CHECK(summary.tally.count() == 2);
  CHECK(summary.seconds >= 0.175);
  CHECK(summary.rate == 10);
  CHECK(summary.sent_rate <= 10.001);
}

TEST_CASE("the metrics of a run") {
  TamperedSystem system;
  Generator generator(system.url());
  generator.options.users = 4;
  generator.options.rolls = 50;
  generator.options.mix.dice = {"risky"};
  generator.options.part = {1, 2};
  const auto summary = generator.run();
  const auto text = generator.metrics->scrape("").body;
  CHECK(text.contains("loadgen_info{part=\"1\",parts=\"2\",seed=\"1\"} 1\n"));
  CHECK(text.contains("loadgen_target_rate 0\n"));
  CHECK(text.contains("loadgen_requests_in_flight 0\n"));
  const auto outcomes = summary.tally.outcomes();
  const auto line = [](const std::string& code, std::uint64_t count) {
    return "loadgen_requests_total{error_code=\"" + code + "\",route=\"/roll\"} " + std::to_string(count) + "\n";
  };
  CHECK_MESSAGE(text.contains(line("", outcomes.at({"/roll", "200"}))), text);
  CHECK_MESSAGE(text.contains(line("roll_failed", outcomes.at({"/roll", "500 roll_failed"}))), text);
  CHECK(text.contains("loadgen_request_duration_seconds_count{route=\"/roll\"} " +
                      std::to_string(summary.tally.latencies().at("/roll").count()) + "\n"));
}

TEST_CASE("error codes that are not ours share one series") {
  Recorder recorder(
      [](const std::string&) { return dice::test::Reply{500, {}, R"({"error":{"code":"made_up","message":"m"}})"}; });
  Generator generator(recorder.url());
  generator.options.mix.list_only = true;
  generator.options.users = 1;
  generator.options.rolls = 1;
  (void)generator.run();
  CHECK(generator.metrics->scrape("").body.contains(
      "loadgen_requests_total{error_code=\"_unknown\",route=\"/dice\"} 1\n"));
}

TEST_CASE("a summary that went through JSON is the same, and so is the sum of several") {
  const auto json = [](const TrafficSummary& summary) { return to_json(summary); };
  const auto read = [](const std::string& text) { return read_summary(dice::JsonView(*dice::parse_json(text))); };
  const auto part = [](std::uint64_t index) {
    TrafficSummary summary{.target = "http://t",
                           .parts = 2,
                           .missing = {},
                           .seed = 7,
                           .seconds = 1.5 + static_cast<double>(index),
                           .rate = 250,
                           .sent_rate = 249.5,
                           .rate_reached = true,
                           .tally = Tally({"roll_failed"})};
    Answer answer;
    for (std::uint64_t i = index; i < 1000; i += 2) {
      answer.status = i % 10 == 0 ? 500 : 200;
      answer.error_code =
          i % 10 == 0 ? std::optional<std::string>(i % 20 == 0 ? "roll_failed" : "internal") : std::nullopt;
      summary.tally.add(i % 3 == 0 ? "/roll" : "/roll-async", answer, static_cast<double>(i) / 1000.0, "t");
    }
    return summary;
  };
  auto first = part(0);
  const auto second = part(1);
  const auto restored = read(json(first));
  REQUIRE(restored.has_value());
  CHECK(json(*restored) == json(first));
  first.add(*read(json(second)));
  CHECK(first.tally.count() == 1000);
  CHECK(first.tally.unexpected() == 50);
  CHECK(first.tally.failures().at("roll_failed").count == 50);
  CHECK(first.seconds == 2.5);
  CHECK(first.rate == 500);
  CHECK(first.sent_rate == 499);
  LatencyHistogram all;
  for (int i = 0; i < 1000; ++i) all.add(i / 1000.0);
  for (const double share : {0.1, 0.5, 0.9, 0.99, 1.0}) {
    CHECK(first.tally.latency().percentile(share) == all.percentile(share));
  }
  CHECK(to_table(first).contains("2 of 2 parts"));

  for (const auto* broken : {"{}", R"({"routes":{},"failures":[]})"}) CHECK_FALSE(read(broken).has_value());
  auto text = json(second);
  text.replace(text.find("\"count\":"), 8, "\"c0unt\":");
  CHECK_MESSAGE(read(text).has_value(), "the total is not read");
  const auto routes = text.find("\"routes\"");
  text.replace(text.find("\"buckets\":{\"", routes), 12, "\"buckets\":{\"x");
  CHECK_FALSE(read(text).has_value());
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
  CHECK_FALSE(Target(generator.options.url).list_dice().has_value());
  generator.options.users = 3;
  generator.options.rolls = 1;
  const auto summary = generator.run();
  CHECK(summary.tally.count() == 3);
  CHECK(summary.tally.failures().at("downstream_unavailable").count == 3);
}

TEST_CASE("an answer from something else than the service is not a list of dice") {
  for (const auto* status : {"200 OK", "404 Not Found", "502 Bad Gateway"}) {
    const dice::test::CannedServer other({dice::test::canned("", status)});
    const auto dice = Target(other.url()).list_dice();
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
  CHECK(generator.run(stop.get_token()).tally.count() <= 10);
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

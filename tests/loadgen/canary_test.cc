// The canary's loop, its metrics and its log, with checks whose result is known, and against a system that breaks.
#include "loadgen/verify/canary.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <atomic>
#include <deque>
#include <fstream>
#include <mutex>
#include <thread>

#include "contract/metric.h"
#include "loadgen/model/series.h"
#include "loadgen/verify/verify.h"
#include "support/manual_clock.h"
#include "support/wait.h"
#include "tampered_system.h"

using namespace dice::loadgen;
using dice::CauseId;
using dice::Seconds;
using dice::loadgen::test::Broken;
using dice::loadgen::test::TamperedSystem;
using dice::test::eventually;

namespace {

using Result = std::expected<Report, std::string>;

const std::vector<std::string> kChecked(kSignals.begin(), kSignals.end());

/// All is well; every signal was complete after `seconds`.
Report sound(double seconds = 1) {
  Report report;
  report.seconds = seconds;
  report.signals = {{.name = "answers", .counts = {.expected = 16}, .seconds = 0},
                    {.name = "traces", .counts = {.expected = 96}, .seconds = seconds},
                    {.name = "logs", .counts = {.expected = 86}, .seconds = seconds},
                    {.name = "metrics", .counts = {.expected = 40}, .seconds = seconds},
                    {.name = "correlation", .counts = {.expected = 1}, .seconds = seconds}};
  return report;
}

/// A canary whose checks return what the test says, and its metrics.
class Loop {
 public:
  explicit Loop(dice::Clock& clock, Canary::Check check, std::vector<std::string> signals = kChecked,
                Seconds every = Seconds(30))
      : canary_({.every = every, .late_after = Seconds(45), .signals = std::move(signals)}, std::move(check), metrics_,
                dice::Logger(sink_, "canary", dice::LogLevel::error), clock) {}

  void start() {
    thread_ = std::jthread([this](const std::stop_token& stop) { canary_.run([this] { ++finished_; }, stop); });
  }
  void stop() {
    thread_.request_stop();
    thread_.join();
  }
  int finished() const { return finished_; }

  /// The value of a series, written as in /metrics; empty if there is none.
  std::optional<double> value(const std::string& series) {
    for (const auto& one : parse_metrics_text(metrics_.scrape("").body)) {
      if (describe(one.name, one.labels) == series) return one.value;
    }
    return std::nullopt;
  }
  double value(const std::string& name, const std::string& signal) {
    return value("telemetry_pipeline_" + name + "{signal=\"" + signal + "\"}").value_or(-1);
  }
  double checks(const std::string& result) {
    return value("telemetry_pipeline_checks_total{result=\"" + result + "\"}").value_or(-1);
  }
  /// "signal/cause …" of the causes that are named.
  std::string broken() {
    std::string text;
    for (const auto& one : parse_metrics_text(metrics_.scrape("").body)) {
      if (one.name != "telemetry_pipeline_broken" || one.value != 1) continue;
      text += (text.empty() ? "" : " ") + one.label("signal") + "/" + one.label("cause");
    }
    return text;
  }
  std::string scrape() { return metrics_.scrape("").body; }

 private:
  dice::LogSink sink_{STDERR_FILENO};
  dice::Metrics metrics_;
  Canary canary_;
  std::atomic<int> finished_ = 0;
  std::jthread thread_;
};

/// Checks with these results, one after the other; between them, the canary sleeps.
class Scripted {
 public:
  explicit Scripted(std::vector<std::string> signals = kChecked)
      : loop_(clock_, [this](const auto&, const auto&) { return next(); }, std::move(signals)) {}
  ~Scripted() { loop_.stop(); }

  /// Returns when the check has ended.
  Loop& check(Result result) {
    const int number = ++checks_;
    {
      const std::lock_guard lock(mutex_);
      results_.push_back(std::move(result));
    }
    if (number == 1) loop_.start();
    else clock_.advance(Seconds(30));
    REQUIRE(eventually([&] { return ended_ == number; }));
    REQUIRE(clock_.wait_for_sleepers(1));
    return loop_;
  }

 private:
  Result next() {
    const std::lock_guard lock(mutex_);
    auto result = std::move(results_.front());
    results_.pop_front();
    ++ended_;
    return result;
  }

  dice::ManualClock clock_;
  std::mutex mutex_;
  std::deque<Result> results_;
  std::atomic<int> ended_ = 0;
  int checks_ = 0;
  Loop loop_;
};

}  // namespace

TEST_CASE("a check that passes") {
  Scripted scripted;
  auto& loop = scripted.check(sound());
  CHECK(loop.checks("passed") == 1);
  CHECK(loop.checks("failed") == 0);
  CHECK(loop.checks("unreachable") == 0);
  for (const auto& name : kChecked) CHECK(loop.value("complete", name) == 1);
  CHECK(loop.value("expected_total", "traces") == 96);
  CHECK(loop.value("found_total", "traces") == 96);
  CHECK(loop.value("missing_total", "traces") == 0);
  CHECK(loop.value("delay_seconds_count", "logs") == 1);
  CHECK(loop.value("delay_seconds_sum", "logs") == 1);
  CHECK(loop.broken().empty());
  CHECK(loop.value("telemetry_pipeline_last_check_timestamp_seconds").value_or(0) > 1e9);
  CHECK(loop.finished() == 1);
}

TEST_CASE("the canary has exactly the metrics of the contract") {
  Scripted scripted;
  const auto text = scripted.check(sound()).scrape();
  for (const auto& row : dice::metrics()) {
    if (row.service != dice::kCanary) continue;
    CHECK_MESSAGE(text.contains("# TYPE " + std::string(row.name) + " " + std::string(row.type)), row.name);
  }
  for (auto at = text.find("# TYPE "); at != std::string::npos; at = text.find("# TYPE ", at + 1)) {
    const auto name = text.substr(at + 7, text.find(' ', at + 7) - at - 7);
    CHECK_MESSAGE(
        std::ranges::any_of(dice::metrics(),
                            [&](const auto& row) { return row.name == name && row.service == dice::kCanary; }),
        name);
  }
}

TEST_CASE("every cause has its series from the start, of the signals that are checked") {
  dice::ManualClock clock;
  Loop loop(clock, {}, {"answers", "traces"});
  const auto text = loop.scrape();
  CHECK(text.contains("telemetry_pipeline_broken{cause=\"collector_down\",signal=\"traces\"} 0"));
  CHECK(text.contains("telemetry_pipeline_broken{cause=\"unreachable\",signal=\"answers\"} 0"));
  CHECK_FALSE(text.contains("signal=\"logs\""));
  for (const auto& row : dice::cause_rows()) {
    CHECK(std::ranges::any_of(kSignals, [&row](const char* name) { return is_said_about(row, name); }));
  }
  // Nothing is known yet.
  CHECK_FALSE(text.contains("telemetry_pipeline_complete{"));
  CHECK_FALSE(text.contains("telemetry_pipeline_last_check_timestamp_seconds "));
}

TEST_CASE("a loss is named as long as checks name it") {
  Scripted scripted;
  (void)scripted.check(sound());
  auto bad = sound();
  bad.signals[1].counts.missing = 12;
  bad.signals[1].seconds.reset();
  bad.causes = {{"traces", CauseId::traces_lost, "traces are lost"}};
  auto& loop = scripted.check(bad);
  CHECK(loop.broken() == "traces/traces_lost");
  CHECK(loop.checks("failed") == 1);
  CHECK(loop.value("complete", "traces") == 0);
  CHECK(loop.value("complete", "logs") == 1);
  CHECK(loop.value("missing_total", "traces") == 12);
  CHECK(loop.value("found_total", "traces") == 96 + 84);
  CHECK(loop.value("delay_seconds_count", "traces") == 1);
  CHECK(loop.value("delay_seconds_count", "logs") == 2);
  CHECK(scripted.check(sound()).broken().empty());
  CHECK(loop.value("complete", "traces") == 1);
}

TEST_CASE("late is not lost") {
  Scripted scripted;
  auto late = sound();
  late.signals[2].seconds = 50;
  auto& loop = scripted.check(late);
  CHECK(loop.broken() == "logs/late");
  CHECK(loop.value("complete", "logs") == 1);
  CHECK(loop.value("missing_total", "logs") == 0);
}

TEST_CASE("what a backend that cannot be read may have is not missing") {
  Scripted scripted;
  auto bad = sound();
  bad.signals[1].counts.missing = 96;
  bad.signals[1].readable = false;
  bad.signals[1].seconds.reset();
  bad.causes = {{"traces", CauseId::source_unreadable, "Tempo cannot be read"}};
  auto& loop = scripted.check(bad);
  CHECK(loop.broken() == "traces/source_unreadable");
  CHECK(loop.value("complete", "traces") == 0);
  CHECK(loop.value("expected_total", "traces") == 0);
  CHECK(loop.value("missing_total", "traces") == 0);
}

TEST_CASE("a target that is unreachable") {
  Scripted scripted;
  auto& loop = scripted.check(std::unexpected("no connection"));
  CHECK(loop.broken() == "answers/unreachable");
  CHECK(loop.checks("unreachable") == 1);
  CHECK(loop.value("complete", "answers") == 0);
  CHECK(loop.finished() == 1);
  CHECK(scripted.check(sound()).broken().empty());
  CHECK(loop.checks("passed") == 1);
}

TEST_CASE("a check during which a replica was replaced does not count") {
  Scripted scripted;
  Report report;
  report.replaced = {"dice-roller"};
  auto& loop = scripted.check(report);
  CHECK(loop.checks("passed") + loop.checks("failed") + loop.checks("unreachable") == 0);
  CHECK(loop.finished() == 0);
  CHECK_FALSE(loop.scrape().contains("telemetry_pipeline_last_check_timestamp_seconds "));
  CHECK(scripted.check(sound()).finished() == 1);
}

TEST_CASE("checks never overlap, and one that takes long delays the next") {
  dice::ManualClock clock;
  std::atomic<int> running = 0;
  std::atomic<int> most = 0;
  std::atomic<int> started = 0;
  Loop loop(clock, [&](const auto&, const std::stop_token& stop) -> Result {
    most = std::max(most.load(), ++running);
    ++started;
    clock.sleep(Seconds(70), stop);
    --running;
    return sound();
  });
  loop.start();
  for (int i = 1; i <= 5; ++i) {
    REQUIRE(clock.wait_for_sleepers(1));
    CHECK(started == i);
    clock.advance(Seconds(30));
    CHECK(clock.sleepers() == 1);
    clock.advance(Seconds(40));
    REQUIRE(eventually([&] { return started == i + 1; }));  // at once: its time has passed
  }
  loop.stop();
  CHECK(most == 1);
}

TEST_CASE("a stop ends the pause, and a check without counting it") {
  dice::ManualClock clock;
  Loop loop(clock, [&](const auto&, const std::stop_token& stop) -> Result {
    clock.sleep(Seconds(70), stop);
    return std::unexpected("stopped");
  });
  loop.start();
  REQUIRE(clock.wait_for_sleepers(1));
  loop.stop();
  CHECK(loop.finished() == 0);
  CHECK(loop.checks("unreachable") == 0);
  CHECK(loop.broken().empty());

  Loop pausing(clock, [](const auto&, const auto&) -> Result { return sound(); });
  pausing.start();
  REQUIRE(clock.wait_for_sleepers(1));
  pausing.stop();
  CHECK(pausing.finished() == 1);
}

TEST_CASE("the load of a check is what it says") {
  const auto load = load_of(make_probes({.quiet = true}));
  TamperedSystem system;
  dice::SteadyClock clock;
  Target target(system.url());
  TraceSource traces("frontend", system.url());
  LogFiles files(system.logs());
  Scrapes scrapes(system.metrics_urls());
  const Verify::Options options{.probes = {.quiet = true}, .collect = {.deadline = Seconds(30)}};
  const auto report = Verify(options, target, {&traces, &files, &scrapes}, clock).run().value();
  CHECK_MESSAGE(report.passed(), to_table(report));
  for (const auto& one : report.signals) {
    // The request that asks for the dice is not checked.
    if (one.name == "answers") CHECK(one.counts.expected + 1 == load.requests);
    if (one.name == "traces") CHECK(one.counts.expected + 1 == load.spans);
    if (one.name == "logs") CHECK(one.counts.expected + 1 == load.log_lines);
  }
}

TEST_CASE("what has not arrived yet is pending, not missing") {
  TamperedSystem system(Broken::span_dropped);
  dice::SteadyClock clock;
  std::atomic<double> pending = 0;
  Loop* self = nullptr;
  Loop loop(
      clock,
      [&](const auto& observe, const std::stop_token& stop) -> Result {
        Target target(system.url());
        TraceSource traces("frontend", system.url());
        const auto look = [&](const Collected& collected) {
          observe(collected);
          pending = self->value("pending", "traces");
        };
        const Verify::Options options{.probes = {.quiet = true},
                                      .collect = {.deadline = Seconds(0.3), .observe = look, .stop = stop}};
        return Verify(options, target, {&traces, nullptr, nullptr}, clock).run();
      },
      {"answers", "traces"}, Seconds(3600));
  self = &loop;
  loop.start();
  CHECK(eventually([&] { return loop.finished() == 1; }));
  loop.stop();
  CHECK(pending == 1);
  CHECK(loop.value("pending", "traces") == 0);
  CHECK(loop.value("missing_total", "traces") == 1);
  CHECK(loop.broken() == "traces/spans_lost");
}

TEST_CASE("memory does not grow with the number of checks") {
  const auto resident = [] {
    std::ifstream file("/proc/self/statm");
    long pages = 0;
    file >> pages >> pages;
    return pages * ::sysconf(_SC_PAGESIZE);
  };
  dice::ManualClock clock;
  std::atomic<int> made = 0;
  Loop loop(clock, [&](const auto&, const auto&) -> Result {
    auto bad = sound();
    for (int i = 0; i < 100; ++i) {
      bad.cases.push_back({"traces", "roll", std::to_string(made), {{"span is missing", "a span", "nothing"}}, {}});
    }
    bad.causes = {{"traces", CauseId::spans_lost, "spans are lost"}};
    return ++made % 2 == 0 ? Result(bad) : Result(sound());
  });
  loop.start();
  const auto day = [&](int checks) {
    for (int i = 0; i < checks; ++i) {
      REQUIRE(clock.wait_for_sleepers(1));
      clock.advance(Seconds(30));
    }
  };
  day(200);
  const auto before = resident();
  day(2880);
  const auto after = resident();
  loop.stop();
  CHECK(made >= 3080);
#if !defined(__SANITIZE_ADDRESS__)  // which keeps what was freed
  CHECK(after - before < 1 << 20);
#else
  CHECK(after >= before);
#endif
}

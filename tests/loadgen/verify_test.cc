// Each check of verify, with a system that breaks just that.
#include "loadgen/verify/verify.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>
#include <utility>

#include "loadgen/model/series.h"
#include "loadgen/verify/evidence.h"
#include "support/http.h"
#include "tampered_system.h"

using namespace dice::loadgen;
using dice::Seconds;
using dice::loadgen::test::Broken;
using dice::loadgen::test::TamperedSystem;

namespace {

enum class From { files_and_scrapes, backends };

/// Enough for what is not broken to arrive, which takes longer under a sanitizer.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr Seconds kDeadline{1};
#else
constexpr Seconds kDeadline{0.3};
#endif

struct Setup {
  From from = From::files_and_scrapes;
  Collector::Options::Export exported = Collector::Options::Export::automatic;
  /// Short, because a broken system never passes.
  Seconds deadline = kDeadline;
  std::string loki_url = {};
  std::string traces_url = {};
  std::string prometheus_url = {};
  bool shared = false;
};

Report verify(TamperedSystem& system, const Setup& setup = {}) {
  dice::SteadyClock clock;
  Target target(system.url());
  TraceSource traces("frontend", setup.traces_url.empty() ? system.url() : setup.traces_url);
  LogFiles files(system.logs());
  Loki loki(setup.loki_url.empty() ? system.backends_url() : setup.loki_url, R"({job="dice"})");
  Scrapes scrapes(system.metrics_urls());
  Prometheus prometheus(setup.prometheus_url.empty() ? system.backends_url() : setup.prometheus_url, R"({job=~".+"})");
  Sources sources{&traces, &files, &scrapes};
  if (setup.from == From::backends) sources = {&traces, &loki, &prometheus};
  Verify::Options options{.probes = {},
                          .collect = {.shared = setup.shared, .exported = setup.exported, .deadline = setup.deadline},
                          .pause = Seconds(0)};
  return Verify(options, target, sources, clock).run().value();
}

Report verify_broken(Broken broken, const Setup& setup = {}) {
  TamperedSystem system(broken);
  auto report = verify(system, setup);
  // Some defects require a failed roll: repeat until there is one.
  for (int i = 0; i < 20 && report.passed() && !system.tampered(); ++i) report = verify(system, setup);
  CHECK_FALSE(report.passed());
  return report;
}

/// Signals with a finding.
std::string broken_signals(const Report& report) {
  std::string text;
  for (const std::string signal : {"answers", "traces", "logs", "metrics", "correlation"}) {
    for (const auto& one : report.cases) {
      if (one.signal != signal || one.findings.empty()) continue;
      text += (text.empty() ? "" : " ") + signal;
      break;
    }
  }
  return text;
}

std::string causes(const Report& report) {
  std::string text;
  for (const auto& cause : report.causes) text += (text.empty() ? "" : "\n") + cause.text;
  return text;
}

/// "signal/cause …", in their order.
std::string broken(const Report& report) {
  std::string text;
  for (const auto& cause : report.causes) {
    text += (text.empty() ? "" : " ") + cause.signal + "/" + std::string(dice::name_of(cause.id));
  }
  return text;
}

Counts counts_of(const Report& report, const std::string& signal) {
  for (const auto& one : report.signals) {
    if (one.name == signal) return one.counts;
  }
  return {};
}

/// "signal: what: expected …, found …" of the finding about `what`, if any.
bool says(const Report& report, const std::string& signal, const std::string& what) {
  for (const auto& one : report.cases) {
    if (one.signal != signal) continue;
    for (const auto& finding : one.findings) {
      if ((finding.what + ": expected " + finding.expected + ", found " + finding.found).contains(what)) return true;
    }
  }
  return false;
}

}  // namespace

TEST_CASE("a working system passes, with files and scrapes and with Loki and Prometheus") {
  for (const auto from : {From::files_and_scrapes, From::backends}) {
    TamperedSystem system;
    const auto report = verify(system, {.from = from, .deadline = Seconds(30)});
    CHECK_MESSAGE(report.passed(), to_table(report));
    CHECK(broken_signals(report).empty());
    const auto again = verify(system, {.from = from, .deadline = Seconds(30)});
    CHECK_MESSAGE(again.passed(), to_table(again));
    const auto shared = verify(system, {.from = from, .deadline = Seconds(30), .shared = true});
    CHECK_MESSAGE(shared.passed(), to_table(shared));
    CHECK_FALSE(system.tampered());
  }
}

TEST_CASE("a response whose total is not the sum") {
  const auto report = verify_broken(Broken::total_wrong);
  CHECK(says(report, "answers", "total (the sum of the rolls): expected 15, found 16"));
  CHECK(broken(report).starts_with("answers/wrong"));  // and the telemetry says something else
  CHECK(counts_of(report, "answers").wrong == 1);
}

TEST_CASE("an error with another code") {
  const auto report = verify_broken(Broken::error_code_wrong);
  CHECK(says(report, "answers", "status: expected 200, or 500 roll_failed, found 500 internal"));
  CHECK(broken(report).contains("answers/wrong"));
}

TEST_CASE("a span that is missing") {
  const auto report = verify_broken(Broken::span_dropped);
  CHECK(broken_signals(report) == "traces");
  CHECK(says(report, "traces", "span is missing: expected async_roll_3 of dice-roller, found nothing"));
  CHECK(says(report, "traces", "number of spans: expected 10, found 9"));
  CHECK(causes(report).starts_with("spans are lost: only "));
  CHECK(broken(report) == "traces/spans_lost");
  CHECK(counts_of(report, "traces").missing == 1);
  CHECK(counts_of(report, "traces").duplicated + counts_of(report, "traces").wrong == 0);
}

TEST_CASE("an unexpected span") {
  const auto report = verify_broken(Broken::span_twice);
  CHECK(broken_signals(report) == "traces");
  CHECK(says(report, "traces", "unexpected span: expected nothing, found async_roll_3 of dice-roller"));
  CHECK(broken(report) == "traces/duplicated");
  CHECK(counts_of(report, "traces").duplicated == 1);
  CHECK(counts_of(report, "traces").wrong == 0);
}

TEST_CASE("traces sampled away") {
  const auto report = verify_broken(Broken::traces_sampled_away);
  CHECK(broken(report) == "traces/traces_lost");
  CHECK(causes(report).starts_with("traces are lost: "));
  CHECK(counts_of(report, "traces").missing > 0);
  CHECK(counts_of(report, "traces").wrong == 0);
}

TEST_CASE("the frontend's own API down, or Tempo") {
  TamperedSystem system;
  const auto report = verify(system, {.traces_url = "http://127.0.0.1:1"});
  CHECK(broken(report) == "traces/source_unreadable");
}

TEST_CASE("a Tempo that is slow to fail does not hold up the other signals") {
  std::atomic<int> connections = 0;
  const dice::test::Acceptor tempo([&connections](int /*connection*/, std::size_t /*number*/) {
    ++connections;
    std::this_thread::sleep_for(std::chrono::milliseconds(300));  // the time until it fails
  });
  TamperedSystem system;
  const auto report = verify(system, {.deadline = Seconds(0), .traces_url = tempo.url()});
  CHECK(broken(report) == "traces/source_unreadable");
  // Not one for each exemplar, of which there are ten or so.
  CHECK(connections < 15);
}

TEST_CASE("Prometheus down") {
  TamperedSystem system;
  const auto report = verify(system, {.from = From::backends, .prometheus_url = "http://127.0.0.1:1"});
  CHECK(broken(report) == "metrics/source_unreadable");
}

TEST_CASE("a span under another parent") {
  const auto report = verify_broken(Broken::span_reparented);
  CHECK(broken_signals(report) == "traces");
  CHECK(says(report, "traces",
             "parent of async_roll_2 of dice-roller: expected SERVER GET /roll-async of dice-roller, found "
             "async_roll_1 of dice-roller"));
  CHECK(broken(report) == "traces/wrong");
  CHECK(counts_of(report, "traces").wrong == 1);
}

TEST_CASE("a span of another kind") {
  const auto report = verify_broken(Broken::span_kind_wrong);
  CHECK(broken_signals(report) == "traces");
  CHECK(says(report, "traces", "kind of GET /roll of frontend: expected CLIENT, found INTERNAL"));
  CHECK(broken(report) == "traces/wrong");
}

TEST_CASE("a span whose value differs from the response") {
  const auto report = verify_broken(Broken::span_value_wrong);
  CHECK(says(report, "traces", "die.result of async_roll_0: expected 3, found 4"));
  CHECK(broken(report) == "traces/wrong");
}

TEST_CASE("a failed roll whose span is not an error") {
  const auto report = verify_broken(Broken::span_status_missing);
  CHECK(broken_signals(report) == "traces");
  CHECK(says(report, "traces", "expected ERROR, as die.error says, found not ERROR"));
  CHECK(broken(report) == "traces/wrong");
}

TEST_CASE("sequential rolls") {
  const auto report = verify_broken(Broken::rolls_in_sequence);
  CHECK(broken_signals(report) == "traces");
  CHECK(says(report, "traces", "maximum number of concurrent rolls: expected 5, found 1"));
  CHECK(broken(report) == "traces/wrong");
}

TEST_CASE("context not propagated") {
  CHECK(causes(verify_broken(Broken::propagation_to_roller_cut)) ==
        "context is not propagated from frontend to dice-roller: dice-roller answered the requests, but none of its "
        "telemetry has their trace ids");
  CHECK(causes(verify_broken(Broken::propagation_to_die_service_cut)) ==
        "context is not propagated from dice-roller to die-service: die-service answered the requests, but none of its "
        "telemetry has their trace ids");
  CHECK(broken(verify_broken(Broken::propagation_to_roller_cut)) == "traces/context_not_propagated");
  CHECK(broken(verify_broken(Broken::propagation_to_die_service_cut)) == "traces/context_not_propagated");
}

TEST_CASE("one service not exporting") {
  const auto report = verify_broken(Broken::die_service_not_exporting);
  CHECK(broken_signals(report) == "traces");
  CHECK(causes(report).starts_with("die-service does not export its spans: none of "));
  CHECK(broken(report) == "traces/spans_not_exported");
}

TEST_CASE("no service exporting") {
  const auto report = verify_broken(Broken::nothing_exported, {.exported = Collector::Options::Export::required});
  CHECK(causes(report) ==
        "frontend, dice-roller and die-service do not export spans: telemetry_spans_exported_total does not increase "
        "(check OTEL_TRACES_EXPORTER and OTEL_SDK_DISABLED)");
  CHECK(broken(report) == "traces/spans_not_exported");
}

TEST_CASE("collector down") {
  const auto report = verify_broken(Broken::collector_down, {.from = From::backends});
  CHECK(causes(report).starts_with(
      "the collector is down or rejects spans: frontend, dice-roller and die-service could not deliver "));
  CHECK(causes(report).contains("is not getting logs either: they are shipped by the collector"));
  CHECK(broken(report) == "traces/collector_down logs/collector_down");
}

TEST_CASE("a collector that never responds") {
  const auto report = verify_broken(Broken::collector_silent);
  CHECK(broken_signals(report) == "metrics");
  CHECK(says(report, "metrics", "telemetry_spans_exported_total of frontend: expected at least +"));
  CHECK(causes(report).starts_with("the collector is down or does not respond: "));
  CHECK(causes(report).contains(" spans are queued in frontend, dice-roller and die-service and none was delivered"));
  CHECK(broken(report) == "traces/collector_down");
}

TEST_CASE("several processes that take turns at one address: no reading can be compared with another") {
  TamperedSystem system(Broken::roller_of_two_processes);
  const auto report = verify(system, {.deadline = Seconds(30)});
  CHECK_FALSE(report.passed());
  CHECK(report.windows == 10);
  CHECK(report.replaced == std::vector<std::string>{"dice-roller"});
  CHECK(broken_signals(report) == "metrics");
  CHECK(says(report, "metrics", "replicas: expected the same before and after, found others"));
  CHECK(report.causes.empty());
}

TEST_CASE("spans dropped") {
  const auto report = verify_broken(Broken::spans_dropped_by_exporter);
  CHECK(broken_signals(report) == "metrics");
  CHECK(causes(report).starts_with("spans are dropped: dice-roller could not deliver "));
  CHECK(broken(report) == "traces/spans_dropped");
}

TEST_CASE("a log line that is missing") {
  const auto report = verify_broken(Broken::log_line_missing, {.from = From::backends});
  CHECK(broken_signals(report) == "logs");
  CHECK(says(report, "logs",
             "log line is missing: expected dice-roller die_type=fair message=Async roll completed roll_index=2 "
             "roll_value=3, found nothing"));
  CHECK(causes(report).starts_with("log lines are lost: only "));
  CHECK(broken(report) == "logs/lines_lost");
  CHECK(counts_of(report, "logs").missing > 0);
  CHECK(counts_of(report, "logs").duplicated + counts_of(report, "logs").wrong == 0);
}

TEST_CASE("a duplicate log line") {
  const auto report = verify_broken(Broken::log_line_twice, {.from = From::backends});
  CHECK(broken_signals(report) == "logs");
  CHECK(says(report, "logs", "unexpected log line"));
  CHECK(broken(report) == "logs/duplicated");
  CHECK(counts_of(report, "logs").duplicated > 0);
  CHECK(counts_of(report, "logs").missing + counts_of(report, "logs").wrong == 0);
}

TEST_CASE("a log line of another span") {
  const auto report = verify_broken(Broken::log_span_id_foreign, {.from = From::backends});
  CHECK(broken_signals(report) == "logs");
  CHECK(says(report, "logs", "expected a span of its trace, found eeeeeeeeeeeeeeee"));
  CHECK(broken(report) == "logs/wrong");
}

TEST_CASE("Loki not getting logs") {
  const auto report = verify_broken(Broken::logs_not_shipped, {.from = From::backends});
  CHECK(causes(report).starts_with("Loki at http://"));
  CHECK(causes(report).contains("is not getting logs: it can be read, but has no line of any request"));
  CHECK(causes(report).contains("(--loki-selector {job=\"dice\"})"));
  CHECK(broken(report) == "logs/no_logs");
}

TEST_CASE("Loki not getting the logs of one service") {
  const auto report = verify_broken(Broken::roller_logs_not_shipped, {.from = From::backends});
  CHECK(causes(report).contains("is not getting the logs of dice-roller: none of "));
  CHECK(broken(report) == "logs/no_logs");
}

TEST_CASE("Loki down") {
  TamperedSystem system;
  const auto report = verify(system, {.from = From::backends, .loki_url = "http://127.0.0.1:1"});
  CHECK_FALSE(report.passed());
  CHECK(causes(report) == "Loki at http://127.0.0.1:1 cannot be read: no connection to Loki at http://127.0.0.1:1");
  CHECK(broken(report) == "logs/source_unreadable");
}

TEST_CASE("a counter off by one") {
  const auto report = verify_broken(Broken::counter_off_by_one);
  CHECK(says(report, "metrics",
             "dice_rolls_total{die_type=\"fair\",mode=\"sync\",result=\"success\"} of dice-roller: "
             "expected +2, found +3"));
  CHECK(broken(report) == "metrics/wrong");
  CHECK(counts_of(report, "metrics").wrong == 1);
}

TEST_CASE("a histogram off by one") {
  const auto report = verify_broken(Broken::histogram_off_by_one);
  CHECK(says(report, "metrics", "async_roll_batch_size_count of dice-roller"));
  CHECK(says(report, "metrics", "async_roll_batch_size_sum of dice-roller"));
  CHECK(broken(report) == "metrics/wrong");
}

TEST_CASE("a gauge that does not return to 0") {
  const auto report = verify_broken(Broken::gauge_stuck);
  CHECK(says(report, "metrics", "async_rolls_in_progress of dice-roller: expected 0, found 1"));
  CHECK(broken(report) == "metrics/wrong");
}

TEST_CASE("a scrape that is missing") {
  const auto scrapes = causes(verify_broken(Broken::scrape_missing));
  CHECK(scrapes.starts_with("a scrape is missing: no metrics of die-service in metrics at http://"));
  const auto prometheus = causes(verify_broken(Broken::scrape_missing, {.from = From::backends}));
  CHECK(prometheus.starts_with("a scrape is missing: no metrics of die-service in Prometheus at http://"));
  CHECK(prometheus.contains("(down: up{instance=\"die-service:1\",job=\"die-service\"})"));
  CHECK(broken(verify_broken(Broken::scrape_missing, {.from = From::backends})) == "metrics/scrape_missing");
}

TEST_CASE("a stale scrape") {
  const auto report = verify_broken(Broken::scrape_stale);
  CHECK(causes(report).starts_with("a scrape is stale: the metrics of dice-roller in "));
  CHECK(broken(report) == "metrics/scrape_stale");
}

TEST_CASE("no exemplars") {
  const auto report = verify_broken(Broken::exemplars_missing);
  CHECK(broken_signals(report) == "correlation");
  CHECK(says(report, "correlation",
             "exemplar of http_request_duration_seconds: expected one with the trace id of a request"));
  CHECK(broken(report).empty());
}

TEST_CASE("the table shows five requests of a signal, the JSON all") {
  const auto report = verify_broken(Broken::logs_not_shipped, {.from = From::backends});
  const auto count = [](const std::string& text, const std::string& what) {
    std::size_t found = 0;
    for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++found;
    return found;
  };
  const auto broken = std::ranges::count_if(
      report.cases, [](const Report::Case& one) { return one.signal == "logs" && !one.findings.empty(); });
  REQUIRE(broken > 20);
  CHECK(count(to_table(report), "\nlogs: ") == 6);
  CHECK(to_table(report).contains("\nlogs: " + std::to_string(broken - 5) + " more; --json shows all\n"));
  CHECK(std::cmp_greater_equal(count(to_json(report), "log line is missing"), broken));
}

TEST_CASE("an unreachable target") {
  dice::SteadyClock clock;
  Target target("http://127.0.0.1:1");
  CHECK_FALSE(Verify({}, target, {}, clock).run().has_value());
}

TEST_CASE("answers only") {
  TamperedSystem system;
  dice::SteadyClock clock;
  Target target(system.url());
  const auto report = Verify({.probes = {.concurrency = false}, .collect = {}}, target, {}, clock).run().value();
  CHECK(report.passed());
}

namespace {

/// The sleep with this number takes that long.
class LeapingClock final : public dice::Clock {
 public:
  LeapingClock(int number, Seconds leap) : left_(number), leap_(leap) {}
  dice::TimePoint now() const override { return now_; }
  bool sleep(Seconds duration, const std::stop_token& stop) override {
    now_ += dice::to_steady(--left_ == 0 ? leap_ : duration);
    return !stop.stop_requested();
  }

 private:
  dice::TimePoint now_{};
  int left_;
  Seconds leap_;
};

/// All spans but one were exported, which remains queued.
class SpanQueued final : public MetricsSource {
 public:
  std::string name() const override { return "metrics"; }
  void settle(dice::Clock& /*clock*/, dice::TimePoint /*deadline*/) override {}
  std::expected<Reading, SourceError> read() override {
    const auto series = parse_metrics_text("telemetry_spans_exported_total " + std::to_string(exported_) +
                                           "\ntelemetry_spans_queued 1\n");
    exported_ = 96;
    return Reading{.services = {{"die-service", series}}, .processes = {}, .detail = {}};
  }

 private:
  int exported_ = 0;
};

/// Whether the collector seems to be down after a wait in which one sleep took `leap`.
bool collector_seems_down(Seconds leap) {
  SpanQueued metrics;
  TraceSource traces("frontend", "http://127.0.0.1:1");
  LeapingClock clock(8, leap);
  Collected collected;
  collected.sources = {&traces, nullptr, &metrics};
  const Collector::Options options{.deadline = Seconds(8)};
  Collector collector(options, collected, clock);
  collector.prepare();
  collector.run();
  return evidence_of(collected).services["die-service"].spans_exported_lately == 0;
}

}  // namespace

TEST_CASE("that no span was delivered lately takes two readings to tell") {
  CHECK(collector_seems_down(Seconds(0.1)));
  CHECK_FALSE(collector_seems_down(Seconds(8)));
}

#include "loadgen/verify/canary.h"

#include <algorithm>
#include <chrono>
#include <set>
#include <utility>

#include "common/base/joined.h"
#include "contract/metric.h"
#include "loadgen/sources/backend.h"
#include "loadgen/statistics.h"

namespace dice::loadgen {
namespace {

constexpr const char* kPassed = "passed";
constexpr const char* kFailed = "failed";
constexpr const char* kUnreachable = "unreachable";

/// Those with spans, lines or counters.
bool is_counted(const std::string& name) {
  return name == signal::kTraces || name == signal::kLogs || name == signal::kMetrics;
}

/// The answer to this probe when all is well.
Sent answered_well(const Probe& probe) {
  Sent sent{.probe = probe, .answer = {}};
  auto& answer = sent.answer;
  answer.status = 200;
  if (probe.wants == Probe::Wants::roll) {
    answer.roll = 1;
  } else if (probe.wants == Probe::Wants::batch) {
    answer.rolls.emplace(static_cast<std::size_t>(probe.times()), 1);
  } else if (probe.wants == Probe::Wants::unknown_die) {
    answer.status = status_of(ErrorCode::die_not_found);
    answer.error_code = name_of(ErrorCode::die_not_found);
  }
  return sent;
}

/// The first differences, for people.
std::string examples(const Report& report) {
  constexpr int kMax = 5;
  std::string text;
  int shown = 0;
  for (const auto& one : report.cases) {
    for (const auto& finding : one.findings) {
      if (finding.kind == Finding::Kind::consequence) continue;
      if (++shown > kMax) return text + "; …";
      text += (text.empty() ? "" : "; ") + one.signal + ": " + sentence(finding) +
              (one.trace_id.empty() ? "" : " (trace " + one.trace_id + ")");
    }
  }
  return text;
}

}  // namespace

CheckLoad load_of(const std::vector<Probe>& probes) {
  // One more request asks first whether the frontend can be reached, and which dice there are.
  CheckLoad load{.requests = 1, .spans = 1, .log_lines = 1};
  for (const auto& probe : probes) {
    const auto sent = answered_well(probe);
    ++load.requests;
    load.spans += static_cast<std::int64_t>(expected_spans(sent).size());
    for (const auto& [service, lines] : expected_lines(sent, nullptr)) load.log_lines += lines;
  }
  return load;
}

Canary::Canary(Options options, Check check, Metrics& metrics, const Logger& log, Clock& clock)
    : options_(std::move(options)),
      check_(std::move(check)),
      log_(log),
      clock_(clock),
      checks_(metrics.counters(Metric::pipeline_checks)),
      last_check_(metrics.gauges(Metric::pipeline_last_check_timestamp)),
      complete_(metrics.gauges(Metric::pipeline_complete)) {
  for (const auto* result : {kPassed, kFailed, kUnreachable}) checks_.Add({{"result", result}});
  for (const auto& name : options_.signals) add_signal(metrics, name);
}

void Canary::add_signal(Metrics& metrics, const std::string& name) {
  const Labels labels = {{"signal", name}};
  Signal one{};
  if (is_counted(name)) {
    const auto counter = [&](Metric metric) { return &metrics.counters(metric).Add(labels); };
    one.delay = &metrics.histogram(Metric::pipeline_delay, {0.5, 1, 2.5, 5, 10, 20, 30, 45, 60, 90, 120, 300}, labels);
    one.expected = counter(Metric::pipeline_expected);
    one.found = counter(Metric::pipeline_found);
    one.missing = counter(Metric::pipeline_missing);
    one.duplicated = counter(Metric::pipeline_duplicated);
    one.wrong = counter(Metric::pipeline_wrong);
    one.pending = &metrics.gauge(Metric::pipeline_pending, labels);
  }
  signals_.emplace(name, one);
  for (const auto& row : cause_rows()) {
    if (!is_said_about(row, name)) continue;
    broken_[{name, row.id}] =
        &metrics.gauge(Metric::pipeline_broken, {{"cause", std::string(row.name)}, {"signal", name}});
  }
}

void Canary::run(const std::function<void()>& finished, const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    const auto next = clock_.now() + to_steady(options_.every);
    if (check_once(stop)) finished();
    if (const auto now = clock_.now(); now < next) clock_.sleep(next - now, stop);
  }
}

bool Canary::check_once(const std::stop_token& stop) {
  const auto report = check_([this](const Collected& collected) { observe(collected); }, stop);
  if (stop.stop_requested()) return false;
  for (auto& [name, one] : signals_) {
    if (one.pending != nullptr) one.pending->Set(0);
  }
  if (!report) {
    complete_.Add({{"signal", signal::kAnswers}}).Set(0);
    const std::vector<Cause> causes = {{signal::kAnswers, CauseId::unreachable, report.error()}};
    finish(kUnreachable, causes);
    write_log(kUnreachable, {}, causes);
    return true;
  }
  if (!report->replaced.empty()) {
    const auto names = joined(report->replaced, ", ");
    log_.log(
        LogLevel::info, "Telemetry check discarded", nullptr,
        {{"reason", std::string_view("replicas changed during the check")}, {"services", std::string_view(names)}});
    return false;
  }
  record(*report);
  auto causes = report->causes;
  for (const auto& one : report->signals) {
    if (is_counted(one.name) && one.complete() && one.seconds && *one.seconds > options_.late_after.count()) {
      causes.push_back(
          {one.name, CauseId::late, one.name + " were complete only after " + fixed(*one.seconds, 1) + " s"});
    }
  }
  const auto* result = causes.empty() ? kPassed : kFailed;
  finish(result, causes);
  write_log(result, *report, causes);
  return true;
}

void Canary::observe(const Collected& collected) {
  for (const auto& [name, counts] : counts_of(collected)) {
    const auto found = signals_.find(name);
    if (found == signals_.end() || found->second.pending == nullptr) continue;
    found->second.pending->Set(static_cast<double>(counts.missing));
  }
}

void Canary::record(const Report& report) {
  for (const auto& signal : report.signals) {
    const auto found = signals_.find(signal.name);
    if (found == signals_.end()) continue;
    const auto& [name, counts, readable, seconds] = signal;
    const auto& one = found->second;
    complete_.Add({{"signal", name}}).Set(signal.complete() ? 1 : 0);
    if (!is_counted(name)) continue;
    const auto add = [](prometheus::Counter* counter, std::int64_t by) { counter->Increment(static_cast<double>(by)); };
    // What is not there may be in a backend that cannot be read.
    add(one.expected, readable ? counts.expected : counts.found());
    add(one.found, counts.found());
    add(one.missing, readable ? counts.missing : 0);
    add(one.duplicated, counts.duplicated);
    add(one.wrong, counts.wrong);
    if (signal.complete() && seconds) one.delay->observe(*seconds, {});
  }
}

void Canary::finish(const char* result, const std::vector<Cause>& causes) {
  for (const auto& [key, gauge] : broken_) {
    const bool named = std::ranges::any_of(
        causes, [&key](const Cause& cause) { return cause.signal == key.first && cause.id == key.second; });
    gauge->Set(named ? 1 : 0);
  }
  checks_.Add({{"result", result}}).Increment();
  last_check_.Add({}).Set(std::chrono::duration<double>(unix_time()).count());
}

void Canary::write_log(const char* result, const Report& report, const std::vector<Cause>& causes) const {
  std::vector<Field> fields = {{"result", std::string_view(result)}, {"duration", report.seconds}};
  static const std::map<std::string, std::string> kDelays = {
      {signal::kTraces, "traces_seconds"}, {signal::kLogs, "logs_seconds"}, {signal::kMetrics, "metrics_seconds"}};
  static const std::map<std::string, std::string> kMissing = {
      {signal::kTraces, "spans_missing"}, {signal::kLogs, "lines_missing"}, {signal::kMetrics, "counters_missing"}};
  for (const auto& one : report.signals) {
    if (!is_counted(one.name)) continue;
    if (one.complete() && one.seconds) fields.push_back({kDelays.at(one.name), *one.seconds});
    else fields.push_back({kMissing.at(one.name), one.counts.missing});
  }
  // Of several services, often the same.
  std::set<std::string> ids;
  for (const auto& cause : causes) ids.insert(cause.signal + "/" + std::string(name_of(cause.id)));
  const auto broken = joined(ids, ",");
  const auto texts = joined(causes, "; ", &Cause::text);
  const auto findings = examples(report);
  if (!causes.empty()) {
    fields.push_back({"broken", std::string_view(broken)});
    fields.push_back({"causes", std::string_view(texts)});
  }
  if (!findings.empty()) fields.push_back({"findings", std::string_view(findings)});
  log_.log(causes.empty() ? LogLevel::info : LogLevel::warn, "Telemetry check", nullptr, fields);
}

}  // namespace dice::loadgen

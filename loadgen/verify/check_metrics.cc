#include <algorithm>
#include <cmath>
#include <set>

#include "contract/metric.h"
#include "loadgen/verify/checks.h"

namespace dice::loadgen {
namespace {

using Labels = std::map<std::string, std::string>;

const std::vector<std::string> kServices = {kFrontend.name, kDiceRoller.name, kDieService.name};

constexpr const char* kAsync = "async";

std::string name(Metric metric) { return std::string(name_of(metric)); }
/// The name of a histogram's count.
std::string count_of(Metric metric) { return name(metric) + "_count"; }

/// A counter, or the count or sum of a histogram, with the labels that the contract names.
struct Counter {
  std::string service;
  std::string name;
  std::vector<std::string> labels;
};

const std::vector<Counter>& checked_counters() {
  static const auto all = [] {
    std::vector<Counter> counters = {
        {kFrontend.name, name(Metric::roll_requests), {"mode"}},
        {kFrontend.name, name(Metric::async_roll_requests), {"batch_size"}},
        {kDiceRoller.name, name(Metric::dice_rolls), {"die_type", "mode", "result"}},
        {kDiceRoller.name, name(Metric::dice_roll_values), {"die_type", "value"}},
        {kDiceRoller.name, name(Metric::async_rolls), {"die_type", "result"}},
        {kDiceRoller.name, name(Metric::async_roll_batches), {"die_type", "result"}},
        {kDiceRoller.name, count_of(Metric::async_roll_batch_size), {}},
        {kDiceRoller.name, name(Metric::async_roll_batch_size) + "_sum", {}},
        {kDiceRoller.name, count_of(Metric::async_roll_duration), {}},
        {kDiceRoller.name, name(Metric::die_service_requests), {"identifier", "status"}},
        {kDiceRoller.name, count_of(Metric::die_service_request_duration), {}},
        {kDiceRoller.name, name(Metric::roll_admission_rejected), {"reason"}},
        {kDieService.name, name(Metric::die_specifications_requested), {"identifier"}},
    };
    for (const auto& service : kServices) {
      counters.push_back({service, name(Metric::http_requests), {"method", "route", "status", "error_code"}});
      counters.push_back({service, count_of(Metric::http_request_duration), {"method", "route"}});
    }
    return counters;
  }();
  return all;
}

bool counts_rolls(const Counter& counter) {
  return counter.name == name(Metric::dice_rolls) || counter.name == name(Metric::dice_roll_values) ||
         counter.name == name(Metric::async_rolls);
}

/// Routes requested only by the probes (or by other clients of a shared system).
bool is_probed_route(const std::string& service, const std::string& route) {
  static const std::map<std::string, std::set<std::string>> kRoutes = {
      {kFrontend.name, {route::kDice, route::kRoll, route::kRollAsync, route::kUnmatched}},
      {kDiceRoller.name, {route::kRoll, route::kRollAsync}},
      {kDieService.name, {route::kDie}}};
  return kRoutes.at(service).contains(route);
}

bool counts(const Counter& counter, const Series& series) {
  return series.name == counter.name &&
         (!counter.name.starts_with("http_") || is_probed_route(counter.service, series.label("route")));
}

Labels project(const Series& series, const std::vector<std::string>& names) {
  Labels labels;
  for (const auto& name : names) {
    if (auto value = series.label(name); !value.empty()) labels[name] = std::move(value);
  }
  return labels;
}

using Values = std::map<Labels, double>;

Values values_of(const Snapshot& snapshot, const Counter& counter) {
  Values values;
  for (const auto& series : series_of(snapshot, counter.service)) {
    if (counts(counter, series)) values[project(series, counter.labels)] += series.value;
  }
  return values;
}

/// The expected increases, by service and metric.
class Movements {
 public:
  void add(const std::string& service, const std::string& metric, Labels labels, std::int64_t by = 1) {
    std::erase_if(labels, [](const auto& label) { return label.second.empty(); });
    values_[{service, metric}][labels] += static_cast<double>(by);
  }

  void request(const std::string& service, const std::string& method, const std::string& route, int status,
               const std::string& error_code) {
    add(service, name(Metric::http_requests),
        {{"method", method}, {"route", route}, {"status", std::to_string(status)}, {"error_code", error_code}});
    add(service, count_of(Metric::http_request_duration), {{"method", method}, {"route", route}});
  }

  /// False if the result depends on the trace, which is missing.
  bool rolls(const Sent& sent, const Trace* trace) {
    const auto& die = sent.probe.request.die;
    const std::string mode = sent.probe.wants == Probe::Wants::roll ? "sync" : kAsync;
    const auto counts = roll_counts(sent, trace);
    if (!counts) return false;
    const auto count = [&](const char* result, std::int64_t by) {
      if (by == 0) return;
      add(kDiceRoller.name, name(Metric::dice_rolls), {{"die_type", die}, {"mode", mode}, {"result", result}}, by);
      if (mode == kAsync) add(kDiceRoller.name, name(Metric::async_rolls), {{"die_type", die}, {"result", result}}, by);
    };
    count("success", counts->successes());
    count("failure", counts->failed);
    count("cancelled", counts->cancelled);
    for (const auto& [value, times] : counts->succeeded) {
      add(kDiceRoller.name, name(Metric::dice_roll_values), {{"die_type", die}, {"value", std::to_string(value)}},
          times);
    }
    return true;
  }

  const Values& of(const Counter& counter) { return values_[{counter.service, counter.name}]; }

 private:
  std::map<std::pair<std::string, std::string>, Values> values_;
};

/// False if the rolls are not known.
bool add(Movements& movements, const Sent& sent, const Trace* trace) {
  const auto& [probe, answer, answered] = sent;
  const auto outcome = outcome_of(sent);
  const auto code = answer.succeeded() ? std::string() : answer.error_code.value_or("");
  movements.request(kFrontend.name, probe.method, probe.route, answer.status, code);
  if (!reached_roller(sent)) return true;
  const bool batch = probe.request.times.has_value();
  const auto times = probe.times();
  if (!batch) movements.add(kFrontend.name, name(Metric::roll_requests), {{"mode", "sync"}});
  movements.request(kDiceRoller.name, probe.method, probe.route, answer.status, code);
  if (batch) {
    movements.add(kFrontend.name, name(Metric::async_roll_requests), {{"batch_size", std::to_string(times)}});
    movements.add(kDiceRoller.name, count_of(Metric::async_roll_batch_size), {});
    movements.add(kDiceRoller.name, name(Metric::async_roll_batch_size) + "_sum", {}, times);
  }
  const auto die = outcome == Outcome::no_die ? kUnknownDie : probe.request.die;
  const int die_status = outcome == Outcome::no_die ? 404 : 200;
  movements.add(kDiceRoller.name, name(Metric::die_service_requests),
                {{"identifier", die}, {"status", std::to_string(die_status)}});
  movements.add(kDiceRoller.name, count_of(Metric::die_service_request_duration), {});
  movements.add(kDieService.name, name(Metric::die_specifications_requested), {{"identifier", die}});
  movements.request(kDieService.name, "GET", route::kDie, die_status, outcome == Outcome::no_die ? code : "");
  if (outcome == Outcome::no_die) return true;
  if (batch) {
    movements.add(kDiceRoller.name, count_of(Metric::async_roll_duration), {});
    const bool partial = answer.failed && probe.until() == StrategyRow::Until::all_ended;
    const auto* result = !answer.succeeded() ? "failure" : partial ? "partial" : "success";
    movements.add(kDiceRoller.name, name(Metric::async_roll_batches), {{"die_type", die}, {"result", result}});
  }
  return movements.rolls(sent, trace);
}

std::string shown(double value) {
  const auto whole = std::llround(value);
  return value == static_cast<double>(whole) ? std::to_string(whole) : std::to_string(value);
}

void compare(const Counter& counter, const Values& expected, const Snapshot& before, const Snapshot& after, bool shared,
             MetricsCheck& check, Findings& findings) {
  const auto old_values = values_of(before, counter);
  auto deltas = values_of(after, counter);
  for (const auto& [labels, value] : old_values) deltas[labels] -= value;
  auto wanted = expected;
  for (const auto& [labels, delta] : deltas) wanted.try_emplace(labels, 0);
  for (const auto& [labels, by] : wanted) {
    const auto found = deltas.find(labels);
    const double delta = found == deltas.end() ? 0 : found->second;
    if (by != 0) ++check.counters;
    if (delta == by || (shared && delta >= by)) continue;
    findings.add(describe(counter.name, labels) + " of " + counter.service, (shared ? "at least +" : "+") + shown(by),
                 delta < 0 ? shown(delta) + ": was the service restarted?" : "+" + shown(delta),
                 delta < by ? Finding::Kind::missing : Finding::Kind::wrong);
  }
}

void check_gauges(const Snapshot& after, Findings& findings) {
  for (const auto& [service, all] : after) {
    for (const auto& series : all) {
      const bool requests =
          series.name == name(Metric::http_requests_in_progress) && is_probed_route(service, series.label("route"));
      if (!requests && series.name != name(Metric::async_rolls_in_progress)) continue;
      if (series.value != 0) {
        findings.add(describe(series.name, series.labels) + " of " + service, "0", shown(series.value));
      }
    }
  }
}

}  // namespace

MetricsCheck check_metrics(const std::vector<Sent>& sent, const std::map<std::string, Trace>& traces,
                           const Snapshot& before, const Snapshot& after, const MetricsExpectation& expectation) {
  MetricsCheck check;
  Findings findings;
  for (const auto& service : kServices) {
    if (!before.contains(service) || !after.contains(service)) {
      ++check.counters;
      findings.add("metrics of " + service, "a scrape", "nothing", Finding::Kind::missing);
    }
  }
  Movements movements;
  bool rolls_known = true;
  std::map<std::string, std::int64_t> spans;
  for (const auto& one : sent) {
    if (one.answer.status == 0) continue;
    const auto trace = traces.find(one.probe.trace_id());
    rolls_known &= add(movements, one, trace == traces.end() ? nullptr : &trace->second);
    for (const auto& span : expected_spans(one)) ++spans[span.service];
  }
  for (const auto& counter : checked_counters()) {
    if (!before.contains(counter.service) || !after.contains(counter.service)) continue;
    if (!rolls_known && counts_rolls(counter)) continue;
    compare(counter, movements.of(counter), before, after, expectation.shared, check, findings);
  }
  for (const auto& service : kServices) {
    if (!before.contains(service) || !after.contains(service)) continue;
    const auto dropped = moved(before, after, service, name(Metric::spans_dropped));
    if (dropped != 0) {
      findings.add(name(Metric::spans_dropped) + " of " + service, "+0", "+" + shown(dropped),
                   Finding::Kind::consequence);
    }
    const auto exported = moved(before, after, service, name(Metric::spans_exported));
    if (expectation.exported && exported < static_cast<double>(spans[service])) {
      findings.add(name(Metric::spans_exported) + " of " + service, "at least +" + std::to_string(spans[service]),
                   "+" + shown(exported), Finding::Kind::consequence);
    }
  }
  if (!expectation.shared) check_gauges(after, findings);
  check.findings = std::move(findings).take();
  return check;
}

std::vector<Finding> check_correlation(const Series& series, const Series::Exemplar& exemplar, const Trace& trace,
                                       const std::optional<std::vector<LogLine>>& lines, const Snapshot& metrics) {
  Findings findings;
  const auto* span = trace.find(exemplar.span_id);
  if (span == nullptr) {
    findings.add("span of the exemplar", "a span of trace " + exemplar.trace_id, exemplar.span_id,
                 Finding::Kind::missing);
    return std::move(findings).take();
  }
  const auto route = span->text(attribute::kRoute).value_or("");
  findings.require("http.route of the exemplar's span", series.label("route"), route);
  auto status = std::to_string(span->integer(attribute::kStatus).value_or(0));
  if (lines) {
    const auto line = std::ranges::find_if(
        *lines, [&](const LogLine& one) { return one.span_id() == span->id && one.field("route") == route; });
    if (line == lines->end()) {
      findings.add("access line of the exemplar's span", "one of " + span->service, "nothing", Finding::Kind::missing);
    } else {
      status = line->field("status");
    }
  }
  const auto& all = series_of(metrics, span->service);
  const auto counter = std::ranges::find_if(all, [&](const Series& one) {
    return one.name == name(Metric::http_requests) && one.matches({{"route", route}, {"status", status}}) &&
           one.value >= 1;
  });
  if (counter == all.end()) {
    findings.add("back to the metric",
                 describe(name(Metric::http_requests), {{"route", route}, {"status", status}}) + " of " + span->service,
                 "nothing", Finding::Kind::missing);
  }
  return std::move(findings).take();
}

}  // namespace dice::loadgen

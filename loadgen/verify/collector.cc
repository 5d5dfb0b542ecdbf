#include "loadgen/verify/collector.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "loadgen/verify/counts.h"

namespace dice::loadgen {
namespace {

constexpr Seconds kMinPause{0.02};
constexpr Seconds kMaxPause{1};

/// The services whose processes are not the same.
std::vector<std::string> changed(const MetricsSource::Processes& before, const MetricsSource::Processes& after) {
  std::vector<std::string> services;
  for (const auto& service : kServices) {
    const auto of = [&service](const MetricsSource::Processes& all) {
      const auto found = all.find(service.name);
      return found == all.end() ? std::set<std::string>() : found->second;
    };
    if (of(before) != of(after)) services.emplace_back(service.name);
  }
  return services;
}

}  // namespace

Collector::Collector(const Options& options, Collected& collected, Clock& clock)
    : options_(options), all_(collected), clock_(clock) {
  all_.export_required = options.exported == Options::Export::required;
}

void Collector::prepare() {
  if (all_.sources.logs != nullptr) all_.sources.logs->mark();
  if (all_.sources.metrics == nullptr) return;
  all_.sources.metrics->settle(clock_, clock_.now() + to_steady(std::min(options_.deadline, options_.settle)));
  if (auto reading = all_.sources.metrics->read()) all_.before = std::move(*reading);
}

bool Collector::all_answered() const {
  return std::ranges::all_of(all_.probes, [](const ProbeState& probe) { return probe.answered.load(); });
}

bool Collector::traces_complete() const {
  return all_.sources.traces == nullptr || std::ranges::all_of(all_.probes, [](const ProbeState& probe) {
           return !probe.has_telemetry() || probe.trace_seconds;
         });
}

bool Collector::complete() const {
  const bool logs = all_.sources.logs == nullptr || std::ranges::all_of(all_.probes, [](const ProbeState& probe) {
                      return !probe.has_telemetry() || probe.log_seconds;
                    });
  // A wrong answer may be that of a process that has just been replaced, which the next reading shows.
  const bool metrics =
      all_.sources.metrics == nullptr ||
      (all_.metrics_seconds && (all_.correlated || all_.sources.traces == nullptr) &&
       std::ranges::all_of(all_.probes, [](const ProbeState& probe) { return probe.expected_answer; }));
  return traces_complete() && logs && metrics;
}

void Collector::run() {
  auto pause = kMinPause;
  for (;;) {
    const bool sent = all_answered();
    if (sent) {
      for (const auto& probe : all_.probes) last_answer_ = std::max(last_answer_, probe.sent.answered);
    }
    const auto deadline = last_answer_ + to_steady(options_.deadline);
    const bool last = sent && clock_.now() >= deadline;
    poll_traces();
    poll_logs();
    if (sent) {
      poll_metrics();
      poll_correlation();
      if (options_.observe) options_.observe(all_);
      if (!all_.replaced.empty() || complete() || last) return;
      pause = std::min({pause * 1.5, kMaxPause, std::max(Seconds(deadline - clock_.now()), kMinPause)});
    }
    if (!clock_.sleep(pause, options_.stop)) return;
  }
}

void Collector::poll_traces() {
  if (all_.sources.traces == nullptr) return;
  for (auto& probe : all_.probes) {
    if (!probe.has_telemetry() || probe.trace_seconds) continue;
    auto trace = all_.sources.traces->find(probe.sent.probe.trace_id());
    all_.trace_error = trace ? "" : trace.error();
    if (!trace) return;
    if (!*trace) continue;
    probe.trace = std::move(*trace);
    probe.trace_findings = check_trace(probe.sent, *probe.trace, options_.clock_skew.count());
    if (probe.trace_findings.empty()) probe.trace_seconds = since(probe.sent.answered);
  }
}

void Collector::poll_logs() {
  if (all_.sources.logs == nullptr) return;
  std::vector<std::string> ids;
  for (const auto& probe : all_.probes) {
    if (probe.has_telemetry() && !probe.log_seconds) ids.push_back(probe.sent.probe.trace_id());
  }
  if (ids.empty()) return;
  auto lines = all_.sources.logs->find(ids);
  all_.log_error = lines ? "" : lines.error();
  if (!lines) return;
  std::map<std::string, std::vector<LogLine>> by_trace;
  for (auto& line : *lines) by_trace[line.trace_id()].push_back(std::move(line));
  for (auto& probe : all_.probes) {
    if (!probe.has_telemetry() || probe.log_seconds) continue;
    probe.lines = std::move(by_trace[probe.sent.probe.trace_id()]);
    // Lines are not compared with an incorrect trace.
    const bool sound = probe.is_trace_sound();
    probe.log_findings = check_logs(probe.sent, sound ? &*probe.trace : nullptr, probe.lines);
    probe.lines_checked = true;
    if (!probe.log_findings.empty()) probe.lines_seconds.reset();
    else if (!probe.lines_seconds) probe.lines_seconds = since(probe.sent.answered);
    if (probe.log_findings.empty() && (sound || all_.sources.traces == nullptr)) {
      probe.log_seconds = since(probe.sent.answered);
    }
  }
}

bool Collector::exporter_active() const {
  // With an exporter, each ended span counts in one of the three; without one, they stay 0.
  return std::ranges::any_of(all_.after.services, [](const auto& service) {
    return std::ranges::any_of(service.second, [](const Series& series) {
      return (series.name == name_of(Metric::spans_exported) || series.name == name_of(Metric::spans_dropped) ||
              series.name == name_of(Metric::spans_queued)) &&
             series.value > 0;
    });
  });
}

void Collector::poll_metrics() {
  if (all_.sources.metrics == nullptr) return;
  auto reading = all_.sources.metrics->read();
  if (reading) all_.replaced = changed(all_.before.processes, reading->processes);
  if (all_.metrics_seconds) return;
  all_.metrics_error = reading ? "" : reading.error();
  if (!reading) return;
  all_.after = std::move(*reading);
  if (options_.exported == Options::Export::automatic) all_.export_required = exporter_active();
  std::vector<Sent> sent;
  std::map<std::string, Trace> traces;
  for (const auto& probe : all_.probes) {
    sent.push_back(probe.sent);
    if (probe.is_trace_sound()) traces[probe.sent.probe.trace_id()] = *probe.trace;
  }
  auto check = check_metrics(sent, traces, all_.before.services, all_.after.services,
                             {.shared = options_.shared, .exported = all_.export_required});
  all_.metrics_findings = std::move(check.findings);
  all_.counters = check.counters;
  all_.metrics_read = true;
  const auto waited = since(last_answer_) / options_.deadline.count();
  if (all_.middle.services.empty() && waited >= 0.5 && waited < 0.75) all_.middle = all_.after;
  if (!count(all_.counters, all_.metrics_findings).complete()) all_.counters_seconds.reset();
  else if (!all_.counters_seconds) all_.counters_seconds = since(last_answer_);
  if (all_.metrics_findings.empty() && traces_complete()) all_.metrics_seconds = since(last_answer_);
}

std::optional<std::vector<LogLine>> Collector::lines_of(const std::string& trace_id) {
  if (all_.sources.logs == nullptr) return std::nullopt;
  auto lines = all_.sources.logs->find({trace_id});
  return lines ? std::move(*lines) : std::vector<LogLine>{};
}

void Collector::poll_correlation() {
  if (all_.sources.metrics == nullptr || all_.sources.traces == nullptr || all_.correlated) return;
  const std::vector<Finding> no_exemplar = {{"exemplar of http_request_duration_seconds",
                                             "one with the trace id of a request", "none", Finding::Kind::missing}};
  if (!all_.metrics_seconds) all_.correlation_findings = no_exemplar;  // exemplars are part of the same reading
  std::set<std::string> ours;
  for (const auto& probe : all_.probes) ours.insert(probe.sent.probe.trace_id());
  for (const auto& [service, metrics] : all_.after.services) {
    for (const auto& series : metrics) {
      if (series.name != kLatencyBuckets || series.label("route") != route::kRollAsync) continue;
      for (const auto& exemplar : series.exemplars) {
        // In a shared system, the exemplars of others may have replaced ours.
        if (!ours.contains(exemplar.trace_id) && !options_.shared) continue;
        const auto trace = all_.sources.traces->find(exemplar.trace_id);
        all_.correlation_trace = exemplar.trace_id;
        if (!trace || !*trace) {
          all_.correlation_findings = {{"trace of an exemplar", exemplar.trace_id, "nothing", Finding::Kind::missing}};
          if (!trace) return;  // asking for the others would take as long each, and hold up the other signals
          continue;
        }
        all_.correlation_findings =
            check_correlation(series, exemplar, **trace, lines_of(exemplar.trace_id), all_.after.services);
        if (all_.correlation_findings.empty()) return void(all_.correlated = true);
      }
    }
  }
  if (all_.correlation_trace.empty()) {
    all_.correlation_findings = no_exemplar;
    all_.metrics_seconds.reset();  // the next reading may include it
  }
}

}  // namespace dice::loadgen

#include "loadgen/verify/evidence.h"

#include <algorithm>
#include <set>
#include <utility>

namespace dice::loadgen {
namespace {

bool trace_continued(const Sent& sent) {
  if (sent.answer.status == 0) return true;
  const auto response = parse_traceparent(sent.answer.traceresponse);
  return !response || response->trace_id == sent.probe.context.trace_id;
}

void add_probe(ServiceEvidence& service, const std::string& name, const ProbeState& probe) {
  std::int64_t spans = 0;
  for (const auto& span : expected_spans(probe.sent)) {
    if (span.service != name) continue;
    ++spans;
    if (span.kind == SpanKind::server) ++service.requests_expected;
  }
  service.spans_expected += spans;
  if (!probe.trace) service.spans_of_lost_traces += spans;
  if (probe.trace) {
    service.spans_found +=
        std::min(spans, std::int64_t{std::ranges::count(probe.trace->spans, name, &TraceSpan::service)});
  }
  const std::int64_t lines = expected_lines(probe.sent, probe.is_trace_sound() ? &*probe.trace : nullptr)[name];
  const auto found = std::int64_t{std::ranges::count(probe.lines, name, &LogLine::service)};
  service.lines_expected += lines;
  service.lines_found += std::min(lines, found);
  service.context_seen |= found > 0;
}

void add_metrics(ServiceEvidence& service, const std::string& name, const Collected& collected) {
  const auto& after = collected.after.services;
  service.metrics_found = after.contains(name);
  if (!service.metrics_found) return;
  for (const auto& series : series_of(after, name)) {
    if (series.name == name_of(Metric::spans_queued)) service.spans_queued += series.value;
    for (const auto& exemplar : series.exemplars) {
      service.context_seen |= std::ranges::any_of(collected.probes, [&exemplar](const ProbeState& probe) {
        return probe.sent.probe.trace_id() == exemplar.trace_id;
      });
    }
  }
  const auto delta = [&](Metric metric, const std::map<std::string, std::string>& labels = {}) {
    return moved(collected.before.services, after, name, name_of(metric), labels);
  };
  for (const auto* route : {route::kRoll, route::kRollAsync, route::kDie}) {
    service.requests_counted += delta(Metric::http_requests, {{"route", route}});
  }
  service.spans_exported = delta(Metric::spans_exported);
  service.spans_dropped = delta(Metric::spans_dropped);
  service.spans_exported_lately = collected.middle.services.contains(name)
                                      ? moved(collected.middle.services, after, name, name_of(Metric::spans_exported))
                                      : service.spans_exported;
}

/// The latest of the probes; empty if one of them has none.
std::optional<double> latest(const Collected& collected, std::optional<double> ProbeState::* seconds) {
  std::optional<double> last = 0;
  for (const auto& probe : collected.probes) {
    if (!probe.expected_answer) continue;
    if (!(probe.*seconds)) return std::nullopt;
    last = std::max(*last, *(probe.*seconds));
  }
  return last;
}

Report::Signal signal_of(const std::string& name, Counts counts, const Collected& collected) {
  Report::Signal one{.name = name, .counts = counts};
  if (name == signal::kTraces) {
    one.readable = collected.trace_error.empty();
    one.seconds = latest(collected, &ProbeState::trace_seconds);
  } else if (name == signal::kLogs) {
    one.readable = collected.log_error.empty();
    one.seconds = latest(collected, &ProbeState::lines_seconds);
  } else if (name == signal::kMetrics) {
    one.readable = collected.metrics_error.empty();
    one.seconds = collected.counters_seconds;
  } else if (name == signal::kCorrelation) {
    one.seconds = collected.metrics_seconds;
  }
  return one;
}

}  // namespace

Evidence evidence_of(const Collected& collected) {
  const auto& [traces, logs, metrics] = collected.sources;
  Evidence all;
  if (traces != nullptr) all.traces = {true, traces->name(), collected.trace_error, ""};
  if (logs != nullptr) all.logs = {true, logs->name(), collected.log_error, logs->detail()};
  if (metrics != nullptr) all.metrics = {true, metrics->name(), collected.metrics_error, collected.after.detail};
  all.export_required = collected.export_required;
  all.traceparent_ignored =
      !std::ranges::all_of(collected.probes, [](const ProbeState& probe) { return trace_continued(probe.sent); });
  for (const std::string name : {kFrontend.name, kDiceRoller.name, kDieService.name}) {
    auto& service = all.services[name];
    for (const auto& probe : collected.probes) {
      if (probe.expected_answer) add_probe(service, name, probe);
    }
    add_metrics(service, name, collected);
  }
  for (const auto& probe : collected.probes) {
    if (probe.sent.answer.status == 0) all.unanswered = probe.sent.answer.outcome();
    if (!probe.expected_answer || traces == nullptr) continue;
    ++all.traces_expected;
    if (!probe.trace) ++all.traces_lost;
  }
  all.counts = counts_of(collected);
  return all;
}

Report report_of(const Collected& collected) {
  const auto& [traces, logs, metrics] = collected.sources;
  Report report;
  for (const auto& name : report.replaced = collected.replaced) {
    report.cases.push_back(
        {"metrics", "replicas of " + name, "", {{"replicas", "the same before and after", "others"}}, std::nullopt});
  }
  if (!report.replaced.empty()) return report;
  const auto add = [&report](const std::string& about, const Sent& sent, std::vector<Finding> findings,
                             std::optional<double> seconds) {
    report.cases.push_back({about, sent.probe.name, sent.probe.trace_id(), std::move(findings), seconds});
  };
  for (const auto& probe : collected.probes) add(signal::kAnswers, probe.sent, check_answer(probe.sent), 0.0);
  for (const auto& probe : collected.probes) {
    if (traces == nullptr || !probe.expected_answer) continue;  // the wrong response is the finding
    add(signal::kTraces, probe.sent,
        probe.trace ? probe.trace_findings
                    : std::vector<Finding>{{"trace", "all its spans", "nothing", Finding::Kind::missing}},
        probe.trace_seconds);
  }
  for (const auto& probe : collected.probes) {
    if (logs != nullptr && probe.expected_answer) add(signal::kLogs, probe.sent, probe.log_findings, probe.log_seconds);
  }
  if (logs != nullptr && !collected.log_error.empty()) {
    report.cases.push_back(
        {signal::kLogs, logs->name(), "", {{"answer", "log lines", collected.log_error}}, std::nullopt});
  }
  if (metrics != nullptr) {
    auto findings = collected.metrics_findings;
    if (!collected.metrics_error.empty()) findings.push_back({"answer", signal::kMetrics, collected.metrics_error});
    report.cases.push_back(
        {signal::kMetrics, "counters, histograms and gauges", "", std::move(findings), collected.metrics_seconds});
    if (traces != nullptr) {
      report.cases.push_back({signal::kCorrelation, "exemplar, trace, logs, metric", collected.correlation_trace,
                              collected.correlated ? std::vector<Finding>{} : collected.correlation_findings,
                              collected.metrics_seconds});
    }
  }
  const auto evidence = evidence_of(collected);
  report.causes = diagnose(evidence);
  for (const auto& [name, counts] : evidence.counts) report.signals.push_back(signal_of(name, counts, collected));
  return report;
}

}  // namespace dice::loadgen

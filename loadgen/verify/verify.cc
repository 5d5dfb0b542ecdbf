#include "loadgen/verify/verify.h"

#include <algorithm>
#include <set>
#include <utility>

namespace dice::loadgen {
namespace {

constexpr Seconds kFirstPause{0.02};
constexpr Seconds kLongestPause{1};
constexpr const char* kLatencyBuckets = "http_request_duration_seconds_bucket";

bool joined(const Sent& sent) {
  if (sent.answer.status == 0) return true;
  const auto response = parse_traceparent(sent.answer.traceresponse);
  return !response || response->trace_id == sent.probe.context.trace_id;
}

std::int64_t sum(const std::map<std::string, int>& counts, const std::string& service) {
  const auto found = counts.find(service);
  return found == counts.end() ? 0 : found->second;
}

bool is_trace(const std::vector<Finding>& findings, const std::optional<Trace>& trace) {
  return trace.has_value() && findings.empty();
}

}  // namespace

std::expected<Report, std::string> Verify::run() {
  const auto start = clock_.now();
  if (auto unreachable = choose_dice(); !unreachable.empty()) return std::unexpected(std::move(unreachable));
  read_before();
  if (sources_.logs != nullptr) sources_.logs->mark();
  {
    const auto threads = send();
    collect();
  }
  auto result = report();
  result.seconds = since(start);
  return result;
}

std::string Verify::choose_dice() {
  const auto answer = target_.ask("GET", "/dice", random_context());
  if (answer.status == 0) return answer.error_message.value_or("no answer");
  auto options = options_.probes;
  const auto known = answer.identifiers.value_or(std::vector<std::string>{});
  if (answer.identifiers && std::ranges::find(known, options.risky_die) == known.end()) options.risky_die.clear();
  probes_ = make_probes(options);
  for (auto& probe : probes_) probe.context = random_context();
  return {};
}

void Verify::read_before() {
  if (sources_.metrics == nullptr) return;
  sources_.metrics->settle(clock_, clock_.now() + to_steady(options_.deadline));
  auto reading = sources_.metrics->read();
  if (!reading) return;
  before_ = std::move(*reading);
  give_up_metrics(before_);
}

void Verify::give_up_metrics(const MetricsSource::Reading& reading) {
  if (reading.incomparable.empty()) return;
  not_checked_.push_back("metrics and walk: " + reading.incomparable);
  sources_.metrics = nullptr;
}

std::vector<std::jthread> Verify::send() {
  states_ = std::vector<State>(probes_.size());
  std::vector<std::jthread> threads;
  threads.reserve(probes_.size());
  for (std::size_t i = 0; i < probes_.size(); ++i) {
    threads.emplace_back([this, &probe = probes_[i], &state = states_[i]] {
      state.sent = {probe, target_.ask(probe.method, probe.path, probe.context), {}};
      state.sent.answered = clock_.now();
      state.expected_answer = outcome_of(state.sent) != Came::wrong;
      state.answered = true;
    });
  }
  return threads;
}

bool Verify::all_answered() const {
  return std::ranges::all_of(states_, [](const State& state) { return state.answered.load(); });
}

bool Verify::traces_complete() const {
  return sources_.traces == nullptr ||
         std::ranges::all_of(states_, [](const State& state) { return !state.goes_on() || state.trace_seconds; });
}

bool Verify::complete() const {
  const bool logs = sources_.logs == nullptr || std::ranges::all_of(states_, [](const State& state) {
                      return !state.goes_on() || state.log_seconds;
                    });
  const bool metrics = sources_.metrics == nullptr || (metrics_seconds_ && (walked_ || sources_.traces == nullptr));
  return traces_complete() && logs && metrics;
}

void Verify::collect() {
  auto pause = kFirstPause;
  for (;;) {
    const bool sent = all_answered();
    if (sent) {
      for (const auto& state : states_) last_answer_ = std::max(last_answer_, state.sent.answered);
    }
    const auto deadline = last_answer_ + to_steady(options_.deadline);
    const bool last = sent && clock_.now() >= deadline;
    poll_traces();
    poll_logs();
    if (sent) {
      poll_metrics();
      poll_walk();
      if (complete() || last) return;
      pause = std::min({pause * 1.5, kLongestPause, std::max(Seconds(deadline - clock_.now()), kFirstPause)});
    }
    clock_.sleep(pause, {});
  }
}

void Verify::poll_traces() {
  if (sources_.traces == nullptr) return;
  for (auto& state : states_) {
    if (!state.goes_on() || state.trace_seconds) continue;
    auto trace = sources_.traces->find(state.sent.probe.trace_id());
    trace_trouble_ = trace ? "" : trace.error();
    if (!trace) return;
    if (!*trace) continue;
    state.trace = std::move(*trace);
    state.trace_findings = check_trace(state.sent, *state.trace, options_.clock_skew.count());
    if (state.trace_findings.empty()) state.trace_seconds = since(state.sent.answered);
  }
}

void Verify::poll_logs() {
  if (sources_.logs == nullptr) return;
  std::vector<std::string> ids;
  for (const auto& state : states_) {
    if (state.goes_on() && !state.log_seconds) ids.push_back(state.sent.probe.trace_id());
  }
  if (ids.empty()) return;
  auto lines = sources_.logs->find(ids);
  log_trouble_ = lines ? "" : lines.error();
  if (!lines) return;
  std::map<std::string, std::vector<LogLine>> by_trace;
  for (auto& line : *lines) by_trace[line.trace_id()].push_back(std::move(line));
  for (auto& state : states_) {
    if (!state.goes_on() || state.log_seconds) continue;
    state.lines = std::move(by_trace[state.sent.probe.trace_id()]);
    // A trace that is itself in doubt is no measure of the lines.
    const bool sure = is_trace(state.trace_findings, state.trace);
    state.log_findings = check_logs(state.sent, sure ? &*state.trace : nullptr, state.lines);
    if (state.log_findings.empty() && (sure || sources_.traces == nullptr)) {
      state.log_seconds = since(state.sent.answered);
    }
  }
}

bool Verify::export_required() const {
  if (options_.exported != Options::Export::automatic) return options_.exported == Options::Export::required;
  // With an exporter every span is in one of the three, from its end on; without one they stay 0.
  return std::ranges::any_of(after_.services, [](const auto& service) {
    return std::ranges::any_of(service.second, [](const Series& series) {
      return (series.name == "telemetry_spans_exported_total" || series.name == "telemetry_spans_dropped_total" ||
              series.name == "telemetry_spans_queued") &&
             series.value > 0;
    });
  });
}

void Verify::poll_metrics() {
  if (sources_.metrics == nullptr || metrics_seconds_) return;
  auto reading = sources_.metrics->read();
  metrics_trouble_ = reading ? "" : reading.error();
  if (!reading) return;
  after_ = std::move(*reading);
  give_up_metrics(after_);
  if (sources_.metrics == nullptr) return;
  std::vector<Sent> sent;
  std::map<std::string, Trace> traces;
  for (const auto& state : states_) {
    sent.push_back(state.sent);
    if (is_trace(state.trace_findings, state.trace)) traces[state.sent.probe.trace_id()] = *state.trace;
  }
  metrics_findings_ = check_metrics(sent, traces, before_.services, after_.services,
                                    {.shared = options_.shared, .exported = export_required()});
  if (metrics_findings_.empty() && traces_complete()) metrics_seconds_ = since(last_answer_);
}

std::optional<std::vector<LogLine>> Verify::lines_of(const std::string& trace_id) {
  if (sources_.logs == nullptr) return std::nullopt;
  auto lines = sources_.logs->find({trace_id});
  return lines ? std::move(*lines) : std::vector<LogLine>{};
}

void Verify::poll_walk() {
  if (sources_.metrics == nullptr || sources_.traces == nullptr || walked_) return;
  if (!metrics_seconds_) {  // its exemplars are read with the counters
    walk_findings_ = {{"exemplar of http_request_duration_seconds", "one with the trace id of a request", "none"}};
  }
  std::set<std::string> ours;
  for (const auto& state : states_) ours.insert(state.sent.probe.trace_id());
  for (const auto& [service, all] : after_.services) {
    for (const auto& series : all) {
      if (series.name != kLatencyBuckets || series.label("route") != "/roll-async") continue;
      for (const auto& exemplar : series.exemplars) {
        // Others' exemplars may have taken the place of ours.
        if (!ours.contains(exemplar.trace_id) && !options_.shared) continue;
        const auto trace = sources_.traces->find(exemplar.trace_id);
        walk_trace_ = exemplar.trace_id;
        if (!trace || !*trace) {
          walk_findings_ = {{"trace of an exemplar", exemplar.trace_id, "nothing"}};
          continue;
        }
        walk_findings_ = check_walk(series, exemplar, **trace, lines_of(exemplar.trace_id), after_.services);
        if (walk_findings_.empty()) return void(walked_ = true);
      }
    }
  }
  if (walk_trace_.empty()) {
    walk_findings_ = {{"exemplar of http_request_duration_seconds", "one with the trace id of a request", "none"}};
    metrics_seconds_.reset();  // the next reading may have it
  }
}

Evidence Verify::evidence() const {
  Evidence all;
  all.traces = {.checked = sources_.traces != nullptr, .trouble = trace_trouble_};
  all.logs = {.checked = sources_.logs != nullptr, .trouble = log_trouble_};
  all.metrics = {.checked = sources_.metrics != nullptr, .trouble = metrics_trouble_, .detail = after_.detail};
  if (sources_.traces != nullptr) {
    all.traces.name = sources_.traces->name();
    all.traces.detail = sources_.traces->detail();
  }
  if (sources_.logs != nullptr) {
    all.logs.name = sources_.logs->name();
    all.logs.detail = sources_.logs->detail();
  }
  if (sources_.metrics != nullptr) all.metrics.name = sources_.metrics->name();
  all.export_required = export_required();
  std::set<std::string> ids;
  for (const auto& state : states_) {
    ids.insert(state.sent.probe.trace_id());
    all.traceparent_ignored |= !joined(state.sent);
  }
  for (const std::string name : {kFrontend, kDiceRoller, kDieService}) {
    auto& service = all.services[name];
    for (const auto& state : states_) {
      if (!state.expected_answer) continue;
      std::int64_t spans = 0;
      std::int64_t servers = 0;
      for (const auto& span : expected_spans(state.sent)) {
        spans += span.service == name ? 1 : 0;
        servers += span.service == name && span.kind == SpanKind::server ? 1 : 0;
      }
      service.spans_expected += spans;
      service.requests_expected += static_cast<double>(servers);
      if (state.trace) {
        service.spans_found +=
            std::min(spans, std::int64_t{std::ranges::count(state.trace->spans, name, &TraceSpan::service)});
      }
      const auto lines = sum(expected_lines(state.sent, state.trace ? &*state.trace : nullptr), name);
      service.lines_expected += lines;
      const auto found = std::int64_t{std::ranges::count(state.lines, name, &LogLine::service)};
      service.lines_found += std::min(lines, found);
      service.context_seen |= found > 0;
    }
    const auto metrics = after_.services.find(name);
    service.metrics_found = metrics != after_.services.end();
    if (!service.metrics_found) continue;
    for (const auto& series : metrics->second) {
      for (const auto& exemplar : series.exemplars) service.context_seen |= ids.contains(exemplar.trace_id);
    }
    const auto delta = [&](const char* metric, const std::map<std::string, std::string>& labels = {}) {
      return moved(before_.services, after_.services, name, metric, labels);
    };
    for (const auto* route : {"/roll", "/roll-async", "/dice/{identifier}"}) {
      service.requests_counted += delta("http_requests_total", {{"route", route}});
    }
    service.spans_exported = delta("telemetry_spans_exported_total");
    service.spans_dropped = delta("telemetry_spans_dropped_total");
    for (const auto& series : metrics->second) {
      if (series.name == "telemetry_spans_queued") service.spans_queued += series.value;
    }
  }
  return all;
}

Report Verify::report() {
  Report report;
  report.target = target_.url();
  report.not_checked = not_checked_;
  for (const auto& state : states_) {
    report.cases.push_back(
        {"answers", state.sent.probe.name, state.sent.probe.trace_id(), check_answer(state.sent), 0.0});
  }
  const auto add = [&](const std::string& signal, const auto& findings_of, auto State::* seconds) {
    for (const auto& state : states_) {
      if (!state.expected_answer) continue;  // its answer is the finding
      report.cases.push_back(
          {signal, state.sent.probe.name, state.sent.probe.trace_id(), findings_of(state), state.*seconds});
    }
  };
  if (sources_.traces != nullptr) {
    add(
        "traces",
        [](const State& state) {
          return state.trace ? state.trace_findings : std::vector<Finding>{{"trace", "all its spans", "nothing"}};
        },
        &State::trace_seconds);
  }
  if (sources_.logs != nullptr) add("logs", [](const State& state) { return state.log_findings; }, &State::log_seconds);
  if (sources_.logs != nullptr && !log_trouble_.empty()) {
    report.cases.push_back({"logs", sources_.logs->name(), "", {{"answer", "log lines", log_trouble_}}, std::nullopt});
  }
  if (sources_.metrics != nullptr) {
    auto findings = metrics_findings_;
    if (!metrics_trouble_.empty()) findings.push_back({"answer", "metrics", metrics_trouble_});
    report.cases.push_back({"metrics", "counters, histograms and gauges", "", findings, metrics_seconds_});
    if (sources_.traces != nullptr) {
      report.cases.push_back({"walk", "exemplar, trace, logs, metric", walk_trace_,
                              walked_ ? std::vector<Finding>{} : walk_findings_, metrics_seconds_});
    }
  }
  report.causes = diagnose(evidence());
  return report;
}

}  // namespace dice::loadgen

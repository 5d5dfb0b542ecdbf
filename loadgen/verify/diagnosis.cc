#include "loadgen/verify/diagnosis.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "contract/names.h"

namespace dice::loadgen {
namespace {

using enum CauseId;

using Named = std::pair<std::string, ServiceEvidence>;

std::string list(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < names.size(); ++i) {
    text += (i == 0 ? "" : i + 1 == names.size() ? " and " : ", ") + names[i];
  }
  return text;
}

std::string whole(double value) { return std::to_string(std::llround(value)); }

std::string share(std::int64_t found, std::int64_t expected) {
  return std::to_string(found) + " of " + std::to_string(expected);
}

std::string in_brackets(const std::string& text) { return text.empty() ? "" : " (" + text + ")"; }

/// Whether its metrics did not change, although it had requests.
bool is_stale(const ServiceEvidence& service) {
  return service.metrics_found && service.requests_expected > 0 && service.requests_counted == 0;
}

class Diagnosis {
 public:
  explicit Diagnosis(const Evidence& evidence) : evidence_(evidence) {
    for (const auto* name : {kFrontend.name, kDiceRoller.name, kDieService.name}) {  // in the order of the calls
      const auto found = evidence.services.find(name);
      if (found != evidence.services.end()) services_.emplace_back(*found);
    }
  }

  std::vector<Cause> run() && {
    if (!evidence_.unanswered.empty()) {
      say(signal::kAnswers, unreachable, "the frontend does not answer every request: " + evidence_.unanswered);
    }
    sources();
    if (evidence_.traceparent_ignored) {
      say(signal::kTraces, context_not_propagated,
          "context is not propagated to frontend: its answers do not have the trace id of the traceparent sent");
    }
    metrics();
    exporters();
    traces();
    logs();
    counted();
    return std::move(causes_);
  }

 private:
  void say(const char* about, CauseId id, std::string text) { causes_.push_back({about, id, std::move(text)}); }
  bool said(const std::string& about) const {
    return std::ranges::find(causes_, about, &Cause::signal) != causes_.end();
  }

  template <typename Condition>
  std::vector<std::string> names_where(const Condition& condition) const {
    std::vector<std::string> names;
    for (const auto& [name, service] : services_) {
      if (condition(service)) names.push_back(name);
    }
    return names;
  }

  void sources() {
    const auto unreadable = [this](const char* about, const SourceEvidence& source) {
      if (!source.checked || source.error.empty()) return;
      say(about, source_unreadable, source.name + " cannot be read: " + source.error);
    };
    unreadable(signal::kTraces, evidence_.traces);
    unreadable(signal::kLogs, evidence_.logs);
    unreadable(signal::kMetrics, evidence_.metrics);
  }

  void metrics() {
    if (!evidence_.metrics.checked) return;
    const auto missing = names_where([](const auto& service) { return !service.metrics_found; });
    if (!missing.empty() && evidence_.metrics.error.empty()) {
      say(signal::kMetrics, scrape_missing,
          "a scrape is missing: no metrics of " + list(missing) + " in " + evidence_.metrics.name +
              in_brackets(evidence_.metrics.detail));
    }
    const auto still = names_where(is_stale);
    if (!still.empty()) {
      say(signal::kMetrics, scrape_stale,
          "a scrape is stale: the metrics of " + list(still) + " in " + evidence_.metrics.name + " do not change");
    }
  }

  void exporters() {
    if (!evidence_.metrics.checked) return;
    const auto dropping = names_where([](const auto& service) { return service.spans_dropped > 0; });
    const auto waiting = names_where([](const auto& service) { return service.spans_queued > 0; });
    double dropped = 0;
    double exported = 0;
    double exported_lately = 0;
    double queued = 0;
    for (const auto& [name, service] : services_) {
      dropped += service.spans_dropped;
      exported += service.spans_exported;
      exported_lately += service.spans_exported_lately;
      queued += service.spans_queued;
    }
    if (!dropping.empty() && exported == 0) {
      say(signal::kTraces, CauseId::collector_down,
          "the collector is down or rejects spans: " + list(dropping) + " could not deliver " + whole(dropped) +
              " spans and delivered none (telemetry_spans_dropped_total)");
      collector_down_ = true;
    } else if (!dropping.empty()) {
      say(signal::kTraces, CauseId::spans_dropped,
          "spans are dropped: " + list(dropping) + " could not deliver " + whole(dropped) + " spans, while " +
              whole(exported) + " were delivered (telemetry_spans_dropped_total)");
    } else if (!waiting.empty() && exported == 0) {
      say(signal::kTraces, CauseId::collector_down,
          "the collector is down or does not respond: " + whole(queued) + " spans are queued in " + list(waiting) +
              " and none was delivered (telemetry_spans_queued)");
      collector_down_ = true;
    } else if (!waiting.empty() && exported_lately == 0 && !count_of(signal::kTraces).complete()) {
      // It went down after the first spans were delivered.
      say(signal::kTraces, CauseId::collector_down,
          "the collector is down or does not respond any more: " + whole(queued) + " spans are queued in " +
              list(waiting) + " and none was delivered lately (telemetry_spans_queued)");
      collector_down_ = true;
    }
    if (!evidence_.export_required || collector_down_) return;
    const auto silent = names_where([](const auto& service) {
      return service.metrics_found && !is_stale(service) && service.spans_expected > 0 &&
             service.spans_exported + service.spans_dropped == 0;
    });
    if (!silent.empty()) {
      say(signal::kTraces, spans_not_exported,
          list(silent) + (silent.size() == 1 ? " does" : " do") +
              " not export spans: telemetry_spans_exported_total does not increase (check OTEL_TRACES_EXPORTER and "
              "OTEL_SDK_DISABLED)");
      silent_ = silent;
    }
  }

  bool is_silent(const std::string& name) const { return std::ranges::find(silent_, name) != silent_.end(); }

  void traces() {
    if (!evidence_.traces.checked || !evidence_.traces.error.empty() || evidence_.traceparent_ignored) return;
    if (collector_down_) return;
    const auto& source = evidence_.traces.name;
    const auto has_none = [](const auto& service) { return service.spans_expected > 0 && service.spans_found == 0; };
    if (std::ranges::all_of(services_, [&](const Named& one) { return has_none(one.second); })) {
      if (silent_.size() == services_.size()) return;
      return say(signal::kTraces, no_spans,
                 "no span of any service reaches " + source +
                     ": check that they are recorded (OTEL_SDK_DISABLED, OTEL_TRACES_SAMPLER), exported and forwarded");
    }
    bool context_arrives = true;
    for (const auto& [name, service] : services_) {
      const auto& caller = name == kDieService.name ? kDiceRoller.name : kFrontend.name;
      if (has_none(service)) {
        if (is_silent(name)) continue;
        if (service.context_seen) {
          say(signal::kTraces, spans_not_exported,
              name + " does not export its spans: none of its " + std::to_string(service.spans_expected) +
                  " spans is in " + source + ", although its logs or exemplars have the trace ids");
        } else if (service.requests_counted > 0 && context_arrives) {
          say(signal::kTraces, context_not_propagated,
              std::string("context is not propagated from ") + caller + " to " + name + ": " + name +
                  " answered the requests, but none of its telemetry has their trace ids");
          context_arrives = false;
        } else if (context_arrives) {
          say(signal::kTraces, no_spans,
              "no span of " + name + " is in " + source +
                  ": its exporter is disabled, or it does not receive the context");
        }
      } else if (service.spans_found + service.spans_of_lost_traces < service.spans_expected) {
        say(signal::kTraces, spans_lost,
            "spans are lost: only " + share(service.spans_found, service.spans_expected) + " spans of " + name +
                " are in " + source + in_brackets(evidence_.traces.detail));
      }
    }
    context_broken_ = !context_arrives;
    if (evidence_.traces_lost == 0) return;
    say(signal::kTraces, CauseId::traces_lost,
        "traces are lost: " + share(evidence_.traces_lost, evidence_.traces_expected) + " are not in " + source +
            " at all: sampled away, or lost in one piece" + in_brackets(evidence_.traces.detail));
  }

  void logs() {
    if (!evidence_.logs.checked || !evidence_.logs.error.empty() || evidence_.traceparent_ignored) return;
    const auto& source = evidence_.logs.name;
    const auto has_none = [](const Named& one) { return one.second.lines_expected > 0 && one.second.lines_found == 0; };
    if (std::ranges::all_of(services_, has_none)) {
      if (collector_down_) {
        return say(signal::kLogs, CauseId::collector_down,
                   source + " is not getting logs either: they are shipped by the collector");
      }
      return say(signal::kLogs, no_logs,
                 source + " is not getting logs: it can be read, but has no line of any request" +
                     in_brackets(evidence_.logs.detail));
    }
    for (const auto& one : services_) {
      const auto& [name, service] = one;
      if (has_none(one)) {
        if (context_broken_ && !service.context_seen) continue;
        say(signal::kLogs, no_logs,
            source + " is not getting the logs of " + name + ": none of its " + std::to_string(service.lines_expected) +
                " lines has arrived");
      } else if (service.lines_found < service.lines_expected) {
        say(signal::kLogs, lines_lost,
            "log lines are lost: only " + share(service.lines_found, service.lines_expected) + " lines of " + name +
                " are in " + source);
      }
    }
  }

  Counts count_of(const char* about) const {
    const auto found = evidence_.counts.find(about);
    return found == evidence_.counts.end() ? Counts{} : found->second;
  }

  /// What the counts say: what arrived twice or differs, whatever else is missing.
  void counted() {
    if (const auto counts = count_of(signal::kMetrics); counts.missing > 0 && !said(signal::kMetrics)) {
      say(signal::kMetrics, scrape_stale,
          "counters are too low: " + share(counts.missing, counts.expected) + " in " + evidence_.metrics.name +
              " increased by less than the requests sent" + in_brackets(evidence_.metrics.detail));
    }
    const auto several = [this](const char* about, const char* items, const std::string& source) {
      const auto number = count_of(about).duplicated;
      if (number > 0)
        say(about, duplicated, std::to_string(number) + " " + items + " arrived more than once in " + source);
    };
    several(signal::kTraces, "spans", evidence_.traces.name);
    several(signal::kLogs, "log lines", evidence_.logs.name);
    const auto differ = [this](const char* about, const char* items) {
      const auto number = count_of(about).wrong;
      if (number > 0) say(about, wrong, std::to_string(number) + " " + items + " differ from what was expected");
    };
    differ(signal::kAnswers, "answers");
    differ(signal::kTraces, "spans");
    differ(signal::kLogs, "log lines");
    differ(signal::kMetrics, "counters");
    differ(signal::kCorrelation, "links from an exemplar to its trace, log lines and metric");
  }

  const Evidence& evidence_;
  std::vector<Named> services_;
  std::vector<Cause> causes_;
  std::vector<std::string> silent_;
  bool collector_down_ = false;
  bool context_broken_ = false;
};

}  // namespace

std::vector<Cause> diagnose(const Evidence& evidence) { return Diagnosis(evidence).run(); }

}  // namespace dice::loadgen

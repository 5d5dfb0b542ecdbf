#include <algorithm>
#include <set>

#include "loadgen/verify/checks.h"

namespace dice::loadgen {
namespace {

/// Maximum clock error between two spans of one process: start and end are read from different clocks.
constexpr double kSameServiceSkew = 0.001;
/// On a loaded machine, a roll shorter than this may end before its last sibling starts.
constexpr double kShortRoll = 0.1;

bool rolled(const Sent& sent) {
  const auto outcome = outcome_of(sent);
  return sent.probe.wants == Probe::Wants::batch && (outcome == Outcome::good || outcome == Outcome::roll_failed);
}

const char* name_of(SpanKind kind) {
  switch (kind) {
    case SpanKind::internal: return "INTERNAL";
    case SpanKind::server: return "SERVER";
    case SpanKind::client: break;
  }
  return "CLIENT";
}

std::string describe(const ExpectedSpan& span) {
  const auto kind = span.kind == SpanKind::internal ? std::string() : name_of(span.kind) + std::string(" ");
  return kind + span.name + " of " + span.service;
}

std::string seconds(double value) {
  auto text = std::to_string(value);
  return text + " s";
}

template <typename Value>
std::string shown(const std::optional<Value>& value) {
  if constexpr (std::is_same_v<Value, bool>) return !value ? "nothing" : *value ? "true" : "false";
  else if constexpr (std::is_same_v<Value, std::string>) return value.value_or("nothing");
  else return value ? std::to_string(*value) : "nothing";
}

bool incomplete(const std::vector<const TraceSpan*>& spans) { return std::ranges::find(spans, nullptr) != spans.end(); }

/// Compares the expected spans with those found.
class TraceCheck {
 public:
  TraceCheck(const Sent& sent, const Trace& trace, double clock_skew)
      : sent_(sent), trace_(trace), clock_skew_(clock_skew), expected_(expected_spans(sent)) {}

  std::vector<Finding> run() && {
    identities();
    match();
    if (trace_.complete == false && findings_.empty()) {
      findings_.add("complete", "true", "false", Finding::Kind::missing);
    }
    for (std::size_t i = 0; i < expected_.size(); ++i) {
      if (found_[i] == nullptr) continue;
      findings_.about(found_[i]->id);
      relation(i);
      if (expected_[i].kind != SpanKind::internal) http(i);
    }
    if (rolled(sent_)) batch();
    return std::move(findings_).take();
  }

 private:
  void identities() {
    std::set<std::string_view> ids;
    for (const auto& span : trace_.spans) {
      findings_.about(span.id);
      findings_.require("trace id of " + loadgen::describe(span), sent_.probe.trace_id(), span.trace_id);
      if (!ids.insert(span.id).second) {
        findings_.add("span id of " + loadgen::describe(span), "unique", span.id + " twice", Finding::Kind::duplicated);
      }
    }
  }

  bool fits(const ExpectedSpan& expected, const TraceSpan& span, int strictness) const {
    // By the conventions, the name of a client span may or may not contain the route.
    const bool name = span.name == expected.name || (expected.kind == SpanKind::client &&
                                                     span.name == expected.name.substr(0, expected.name.find(' ')));
    return name && (strictness < 1 || span.service == expected.service) &&
           (strictness < 2 || span.kind == expected.kind);
  }

  void match() {
    found_.assign(expected_.size(), nullptr);
    std::set<const TraceSpan*> taken;
    for (const int strictness : {2, 1, 0}) {
      for (std::size_t i = 0; i < expected_.size(); ++i) {
        if (found_[i] != nullptr) continue;
        for (const auto& span : trace_.spans) {
          if (taken.contains(&span) || !fits(expected_[i], span, strictness)) continue;
          found_[i] = &span;
          taken.insert(&span);
          break;
        }
      }
    }
    for (std::size_t i = 0; i < expected_.size(); ++i) {
      if (found_[i] == nullptr) {
        findings_.about("");
        findings_.add("span is missing", describe(expected_[i]), "nothing", Finding::Kind::missing);
        continue;
      }
      findings_.about(found_[i]->id);
      findings_.require("service of " + expected_[i].name, expected_[i].service, found_[i]->service);
      findings_.require("kind of " + expected_[i].name + " of " + expected_[i].service, name_of(expected_[i].kind),
                        found_[i]->kind ? name_of(*found_[i]->kind) : "another");
    }
    for (const auto& span : trace_.spans) {
      if (taken.contains(&span)) continue;
      // What looks like a span that is there already is a copy of it.
      const bool copy =
          std::ranges::any_of(expected_, [&](const ExpectedSpan& expected) { return fits(expected, span, 2); });
      findings_.about(span.id);
      findings_.add("unexpected span", "nothing", loadgen::describe(span),
                    copy ? Finding::Kind::duplicated : Finding::Kind::wrong);
    }
    if (trace_.spans.size() != expected_.size()) {
      findings_.add("number of spans", std::to_string(expected_.size()), std::to_string(trace_.spans.size()),
                    Finding::Kind::consequence);
    }
  }

  void relation(std::size_t i) {
    const auto& span = *found_[i];
    const auto what = loadgen::describe(span);
    if (span.end_nanoseconds < span.start_nanoseconds) {
      findings_.add("clock order of " + what, "an end after the start", seconds(span.seconds()));
    }
    if (i == 0) {
      return findings_.require("parent of " + what + " (the traceparent sent)", to_hex(sent_.probe.context.span_id),
                               span.parent);
    }
    const auto* wanted = found_[expected_[i].parent];
    const auto* parent = trace_.find(span.parent);
    if (parent == nullptr) {
      // A missing parent is already a finding.
      if (wanted != nullptr) findings_.add("parent of " + what, loadgen::describe(*wanted), "an orphan");
      return;
    }
    if (wanted == nullptr) return;
    if (parent != wanted) {
      return findings_.add("parent of " + what, loadgen::describe(*wanted), loadgen::describe(*parent));
    }
    const auto allowed = parent->service == span.service ? kSameServiceSkew : clock_skew_;
    const auto early = static_cast<double>(parent->start_nanoseconds - span.start_nanoseconds) / 1e9;
    const auto late = static_cast<double>(span.end_nanoseconds - parent->end_nanoseconds) / 1e9;
    if (early > allowed) {
      findings_.add("clock order of " + what, "a start not before its parent's", seconds(early) + " before it");
    }
    if (late > allowed) {
      findings_.add("clock order of " + what, "an end not after its parent's", seconds(late) + " after it");
    }
  }

  void http(std::size_t i) {
    const auto& span = *found_[i];
    const auto what = loadgen::describe(span);
    const bool server = expected_[i].kind == SpanKind::server;
    const bool die = expected_[i].name.ends_with(route::kDie);
    const int status = die && outcome_of(sent_) != Outcome::no_die ? 200 : sent_.answer.status;
    findings_.require("http.response.status_code of " + what, std::to_string(status),
                      shown(span.integer(attribute::kStatus)));
    findings_.require("http.request.method of " + what, sent_.probe.method, shown(span.text(attribute::kMethod)));
    const bool error = status >= (server ? 500 : 400);
    if (span.error != error) {
      findings_.add("status of " + what, error ? "ERROR" : "not ERROR", span.error ? "ERROR" : "not ERROR");
    }
    if (error && !span.text(attribute::kErrorType)) findings_.add("error.type of " + what, "a string", "nothing");
    if (!server) return;
    if (!span.text("url.path")) findings_.add("url.path of " + what, "a string", "nothing");
    if (sent_.probe.route != route::kUnmatched) {
      findings_.require("http.route of " + what, die ? route::kDie : sent_.probe.route,
                        shown(span.text(attribute::kRoute)));
    }
  }

  void batch() {
    const auto& request = sent_.probe.request;
    const auto* server = found_[2];
    const auto times = static_cast<std::size_t>(sent_.probe.times());
    const std::vector<const TraceSpan*> rolls(found_.end() - sent_.probe.times(), found_.end());
    findings_.about(server == nullptr ? "batch" : server->id);
    if (server != nullptr) {
      findings_.require("die.type of the batch", request.die, shown(server->text(attribute::kDieType)));
      findings_.require("async.batch_size", std::to_string(times), shown(server->integer(attribute::kBatchSize)));
      const auto strategy = server->text(attribute::kStrategy);
      if (request.strategy || !strategy) {
        const auto wanted = request.strategy ? std::string(name_of(*request.strategy)) : "a string";
        findings_.require("async.strategy", wanted, shown(strategy));
      }
      if (sent_.answer.succeeded()) {
        findings_.require("async.total_result", shown(sent_.answer.total),
                          shown(server->integer(attribute::kTotalResult)));
      }
    }
    for (std::size_t index = 0; index < times; ++index) {
      if (rolls[index] != nullptr) roll(index, *rolls[index], server);
    }
    values(rolls);
    overlap(rolls);
  }

  void roll(std::size_t index, const TraceSpan& span, const TraceSpan* server) {
    findings_.about(span.id);
    findings_.require("async.roll_index of " + span.name, std::to_string(index),
                      shown(span.integer(attribute::kRollIndex)));
    findings_.require("die.type of " + span.name, sent_.probe.request.die, shown(span.text(attribute::kDieType)));
    const bool cancelled = span.boolean(attribute::kDieCancelled).value_or(false);
    if (cancelled) return;
    const bool failed = span.boolean(attribute::kDieError).value_or(false);
    if (failed != span.error) {
      findings_.add("status of " + span.name, failed ? "ERROR, as die.error says" : "not ERROR, as die.error says",
                    span.error ? "ERROR" : "not ERROR");
    }
    if (server == nullptr) return;
    const auto events = std::ranges::count_if(server->events, [&](const TraceSpan::Event& event) {
      const auto found = event.attributes.find(attribute::kRollIndex);
      return found != event.attributes.end() &&
             found->second == Attributes::mapped_type(static_cast<std::int64_t>(index));
    });
    findings_.require("events for " + span.name, 1, events);
  }

  /// Compares the rolls' spans with the response.
  void values(const std::vector<const TraceSpan*>& rolls) {
    const auto& answer = sent_.answer;
    const bool every_roll_failed = all_failed(sent_);
    std::set<std::int64_t> failed;
    if (answer.failed) {
      for (const auto& one : *answer.failed) failed.insert(one.index);
    }
    // With first-success, only the trace shows which roll ended the batch.
    const bool may_be_cancelled = answer.succeeded() && sent_.probe.until() == StrategyRow::Until::success;
    std::size_t next = 0;
    int failures = 0;
    for (std::size_t index = 0; index < rolls.size(); ++index) {
      const auto* span = rolls[index];
      const bool cancelled = span != nullptr && span->boolean(attribute::kDieCancelled) == true;
      const bool should_fail = every_roll_failed || failed.contains(static_cast<std::int64_t>(index));
      if (may_be_cancelled && !should_fail && (span == nullptr || cancelled)) continue;
      std::string wanted;
      if (answer.rolls && !should_fail && next < answer.rolls->size()) wanted = std::to_string((*answer.rolls)[next++]);
      if (span == nullptr) continue;
      findings_.about(span->id);
      const auto error = span->boolean(attribute::kDieError);
      if (error == true) ++failures;
      if (answer.succeeded() || every_roll_failed) {
        findings_.require("die.error of " + span->name, should_fail ? "true" : "false", shown(error));
      } else if (error == false && !span->integer(attribute::kDieResult)) {
        findings_.add("die.result of " + span->name, "a whole number", "nothing");
      }
      if (!wanted.empty()) {
        findings_.require("die.result of " + span->name, wanted, shown(span->integer(attribute::kDieResult)));
      } else if (may_be_cancelled && !should_fail) {
        findings_.add("die.cancelled of " + span->name, "true, because another roll ended the batch", "nothing");
      }
    }
    findings_.about("batch");
    if (may_be_cancelled && next == 0 && !incomplete(rolls)) {
      findings_.add("die.result of the rolls", "set by the roll that ended the batch", "none");
    }
    if (!answer.succeeded() && failures == 0 && !incomplete(rolls)) {
      findings_.add("die.error of the rolls of a failed batch", "true for at least one", "none");
    }
  }

  void overlap(const std::vector<const TraceSpan*>& rolls) {
    if (incomplete(rolls)) return;
    const auto times = sent_.probe.times();
    const auto threads = static_cast<std::size_t>(std::min(sent_.probe.request.concurrency.value_or(times), times));
    const auto concurrent = max_overlap(rolls);
    const auto what = "maximum number of concurrent rolls";
    if (concurrent > threads) return findings_.require(what, threads, concurrent);
    const auto stopped_early = [](const TraceSpan* span) {
      return span->boolean(attribute::kDieCancelled).value_or(false);
    };
    if (std::ranges::any_of(rolls, stopped_early)) return;
    const auto short_ones = static_cast<std::size_t>(
        std::ranges::count_if(rolls, [](const TraceSpan* span) { return span->seconds() < kShortRoll; }));
    const auto min_overlap = std::min(threads, rolls.size() - short_ones);
    if (concurrent < min_overlap) findings_.require(what, threads, concurrent);
  }

  const Sent& sent_;
  const Trace& trace_;
  const double clock_skew_;
  const std::vector<ExpectedSpan> expected_;
  /// By position in `expected_`; null if missing.
  std::vector<const TraceSpan*> found_;
  Findings findings_;
};

}  // namespace

std::vector<ExpectedSpan> expected_spans(const Sent& sent) {
  const auto& probe = sent.probe;
  const auto name = probe.route == route::kUnmatched ? probe.method : probe.method + " " + probe.route;
  std::vector<ExpectedSpan> spans = {{kFrontend.name, name, SpanKind::server, 0}};
  if (!reached_roller(sent)) return spans;
  const auto die = std::string("GET ") + route::kDie;
  spans.push_back({kFrontend.name, name, SpanKind::client, 0});
  spans.push_back({kDiceRoller.name, name, SpanKind::server, 1});
  spans.push_back({kDiceRoller.name, die, SpanKind::client, 2});
  spans.push_back({kDieService.name, die, SpanKind::server, 3});
  if (!rolled(sent)) return spans;
  for (int i = 0; i < probe.times(); ++i) {
    spans.push_back({kDiceRoller.name, std::string(kRollSpanPrefix) + std::to_string(i), SpanKind::internal, 2});
  }
  return spans;
}

std::vector<Finding> check_trace(const Sent& sent, const Trace& trace, double clock_skew_seconds) {
  return TraceCheck(sent, trace, clock_skew_seconds).run();
}

std::int64_t RollCounts::successes() const {
  std::int64_t all = 0;
  for (const auto& [value, count] : succeeded) all += count;
  return all;
}

std::optional<RollCounts> roll_counts(const Sent& sent, const Trace* trace) {
  RollCounts counts;
  const auto& answer = sent.answer;
  if (sent.probe.wants == Probe::Wants::roll) {
    answer.roll ? void(++counts.succeeded[*answer.roll]) : void(++counts.failed);
    return counts;
  }
  if (answer.succeeded() && has_all_rolls(sent)) {
    for (const auto value : answer.rolls.value_or(std::vector<std::int64_t>{})) ++counts.succeeded[value];
    if (answer.failed) counts.failed = static_cast<std::int64_t>(answer.failed->size());
    return counts;
  }
  if (all_failed(sent)) {
    counts.failed = sent.probe.times();
    return counts;
  }
  if (trace == nullptr) return std::nullopt;
  for (const auto* span : trace->rolls()) {
    if (span->boolean(attribute::kDieCancelled).value_or(false)) ++counts.cancelled;
    else if (span->boolean(attribute::kDieError).value_or(false)) ++counts.failed;
    else ++counts.succeeded[span->integer(attribute::kDieResult).value_or(0)];
  }
  return counts;
}

}  // namespace dice::loadgen

#include <algorithm>
#include <numeric>
#include <set>

#include "loadgen/verify/checks.h"

namespace dice::loadgen {
namespace {

constexpr const char* kNothing = "nothing";

std::string shown(const std::optional<std::string>& value) { return value.value_or(kNothing); }
std::string shown(const std::optional<std::int64_t>& value) { return value ? std::to_string(*value) : kNothing; }

std::string wanted_status(const Probe& probe) {
  using Wants = Probe::Wants;
  switch (probe.wants) {
    case Wants::list: return "200";
    case Wants::roll: return probe.may_fail ? "200, or 500 roll_failed" : "200";
    case Wants::batch: return probe.may_fail ? "200, or 500 batch_failed" : "200";
    case Wants::unknown_die: return "404 die_not_found";
    case Wants::bad_parameter: return "400 invalid_parameter";
    case Wants::unknown_path: return "404 not_found";
    case Wants::wrong_method: break;
  }
  return "405 method_not_allowed";
}

void check_failed_rolls(const Sent& sent, Findings& findings) {
  const auto& [probe, answer, answered] = sent;
  if (!answer.failed) return;
  if (!probe.may_fail) findings.add("failed", "absent: this die does not fail", "present");
  if (probe.until() == StrategyRow::Until::failure) {
    findings.add("failed", "absent when the first failure ends the batch", "present");
  }
  std::set<std::int64_t> indexes;
  for (const auto& [index, error] : *answer.failed) {
    findings.require("failed[].error", "roll_failed", error);
    if (index < 0 || index >= probe.times() || !indexes.insert(index).second) {
      findings.add("failed[].index", "each from 0 to " + std::to_string(probe.times() - 1) + " at most once",
                   std::to_string(index));
    }
  }
}

void check_batch(const Sent& sent, Findings& findings) {
  const auto& [probe, answer, answered] = sent;
  if (!answer.rolls) return findings.add("rolls", "a list of whole numbers", kNothing);
  const auto failed = answer.failed ? answer.failed->size() : 0;
  if (probe.until() == StrategyRow::Until::success) {
    findings.require("number of rolls", 1, answer.rolls->size());
  } else {
    findings.require("rolls and failed together", probe.times(), answer.rolls->size() + failed);
  }
  findings.require("count", std::to_string(answer.rolls->size()), shown(answer.count));
  const auto sum = std::accumulate(answer.rolls->begin(), answer.rolls->end(), std::int64_t{0});
  findings.require("total (the sum of the rolls)", std::to_string(sum), shown(answer.total));
  check_failed_rolls(sent, findings);
}

}  // namespace

std::vector<Finding> check_answer(const Sent& sent) {
  const auto& [probe, answer, answered] = sent;
  Findings findings;
  if (answer.status == 0 || outcome_of(sent) == Outcome::wrong) {
    findings.add("status", wanted_status(probe), answer.outcome(),
                 answer.status == 0 ? Finding::Kind::missing : Finding::Kind::wrong);
    return std::move(findings).take();
  }
  if (!answer.is_json_object) findings.add("body", "a JSON object", "something else");

  const auto traceresponse = parse_traceparent(answer.traceresponse);
  const auto require_trace_id = [&](const char* what, const std::string& found) {
    // Another id means that the frontend did not get ours, which is a cause of its own.
    if (found != probe.trace_id()) {
      findings.add(what, probe.trace_id(), found,
                   found == kNothing ? Finding::Kind::wrong : Finding::Kind::consequence);
    }
  };
  require_trace_id("trace id of the header traceresponse (must be that of the traceparent sent)",
                   traceresponse ? to_hex(traceresponse->trace_id) : kNothing);
  const bool is_error = !answer.succeeded();
  if (is_error || probe.wants == Probe::Wants::roll || probe.wants == Probe::Wants::batch) {
    require_trace_id("trace_id (must be that of the traceparent sent)", shown(answer.trace_id));
  }
  if (is_error) {
    if (answer.error_message.value_or("").empty()) findings.add("error.message", "a string", kNothing);
    if (!probe.parameter.empty() && !answer.error_message.value_or("").contains(probe.parameter)) {
      findings.add("error.message", "names " + probe.parameter, shown(answer.error_message));
    }
    if (probe.wants == Probe::Wants::wrong_method && !answer.allow.contains("GET")) {
      findings.add("header Allow", "GET", answer.allow.empty() ? kNothing : answer.allow);
    }
  } else if (probe.wants == Probe::Wants::list) {
    if (!answer.identifiers || answer.identifiers->empty()) findings.add("identifiers", "a list of names", kNothing);
  } else if (probe.wants == Probe::Wants::roll) {
    if (!answer.roll) findings.add("roll", "a whole number", kNothing);
  } else {
    check_batch(sent, findings);
  }
  return std::move(findings).take();
}

}  // namespace dice::loadgen

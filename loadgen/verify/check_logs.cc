#include <algorithm>
#include <regex>
#include <set>

#include "common/base/json.h"
#include "contract/log_message.h"
#include "loadgen/verify/checks.h"

namespace dice::loadgen {
namespace {

using Fields = std::map<std::string, std::string>;

struct ExpectedLine {
  std::string service;
  /// Required values; other fields are not checked.
  Fields fields;
  /// The span that it belongs to, if known.
  std::string span_id = {};
};

const std::string kStarted(text_of(LogMessage::batch_started));
const std::string kRoll(text_of(LogMessage::roll_completed));
const std::string kCompleted(text_of(LogMessage::batch_completed));
const std::string kFailed(text_of(LogMessage::batch_failed));

bool is_access_line(const LogLine& line) { return line.fields.contains("route") && line.fields.contains("status"); }

bool is_named_by_contract(const LogLine& line) {
  const auto message = line.message();
  return is_access_line(line) || message == kStarted || message == kRoll || message == kCompleted || message == kFailed;
}

std::string describe(const ExpectedLine& line) {
  std::string text = line.service;
  for (const auto& [key, value] : line.fields) text += " " + key + "=" + value;
  return text;
}

std::string describe(const LogLine& line) {
  auto text = line.service() + " " + line.message();
  for (const auto* key : {"route", "status", "roll_index", "roll_value", "total", "rolls"}) {
    if (const auto value = line.field(key); !value.empty()) text += std::string(" ") + key + "=" + value;
  }
  return text;
}

template <typename List>
std::string json_list(const List& values) {
  rapidjson::StringBuffer buffer;
  JsonWriter writer(buffer);
  write_value(writer, values);
  return {buffer.GetString(), buffer.GetSize()};
}

const TraceSpan* server_span(const Trace* trace, const std::string& service) {
  if (trace == nullptr) return nullptr;
  const auto found = std::ranges::find_if(
      trace->spans, [&](const TraceSpan& span) { return span.service == service && span.kind == SpanKind::server; });
  return found == trace->spans.end() ? nullptr : &*found;
}

std::string id_of(const TraceSpan* span) { return span == nullptr ? std::string() : span->id; }

ExpectedLine access_line(const std::string& service, const std::string& route, int status, const Trace* trace) {
  return {service, {{"route", route}, {"status", std::to_string(status)}}, id_of(server_span(trace, service))};
}

/// For a roll that succeeded.
ExpectedLine roll_line(const std::string& die, std::int64_t index, std::int64_t value, const std::string& span_id) {
  return {kDiceRoller.name,
          {{"message", kRoll},
           {"die_type", die},
           {"roll_index", std::to_string(index)},
           {"roll_value", std::to_string(value)}},
          span_id};
}

/// False if the successful rolls are not known.
bool add_roll_lines(const Sent& sent, const Trace* trace, std::vector<ExpectedLine>& lines) {
  const auto& die = sent.probe.request.die;
  if (trace != nullptr) {
    for (const auto* span : trace->rolls()) {
      const auto value = span->integer(attribute::kDieResult);
      if (!value || span->error) continue;
      lines.push_back(roll_line(die, span->integer(attribute::kRollIndex).value_or(-1), *value, span->id));
    }
    return true;
  }
  if (!has_all_rolls(sent)) return false;
  std::set<std::int64_t> failed;
  for (const auto& one : sent.answer.failed.value_or(std::vector<Answer::Failed>{})) failed.insert(one.index);
  std::int64_t index = 0;
  for (const auto value : sent.answer.rolls.value_or(std::vector<std::int64_t>{})) {
    while (failed.contains(index)) ++index;
    lines.push_back(roll_line(die, index++, value, {}));
  }
  return true;
}

struct Expectation {
  std::vector<ExpectedLine> lines;
  bool roll_lines_known = true;
};

Expectation expect(const Sent& sent, const Trace* trace) {
  const auto& [probe, answer, answered] = sent;
  Expectation expectation;
  auto& lines = expectation.lines;
  const auto outcome = outcome_of(sent);
  if (outcome == Outcome::wrong) return expectation;
  lines.push_back(access_line(kFrontend.name, probe.route, answer.status, trace));
  if (!reached_roller(sent)) return expectation;
  lines.push_back(access_line(kDiceRoller.name, probe.route, answer.status, trace));
  lines.push_back(access_line(kDieService.name, route::kDie, outcome == Outcome::no_die ? 404 : 200, trace));
  if (probe.wants != Probe::Wants::batch) return expectation;

  const auto times = std::to_string(probe.times());
  const auto batch = id_of(server_span(trace, kDiceRoller.name));
  lines.push_back({kDiceRoller.name, {{"message", kStarted}}, batch});
  expectation.roll_lines_known = add_roll_lines(sent, trace, lines);
  if (answer.succeeded()) {
    lines.push_back({kDiceRoller.name,
                     {{"message", kCompleted},
                      {"die_type", probe.request.die},
                      {"times", times},
                      {"total", std::to_string(answer.total.value_or(0))},
                      {"rolls", json_list(answer.rolls.value_or(std::vector<std::int64_t>{}))}},
                     batch});
  } else {
    lines.push_back({kDiceRoller.name, {{"message", kFailed}, {"level", "ERROR"}}, batch});
  }
  return expectation;
}

bool fits(const ExpectedLine& expected, const LogLine& line) {
  return line.service() == expected.service && std::ranges::all_of(expected.fields, [&](const auto& field) {
           return line.field(field.first) == field.second;
         });
}

void check_form(const LogLine& line, const Trace* trace, Findings& findings) {
  static const std::regex kTimestamp(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z)");
  if (!std::regex_match(line.field("timestamp"), kTimestamp)) {
    findings.add("timestamp of " + describe(line), "RFC 3339, UTC, microseconds", line.field("timestamp"));
  }
  for (const auto* name : {"level", "message", "logger", "service"}) {
    if (line.field(name).empty()) findings.add(std::string(name) + " of " + describe(line), "a string", "nothing");
  }
  if (trace != nullptr && trace->find(line.span_id()) == nullptr) {
    findings.add("span_id of " + describe(line), "a span of its trace",
                 line.span_id().empty() ? "nothing" : line.span_id());
  }
}

}  // namespace

std::map<std::string, int> expected_lines(const Sent& sent, const Trace* trace) {
  std::map<std::string, int> counts;
  for (const auto& line : expect(sent, trace).lines) ++counts[line.service];
  return counts;
}

std::vector<Finding> check_logs(const Sent& sent, const Trace* trace, const std::vector<LogLine>& lines) {
  const auto [expected, roll_lines_known] = expect(sent, trace);
  Findings findings;
  const auto place = [&lines](const LogLine& line) { return "line " + std::to_string(&line - lines.data()); };
  std::set<const LogLine*> taken;
  for (const auto& one : expected) {
    const auto found =
        std::ranges::find_if(lines, [&](const LogLine& line) { return !taken.contains(&line) && fits(one, line); });
    if (found == lines.end()) {
      findings.about("");
      findings.add("log line is missing", describe(one), "nothing", Finding::Kind::missing);
      continue;
    }
    taken.insert(&*found);
    findings.about(place(*found));
    if (!one.span_id.empty()) findings.require("span_id of " + describe(*found), one.span_id, found->span_id());
  }
  for (const auto& line : lines) {
    findings.about(place(line));
    check_form(line, trace, findings);
    if (taken.contains(&line) || !is_named_by_contract(line)) continue;
    if (line.message() == kRoll && !roll_lines_known) continue;
    const bool again = std::ranges::any_of(taken, [&](const LogLine* one) { return one->fields == line.fields; });
    findings.add("unexpected log line", "nothing", describe(line) + (again ? " (duplicate)" : ""),
                 again ? Finding::Kind::duplicated : Finding::Kind::wrong);
  }
  return std::move(findings).take();
}

}  // namespace dice::loadgen

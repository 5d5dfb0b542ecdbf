#include "tampered_system.h"

#include <doctest/doctest.h>
#include <rapidjson/document.h>

#include <algorithm>
#include <fstream>
#include <regex>
#include <sstream>

#include "common/base/json.h"
#include "common/base/json_view.h"
#include "common/http/message.h"
#include "contract/names.h"
#include "loadgen/model/series.h"
#include "support/wait.h"

namespace dice::loadgen::test {
namespace {

using dice::test::forward;
using dice::test::Reply;
using dice::test::RunningService;
using dice::test::target_of;
using dice::test::Variables;
using rapidjson::Document;
using rapidjson::Value;
using Kind = RunningService::Kind;

Reply not_found() { return {.status = 404, .headers = {}, .body = "{}"}; }
Reply json(std::string body) { return {.status = 200, .headers = {}, .body = std::move(body)}; }

/// Replaces the first `what` in `text` with `by`.
void replace(std::string& text, const std::string& what, const std::string& by) {
  if (const auto at = text.find(what); at != std::string::npos) text.replace(at, what.size(), by);
}

std::string without_line(std::string head, const std::string& name) {
  if (const auto at = head.find("\r\n" + name); at != std::string::npos) head.erase(at, head.find("\r\n", at + 2) - at);
  return head;
}

std::string to_text(const Value& value) {
  rapidjson::StringBuffer buffer;
  JsonWriter writer(buffer);
  value.Accept(writer);
  return {buffer.GetString(), buffer.GetSize()};
}

Variables with_dice(const dice::test::TemporaryFolder& folder) {
  const auto file = folder / "dice.yaml";
  dice::test::write_file(file,
                         "fair: {faces: [3], error_rate: 0}\nrisky: {faces: [1, 2, 3, 4, 5, 6], error_rate: 0.3}\n");
  return {{"DIE_SPECIFICATIONS", file.string()}};
}

/// The spans of a trace in OTLP/JSON, each with the list that contains it and its service.
struct SpanPlace {
  Value& spans;
  Value& span;
  std::string service;
};

std::string service_of(const Value& resource) {
  for (const auto one : JsonView(resource)["resource"]["attributes"].elements()) {
    if (one["key"].text() == "service.name") return std::string(one["value"]["stringValue"].text().value_or(""));
  }
  return {};
}

std::vector<SpanPlace> spans_of(Document& trace) {
  std::vector<SpanPlace> places;
  for (auto& resource : trace["resourceSpans"].GetArray()) {
    for (auto& scope : resource["scopeSpans"].GetArray()) {
      for (auto& span : scope["spans"].GetArray()) places.push_back({scope["spans"], span, service_of(resource)});
    }
  }
  return places;
}

Value* attribute(Value& span, const std::string& key) {
  for (auto& one : span["attributes"].GetArray()) {
    if (one["key"].GetString() == key) return &one["value"];
  }
  return nullptr;
}

}  // namespace

TamperedSystem::TamperedSystem(Broken broken)
    : broken_(broken),
      die_service_(Kind::die_service, dice::test::quick(with_dice(folder_))),
      to_die_service_([this](const std::string& head) {
        return forward(die_service_.port(),
                       is(Broken::propagation_to_die_service_cut) ? without_line(head, "traceparent") : head);
      }),
      // Slow enough to detect sequential rolls.
      dice_roller_(Kind::dice_roller,
                   dice::test::quick({{"DIE_SERVICE_URL", to_die_service_.url()},
                                      {"ROLL_DELAY_MIN_SECONDS", is(Broken::rolls_in_sequence) ? "0.11" : "0"},
                                      {"ROLL_DELAY_MAX_SECONDS", is(Broken::rolls_in_sequence) ? "0.11" : "0"}})),
      to_dice_roller_([this](std::string head) {
        if (is(Broken::propagation_to_roller_cut)) head = without_line(head, "traceparent");
        if (is(Broken::rolls_in_sequence)) {
          head = std::regex_replace(head, std::regex("&concurrency=\\d+"), "");
          replace(head, "&times=", "&concurrency=1&times=");
        }
        return forward(dice_roller_.port(), head);
      }),
      frontend_(Kind::frontend, dice::test::quick({{"DIE_SERVICE_URL", die_service_.url()},
                                                   {"DICE_ROLLER_URL", to_dice_roller_.url()},
                                                   {"DIE_SERVICE_METRICS_URL", die_service_.metrics_url()},
                                                   {"DICE_ROLLER_METRICS_URL", dice_roller_.metrics_url()}})),
      api_([this](const std::string& head) { return answer_api(head); }),
      backends_([this](const std::string& head) { return answer_backends(head); }) {
  // It has fetched the list of dice.
  REQUIRE(dice::test::eventually([this] { return dice::test::get(frontend_.port(), "/dice").status == 200; }));
}

const RunningService& TamperedSystem::service(const std::string& name) const {
  return name == kFrontend.name ? frontend_ : name == kDiceRoller.name ? dice_roller_ : die_service_;
}

std::vector<std::string> TamperedSystem::metrics_urls() const {
  std::vector<std::string> urls;
  for (const auto& [name, port, purpose] : kServices) urls.push_back(backends_url() + "/services/" + name);
  return urls;
}

std::vector<std::filesystem::path> TamperedSystem::logs() const {
  std::vector<std::filesystem::path> files;
  for (const auto& [name, port, purpose] : kServices) files.push_back(service(name).log_file());
  return files;
}

// --- answers and traces ----------------------------------------------------------------------------------------------

Reply TamperedSystem::answer_api(const std::string& head) {
  const auto target = target_of(head);
  if (target.starts_with("/roll")) rolled_ = true;
  auto reply = forward(frontend_.port(), head);
  const auto body = reply.body;
  if (is(Broken::total_wrong) && target.contains("times=5")) replace(reply.body, "\"total\":15", "\"total\":16");
  if (is(Broken::error_code_wrong) && target.starts_with("/roll?")) replace(reply.body, "roll_failed", "internal");
  if (target.starts_with("/api/traces/")) {
    if (is(Broken::nothing_exported) || is(Broken::collector_down)) return not_found();
    // A quarter of the traces.
    if (is(Broken::traces_sampled_away) && std::string("0123").contains(target.back())) return not_found();
    if (reply.status == 200) reply.body = tamper_trace(reply.body);
  }
  if (reply.body != body) tampered_ = true;
  return reply;
}

std::string TamperedSystem::tamper_trace(const std::string& text) const {
  Document trace;
  trace.Parse(text.data(), text.size());
  auto& allocator = trace.GetAllocator();
  if (is(Broken::die_service_not_exporting)) {
    auto& resources = trace["resourceSpans"];
    for (auto* one = resources.Begin(); one != resources.End();) {
      one = service_of(*one) == kDieService.name ? resources.Erase(one) : one + 1;
    }
    return to_text(trace);
  }
  const auto places = spans_of(trace);
  std::map<std::string, SpanPlace> rolls;
  for (const auto& place : places) {
    if (const std::string name = place.span["name"].GetString(); name.starts_with("async_roll_")) {
      rolls.emplace(name, place);
    }
  }
  if (is(Broken::span_kind_wrong)) {
    for (const auto& [spans, span, service] : places) {
      if (service == kFrontend.name && span["kind"].GetInt() == 3) span["kind"].SetInt(1);
    }
  }
  if (is(Broken::span_status_missing)) {
    for (const auto& [name, roll] : rolls) roll.span.RemoveMember("status");
  }
  if (rolls.size() != 5) return to_text(trace);
  const auto& [spans, third, service] = rolls.at("async_roll_3");
  if (is(Broken::span_value_wrong)) (*attribute(rolls.at("async_roll_0").span, "die.result"))["intValue"] = 4;
  if (is(Broken::span_reparented)) {
    rolls.at("async_roll_2").span["parentSpanId"].CopyFrom(rolls.at("async_roll_1").span["spanId"], allocator);
  }
  if (is(Broken::span_dropped)) spans.Erase(&third);
  if (is(Broken::span_twice)) {
    Value copy(third, allocator);
    copy["spanId"] = "00000000000000ee";
    spans.PushBack(copy, allocator);
  }
  return to_text(trace);
}

// --- backends --------------------------------------------------------------------------------------------------------

Reply TamperedSystem::answer_backends(const std::string& head) {
  const auto target = target_of(head);
  const auto query = [&target] { return percent_decode(target.substr(target.find("query=") + 6), false).value(); };
  if (target.starts_with("/loki/")) return json(loki(query()));
  if (target.starts_with("/api/v1/query_exemplars")) return json(prometheus(true, {}));
  if (target.starts_with("/api/v1/query")) return json(prometheus(false, query()));
  for (const auto& [name, port, purpose] : kServices) {
    const bool missing = is(Broken::scrape_missing) && name == kDieService.name;
    if (target == "/services/" + std::string(name) + "/metrics" && !missing) return json(scrape(name));
  }
  return not_found();
}

std::string TamperedSystem::scrape(const std::string& name) {
  const auto reply = dice::test::get(service(name).metrics_port(), "/metrics",
                                     {{"Accept", "application/openmetrics-text; version=1.0.0"}});
  const Lock lock(mutex_);
  const auto [first, inserted] = first_scrapes_.emplace(name, reply.body);
  return tamper_metrics(name, is(Broken::scrape_stale) && name == kDiceRoller.name ? first->second : reply.body);
}

std::string TamperedSystem::tamper_metrics(const std::string& name, const std::string& text) {
  double requests = 0;
  for (const auto& series : parse_metrics_text(text)) {
    if (series.name == "http_requests_total") requests += series.value;
  }
  const auto spans = 100 * requests;
  const bool loses = is(Broken::collector_down) || (is(Broken::spans_dropped_by_exporter) && name == kDiceRoller.name);
  const bool waits = is(Broken::collector_silent);
  const bool delivers = !is(Broken::collector_down) && !is(Broken::nothing_exported) && !waits;
  const bool second = is(Broken::roller_of_two_processes) && name == kDiceRoller.name && ++scrapes_ % 2 == 0;
  const bool rolled = rolled_ && name == kDiceRoller.name;
  const bool histogram = is(Broken::histogram_off_by_one) && rolled;
  /// Selects a series, and its new value: the old one times `factor` plus `plus`.
  struct Change {
    std::string begin;
    bool applies;
    double factor;
    double plus;
  };
  const std::vector<Change> changes = {{"telemetry_spans_dropped_total ", true, 0, loses ? spans : 0},
                                       {"telemetry_spans_exported_total ", true, 0, delivers ? spans : 0},
                                       {"telemetry_spans_queued ", true, 0, waits ? spans : 0},
                                       {"process_start_time_seconds ", second, 0, 1000},
                                       {R"(dice_rolls_total{die_type="fair",mode="sync",result="success"} )",
                                        is(Broken::counter_off_by_one) && rolled, 1, 1},
                                       {"async_roll_batch_size_count", histogram, 1, 1},
                                       {"async_roll_batch_size_sum", histogram, 1, 5},
                                       {"async_rolls_in_progress ", is(Broken::gauge_stuck), 0, 1}};
  std::istringstream stream(text);
  std::string result;
  for (std::string line; std::getline(stream, line);) {
    if (is(Broken::exemplars_missing)) line = line.substr(0, line.find(" # {"));
    const auto change = std::ranges::find_if(
        changes, [&line](const Change& one) { return one.applies && line.starts_with(one.begin); });
    if (change != changes.end()) {
      const auto value = line.rfind(' ') + 1;
      line.replace(value, std::string::npos,
                   std::to_string(std::stod(line.substr(value)) * change->factor + change->plus));
    }
    result += line + "\n";
  }
  return result;
}

std::vector<std::string> TamperedSystem::log_lines(const std::vector<std::string>& ids) const {
  std::vector<std::string> lines;
  for (const auto& [name, port, purpose] : kServices) {
    if (is(Broken::logs_not_shipped) || is(Broken::collector_down)) break;
    if (is(Broken::roller_logs_not_shipped) && name == kDiceRoller.name) continue;
    std::ifstream file(service(name).log_file());
    for (std::string line; std::getline(file, line);) {
      if (file.eof()) break;  // an incomplete line
      if (std::ranges::none_of(ids, [&line](const std::string& id) { return line.contains(id); })) continue;
      const bool chosen =
          line.contains("\"Async roll completed\"") && line.contains("\"roll_index\":2,") && line.contains("\"fair\"");
      if (chosen && is(Broken::log_line_missing)) continue;
      if (chosen && is(Broken::log_span_id_foreign)) {
        line = std::regex_replace(line, std::regex("\"span_id\":\"\\w+\""), R"("span_id":"eeeeeeeeeeeeeeee")");
      }
      if (chosen && is(Broken::log_line_twice)) lines.push_back(line);
      lines.push_back(line);
    }
  }
  return lines;
}

std::string TamperedSystem::loki(const std::string& query) const {
  const auto begin = query.find("|~ \"") + 4;
  std::istringstream filter(query.substr(begin, query.rfind('"') - begin));
  std::vector<std::string> ids;
  for (std::string id; std::getline(filter, id, '|');) ids.push_back(id);
  return json_object([&](JsonWriter& writer) {
    write_key(writer, "data");
    writer.StartObject();
    write_member(writer, "resultType", "streams");
    write_key(writer, "result");
    writer.StartArray();
    writer.StartObject();
    write_key(writer, "values");
    writer.StartArray();
    for (const auto& line : log_lines(ids)) write_value(writer, std::vector<std::string>{"0", line});
    writer.EndArray();
    writer.EndObject();
    writer.EndArray();
    writer.EndObject();
  });
}

std::string TamperedSystem::prometheus(bool exemplars, const std::string& query) {
  const bool times = query.starts_with("timestamp");
  const int scraped = ++scrapes_;
  const auto write_labels = [](JsonWriter& writer, const char* key, const std::string& service, const Series& series) {
    write_key(writer, key);
    writer.StartObject();
    write_member(writer, "__name__", series.name);
    write_member(writer, "job", service);
    write_member(writer, "instance", service + ":1");
    for (const auto& [label, value] : series.labels) write_member(writer, label, value);
    writer.EndObject();
  };
  const auto write_series = [&](JsonWriter& writer, const std::string& service, const Series& series) {
    if (exemplars == series.exemplars.empty()) return;
    writer.StartObject();
    write_labels(writer, exemplars ? "seriesLabels" : "metric", service, series);
    if (!exemplars) {
      writer.Key("value");
      writer.StartArray();
      write_value(writer, scraped);
      write_value(writer, std::to_string(series.value));
      writer.EndArray();
    } else {
      writer.Key("exemplars");
      writer.StartArray();
      for (const auto& [trace_id, span_id] : series.exemplars) {
        writer.StartObject();
        writer.Key("labels");
        writer.StartObject();
        write_member(writer, "trace_id", trace_id);
        write_member(writer, "span_id", span_id);
        writer.EndObject();
        writer.EndObject();
      }
      writer.EndArray();
    }
    writer.EndObject();
  };
  return json_object([&](JsonWriter& writer) {
    write_member(writer, "status", "success");
    write_key(writer, "data");
    if (!exemplars) {
      writer.StartObject();
      write_member(writer, "resultType", "vector");
      write_key(writer, "result");
    }
    writer.StartArray();
    for (const auto& [service, port, purpose] : kServices) {
      const bool down = is(Broken::scrape_missing) && service == kDieService.name;
      const Series up{.name = times ? "" : "up", .labels = {}, .value = down ? 0.0 : times ? scraped : 1.0};
      if (!exemplars && !(down && times)) write_series(writer, service, up);
      if (down || times) continue;
      for (const auto& series : parse_metrics_text(scrape(service))) write_series(writer, service, series);
    }
    writer.EndArray();
    if (!exemplars) writer.EndObject();
  });
}

}  // namespace dice::loadgen::test

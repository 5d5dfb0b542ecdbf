#include "loadgen/traffic/tally.h"

#include <array>

#include "common/base/json.h"

namespace dice::loadgen {
namespace {

constexpr std::array kShares = {std::pair{"p50", 0.5}, std::pair{"p90", 0.9}, std::pair{"p95", 0.95},
                                std::pair{"p99", 0.99}, std::pair{"p99.9", 0.999}};

std::string latency_row(const std::string& label, const LatencyHistogram& latency) {
  auto text = pad(label, 14) + pad(std::to_string(latency.count()), 10);
  for (const auto& [name, share] : kShares) text += pad(show_seconds(latency.percentile(share)), 11);
  return text + show_seconds(latency.max()) + "\n";
}

void write_latency(JsonWriter& writer, const LatencyHistogram& latency) {
  write_member(writer, "count", latency.count());
  for (const auto& [name, share] : kShares) write_member(writer, name, latency.percentile(share));
  write_member(writer, "max", latency.max());
}

}  // namespace

void Tally::add(const std::string& route, const Answer& answer, double latency, const std::string& trace_id) {
  all_.add(latency);
  latencies_[route].add(latency);
  const auto outcome = answer.status == 0 ? answer.error_code.value_or("no answer") : answer.outcome();
  ++outcomes_[{route, outcome}];
  if (answer.succeeded()) return;
  const auto code = answer.error_code.value_or("status " + std::to_string(answer.status));
  auto& failure = failures_[code];
  if (++failure.count == 1) {
    failure = {1, expected_.contains(code), route, outcome, answer.error_message.value_or(""), trace_id};
  }
  if (!failure.expected) ++unexpected_;
}

std::string to_table(const TrafficSummary& summary) {
  const auto& tally = summary.tally;
  auto text = "\n" + std::to_string(tally.count()) + " requests in " + fixed(summary.seconds, 1) + " s, " +
              fixed(summary.sent_rate, 1) + " per second";
  if (summary.rate > 0) {
    text += " (target: " + fixed(summary.rate, 1) +
            (summary.rate_reached ? ", reached" : ", NOT REACHED: try more --workers") + ")";
  }
  text += ", seed " + std::to_string(summary.seed) + "\n\n" + pad("latency", 14) + pad("requests", 10);
  for (const auto& [name, share] : kShares) text += pad(name, 11);
  text += "max\n";
  for (const auto& [route, latency] : tally.latencies()) text += latency_row(route, latency);
  if (tally.latencies().size() > 1) text += latency_row("all", tally.latency());
  text += "\n";
  for (const auto& [what, count] : tally.outcomes()) {
    text += pad(what.first, 14) + pad(std::to_string(count), 10) + what.second + "\n";
  }
  for (const auto& [code, failure] : tally.failures()) {
    text += "\n" + std::string(failure.expected ? "expected failure " : "UNEXPECTED FAILURE ") + code + ", " +
            std::to_string(failure.count) + " times; first: " + failure.route + " " + failure.outcome + ": " +
            failure.message + " (trace " + failure.trace_id + ")";
  }
  return text + (tally.failures().empty() ? "" : "\n");
}

std::string to_json(const TrafficSummary& summary) {
  const auto& tally = summary.tally;
  return json_object([&](JsonWriter& writer) {
    write_member(writer, "target", summary.target);
    write_member(writer, "passed", summary.passed());
    write_member(writer, "seed", summary.seed);
    write_member(writer, "seconds", summary.seconds);
    write_member(writer, "requests", tally.count());
    write_member(writer, "sent_rate", summary.sent_rate);
    if (summary.rate > 0) {
      write_member(writer, "target_rate", summary.rate);
      write_member(writer, "rate_reached", summary.rate_reached);
    }
    write_member(writer, "unexpected_failures", tally.unexpected());
    write_key(writer, "latency_seconds");
    writer.StartObject();
    write_latency(writer, tally.latency());
    writer.EndObject();
    write_key(writer, "routes");
    writer.StartObject();
    for (const auto& [route, latency] : tally.latencies()) {
      write_key(writer, route);
      writer.StartObject();
      write_key(writer, "outcomes");
      writer.StartObject();
      for (const auto& [what, count] : tally.outcomes()) {
        if (what.first == route) write_member(writer, what.second, count);
      }
      writer.EndObject();
      write_key(writer, "latency_seconds");
      writer.StartObject();
      write_latency(writer, latency);
      writer.EndObject();
      writer.EndObject();
    }
    writer.EndObject();
    write_key(writer, "failures");
    writer.StartArray();
    for (const auto& [code, failure] : tally.failures()) {
      writer.StartObject();
      write_member(writer, "code", code);
      write_member(writer, "count", failure.count);
      write_member(writer, "expected", failure.expected);
      write_member(writer, "example", failure.message);
      write_member(writer, "trace_id", failure.trace_id);
      writer.EndObject();
    }
    writer.EndArray();
  });
}

}  // namespace dice::loadgen

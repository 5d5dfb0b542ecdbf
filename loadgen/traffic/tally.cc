#include "loadgen/traffic/tally.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

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
  write_key(writer, "latency_seconds");
  writer.StartObject();
  write_member(writer, "count", latency.count());
  for (const auto& [name, share] : kShares) write_member(writer, name, latency.percentile(share));
  write_member(writer, "max", latency.max());
  write_key(writer, "buckets");
  writer.StartObject();
  for (const auto& [bucket, count] : latency.buckets()) write_member(writer, std::to_string(bucket), count);
  writer.EndObject();
  writer.EndObject();
}

std::optional<std::uint64_t> unsigned_integer(JsonView json) {
  const auto value = json.integer();
  if (!value || *value < 0) return std::nullopt;
  return static_cast<std::uint64_t>(*value);
}

std::optional<LatencyHistogram> read_latency(JsonView json) {
  LatencyHistogram latency;
  const auto max = json["max"].number();
  for (const auto& [name, value] : json["buckets"].members()) {
    std::size_t bucket = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), bucket);
    const auto count = unsigned_integer(value);
    if (error != std::errc() || end != name.data() + name.size() || !max) return std::nullopt;
    if (!count || *count == 0) return std::nullopt;  // empty ones are not written
    if (!latency.add(bucket, *count, *max)) return std::nullopt;
  }
  if (latency.count() != unsigned_integer(json["count"])) return std::nullopt;
  return latency;
}

}  // namespace

void Tally::add(const std::string& route, const Answer& answer, double latency, const std::string& trace_id) {
  latencies_[route].add(latency);
  const auto outcome = answer.status == 0 ? answer.error_code.value_or("no answer") : answer.outcome();
  ++outcomes_[{route, outcome}];
  if (answer.succeeded()) return;
  const auto code = answer.error_code.value_or("status " + std::to_string(answer.status));
  auto& failure = failures_[code];
  if (++failure.count == 1) {
    failure = {1, expected_.contains(code), route, outcome, answer.error_message.value_or(""), trace_id};
  }
}

void Tally::add(const Tally& other) {
  for (const auto& [route, latency] : other.latencies_) latencies_[route].add(latency);
  for (const auto& [what, count] : other.outcomes_) outcomes_[what] += count;
  for (const auto& [code, failure] : other.failures_) {
    const auto [known, is_new] = failures_.try_emplace(code, failure);
    if (!is_new) known->second.count += failure.count;
  }
}

std::uint64_t Tally::count() const {
  std::uint64_t count = 0;
  for (const auto& [route, latency] : latencies_) count += latency.count();
  return count;
}

std::uint64_t Tally::unexpected() const {
  std::uint64_t count = 0;
  for (const auto& [code, failure] : failures_) count += failure.expected ? 0 : failure.count;
  return count;
}

LatencyHistogram Tally::latency() const {
  LatencyHistogram all;
  for (const auto& [route, latency] : latencies_) all.add(latency);
  return all;
}

void Tally::write(JsonWriter& writer) const {
  write_key(writer, "routes");
  writer.StartObject();
  for (const auto& [route, latency] : latencies_) {
    write_key(writer, route);
    writer.StartObject();
    write_key(writer, "outcomes");
    writer.StartObject();
    for (const auto& [what, count] : outcomes_) {
      if (what.first == route) write_member(writer, what.second, count);
    }
    writer.EndObject();
    write_latency(writer, latency);
    writer.EndObject();
  }
  writer.EndObject();
  write_objects(writer, "failures", failures_, [&writer](const auto& one) {
    const auto& [code, failure] = one;
    write_member(writer, "code", code);
    write_member(writer, "count", failure.count);
    write_member(writer, "expected", failure.expected);
    write_member(writer, "route", failure.route);
    write_member(writer, "outcome", failure.outcome);
    write_member(writer, "example", failure.message);
    write_member(writer, "trace_id", failure.trace_id);
  });
}

std::optional<Tally> Tally::read(JsonView json) {
  Tally tally({});
  if (!json["routes"].is_object() || !json["failures"].is_array()) return std::nullopt;
  for (const auto& [route, of] : json["routes"].members()) {
    const auto latency = read_latency(of["latency_seconds"]);
    if (!latency) return std::nullopt;
    tally.latencies_[std::string(route)] = *latency;
    for (const auto& [outcome, value] : of["outcomes"].members()) {
      const auto count = unsigned_integer(value);
      if (!count) return std::nullopt;
      tally.outcomes_[{std::string(route), std::string(outcome)}] = *count;
    }
  }
  for (const auto& failure : json["failures"].elements()) {
    const auto text = [&](const char* name) { return std::string(failure[name].text().value_or("")); };
    const auto count = unsigned_integer(failure["count"]);
    const auto expected = failure["expected"].boolean();
    if (!count || !expected) return std::nullopt;
    tally.failures_[text("code")] = {*count,          *expected,       text("route"),
                                     text("outcome"), text("example"), text("trace_id")};
  }
  return tally;
}

void TrafficSummary::add(const TrafficSummary& other) {
  finished_parts += other.finished_parts;
  seconds = std::max(seconds, other.seconds);
  rate += other.rate;
  sent_rate += other.sent_rate;
  rate_reached = rate_reached && other.rate_reached;
  tally.add(other.tally);
}

std::string to_table(const TrafficSummary& summary) {
  const auto& tally = summary.tally;
  auto text = "\n" + std::to_string(tally.count()) + " requests in " + fixed(summary.seconds, 1) + " s, " +
              fixed(summary.sent_rate, 1) + " per second";
  if (summary.rate > 0) {
    text += " (target: " + fixed(summary.rate, 1) +
            (summary.rate_reached ? ", reached" : ", NOT REACHED: try more --workers") + ")";
  }
  if (summary.parts > 1) {
    text += ", " + std::to_string(summary.finished_parts) + " of " + std::to_string(summary.parts) + " parts";
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
  for (const auto& part : summary.missing) text += "\nMISSING: " + part;
  return text + (tally.failures().empty() && summary.missing.empty() ? "" : "\n");
}

std::string to_json(const TrafficSummary& summary) {
  const auto& tally = summary.tally;
  return json_object([&](JsonWriter& writer) {
    write_member(writer, "target", summary.target);
    write_member(writer, "passed", summary.passed());
    write_member(writer, "parts", summary.parts);
    write_member(writer, "finished_parts", summary.finished_parts);
    write_member(writer, "missing", summary.missing);
    write_member(writer, "seed", summary.seed);
    write_member(writer, "seconds", summary.seconds);
    write_member(writer, "requests", tally.count());
    write_member(writer, "sent_rate", summary.sent_rate);
    if (summary.rate > 0) {
      write_member(writer, "target_rate", summary.rate);
      write_member(writer, "rate_reached", summary.rate_reached);
    }
    write_member(writer, "unexpected_failures", tally.unexpected());
    write_latency(writer, tally.latency());
    tally.write(writer);
  });
}

std::optional<TrafficSummary> read_summary(JsonView json) {
  auto tally = Tally::read(json);
  const auto seed = unsigned_integer(json["seed"]);
  const auto finished_parts = unsigned_integer(json["finished_parts"]);
  const auto parts = unsigned_integer(json["parts"]);
  const auto seconds = json["seconds"].number();
  const auto sent_rate = json["sent_rate"].number();
  const auto rate = json["target_rate"].number().value_or(0);
  if (!tally || !seed || !finished_parts || !parts || !seconds || !sent_rate) return std::nullopt;
  return TrafficSummary{.target = std::string(json["target"].text().value_or("")),
                        .finished_parts = *finished_parts,
                        .parts = *parts,
                        .missing = {},
                        .seed = *seed,
                        .seconds = *seconds,
                        .rate = rate,
                        .sent_rate = *sent_rate,
                        .rate_reached = rate <= 0 || json["rate_reached"].boolean().value_or(true),
                        .tally = std::move(*tally)};
}

}  // namespace dice::loadgen

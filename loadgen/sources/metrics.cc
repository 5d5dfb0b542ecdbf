#include "loadgen/sources/metrics.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "common/http/message.h"

namespace dice::loadgen {

Scrapes::Scrapes(const std::vector<std::string>& urls)
    : since_unix_seconds_(std::chrono::duration<double>(unix_time()).count()) {
  for (const auto& url : urls) {
    auto options = backend_options("metrics", url);
    options.idle_connections = 0;  // a reused connection would hide other replicas
    clients_.push_back(std::make_unique<Client>(options));
  }
}

std::string Scrapes::name() const {
  std::string text;
  for (const auto& client : clients_) text += (text.empty() ? "" : ", ") + client->name();
  return text;
}

void Scrapes::settle(Clock& /*clock*/, TimePoint /*deadline*/) {
  constexpr int kReads = 10;  // with two replicas, one is missed once in 500 times
  for (int i = 0; i < kReads; ++i) {
    if (const auto reading = read(); !reading || !reading->incomparable.empty()) return;
  }
}

std::expected<MetricsSource::Reading, SourceError> Scrapes::read() {
  Reading reading;
  const auto add_detail = [&reading](const std::string& text) {
    reading.detail += (reading.detail.empty() ? "" : "; ") + text;
  };
  for (const auto& client : clients_) {
    const auto body = get(*client, "/metrics", {{"Accept", "application/openmetrics-text; version=1.0.0"}});
    if (!body) {
      add_detail(body.error());
      continue;
    }
    auto target = parse_metrics_text(*body);
    const auto service = service_of(target);
    if (service.empty()) {
      add_detail(client->name() + " is not one of the dice services");
      continue;
    }
    const auto started = std::ranges::find(target, name_of(Metric::process_start_time), &Series::name);
    auto& processes = processes_[client->name()];
    if (started != target.end() && started->value < since_unix_seconds_) processes.insert(started->value);
    if (processes.size() > 1) {
      reading.incomparable =
          "several processes respond at " + client->name() + "; use --prometheus, which includes all of them";
    }
    auto& all = reading.services[service];
    all.insert(all.end(), std::make_move_iterator(target.begin()), std::make_move_iterator(target.end()));
  }
  return reading;
}

Prometheus::Prometheus(const std::string& url)
    : client_(backend_options("Prometheus", url)),
      since_unix_seconds_(std::floor(std::chrono::duration<double>(unix_time() - kClockMargin).count())) {}

std::expected<std::vector<Series>, SourceError> Prometheus::query(const std::string& promql) {
  const auto body = get(client_, "/api/v1/query?query=" + percent_encode(promql));
  if (!body) return std::unexpected(body.error());
  auto series = parse_prometheus_vector(*body);
  if (!series) return std::unexpected("its response is not a vector");
  return std::move(*series);
}

std::expected<std::map<Prometheus::Target, double>, SourceError> Prometheus::scraped() {
  const auto found = query("timestamp(telemetry_spans_exported_total) and on (job, instance) up == 1");
  if (!found) return std::unexpected(found.error());
  std::map<Target, double> times;
  for (const auto& series : *found) times[{series.label("job"), series.label("instance")}] = series.value;
  return times;
}

void Prometheus::settle(Clock& clock, TimePoint deadline) {
  const auto pause = [&] { return clock.now() < deadline && clock.sleep(Seconds(0.2), {}); };
  constexpr std::size_t kServices = 3;
  for (auto now = read(); !now || now->services.size() < kServices; now = read()) {
    if (!now || !pause()) return;  // the last read reports the error
  }
  const auto first = scraped();
  const auto again = [&] {
    const auto now = scraped();
    return !first || !now || std::ranges::all_of(*first, [&now](const auto& entry) {
      const auto found = now->find(entry.first);
      return found == now->end() || found->second > entry.second;
    });
  };
  while (!again() && pause()) {
  }
}

std::expected<MetricsSource::Reading, SourceError> Prometheus::read() {
  // The prefixes of all metrics that the checks use.
  auto all = query(
      R"({__name__=~"up|http_requests_.+|http_request_duration_seconds_count|telemetry_spans_.+|roll_.+|async_roll.+|dice_roll.+|die_s.+"})");
  if (!all) return std::unexpected(all.error());
  std::map<Target, std::vector<Series>> targets;
  Reading reading;
  for (auto& series : *all) {
    Target target(series.label("job"), series.label("instance"));
    if (series.name == "up" && series.value == 0) {
      reading.detail += (reading.detail.empty() ? "down: " : ", ") + describe(series.name, series.labels);
    }
    targets[target].push_back(std::move(series));
  }
  std::map<Target, std::string> services;
  for (auto& [target, series] : targets) {
    const auto service = service_of(series);
    if (service.empty()) continue;
    services[target] = service;
    auto& known = reading.services[service];
    known.insert(known.end(), std::make_move_iterator(series.begin()), std::make_move_iterator(series.end()));
  }
  add_exemplars(services, reading.services);
  return reading;
}

void Prometheus::add_exemplars(const std::map<Target, std::string>& services, Snapshot& snapshot) {
  const auto end = std::chrono::duration<double>(unix_time() + kClockMargin).count();
  const auto body = get(client_, "/api/v1/query_exemplars?query=" + kLatencyBuckets +
                                     "&start=" + std::to_string(since_unix_seconds_) + "&end=" + std::to_string(end));
  if (!body) return;
  for (auto& series : parse_prometheus_exemplars(*body).value_or(std::vector<Series>{})) {
    const auto service = services.find({series.label("job"), series.label("instance")});
    if (service != services.end()) snapshot[service->second].push_back(std::move(series));
  }
}

}  // namespace dice::loadgen

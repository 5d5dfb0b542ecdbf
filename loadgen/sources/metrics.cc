#include "loadgen/sources/metrics.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "common/base/joined.h"
#include "common/http/message.h"
#include "contract/names.h"

namespace dice::loadgen {

namespace {

constexpr std::size_t kThreads = 16;

/// What tells the process with these metrics apart from others; empty if it does not say.
std::string process_of(const std::vector<Series>& target) {
  const auto started = std::ranges::find(target, name_of(Metric::process_start_time), &Series::name);
  return started == target.end() ? "" : std::to_string(started->value);
}

void add_to(std::string& detail, const std::string& text) { detail += (detail.empty() ? "" : "; ") + text; }

}  // namespace

Scrapes::Scrapes(std::vector<std::string> urls, Seconds timeout, Resolver resolve)
    : urls_(std::move(urls)),
      timeout_(timeout),
      replicas_([&] {
        // A process that shares its address with others would be hidden by a kept connection to one of them.
        auto client = backend_options("metrics", "");
        client.name = "it";  // the address is named beside
        client.connect_timeout = Client::Options().connect_timeout;
        client.retry = false;
        client.idle_connections = 0;
        return Replicas::Options{.base_urls = urls_, .client = client, .resolve = std::move(resolve)};
      }()),
      threads_({.max_threads = kThreads}) {}

std::string Scrapes::name() const {
  return joined(urls_, ", ", [](const std::string& url) { return "metrics at " + url; });
}

void Scrapes::settle(Clock& /*clock*/, TimePoint /*deadline*/) {}  // a scrape has everything that was counted

std::expected<MetricsSource::Reading, SourceError> Scrapes::read() {
  const auto replicas = replicas_.find(timeout_, {});
  std::vector<std::expected<ClientResponse, Error>> responses(replicas.size());
  threads_.run_for_each(replicas.size(), kThreads, [&](std::size_t i) {
    responses[i] = replicas[i]->client.get({.path = route::kMetrics,
                                            .route = route::kMetrics,
                                            .timeout = timeout_,
                                            .headers = {{"Accept", "application/openmetrics-text; version=1.0.0"}}},
                                           nullptr);
  });
  Reading reading;
  for (const auto& url : urls_) {
    if (std::ranges::none_of(replicas, [&url](const auto& one) { return one->url == url; })) {
      add_to(reading.detail, "the host name in " + url + " is not known");
    }
  }
  for (std::size_t i = 0; i < replicas.size(); ++i) {
    const auto& replica = *replicas[i];
    auto& known = known_[{replica.url, replica.address}];
    const auto where =
        "metrics at " + replica.url + (replica.url.contains(replica.address) ? "" : " (" + replica.address + ")");
    if (!responses[i] || responses[i]->status != 200) {
      const auto why = responses[i] ? unexpected_answer(*responses[i]) : responses[i].error().message;
      const bool there = responses[i] || responses[i].error().code != ErrorCode::downstream_unavailable;
      if (!there) known = {};
      else if (!known.first.empty()) reading.processes[known.first].insert(known.second);
      add_to(reading.detail, where + ": " + why);
      continue;
    }
    auto target = parse_metrics_text(responses[i]->body);
    const auto service = service_of(target);
    if (service.empty()) {
      add_to(reading.detail, where + " is not one of the dice services");
      continue;
    }
    auto process = process_of(target);
    if (process.empty()) process = replica.address;
    known = {service, process};
    if (!reading.processes[service].insert(process).second) continue;  // it has several addresses
    auto& all = reading.services[service];
    all.insert(all.end(), std::make_move_iterator(target.begin()), std::make_move_iterator(target.end()));
  }
  return reading;
}

Prometheus::Prometheus(const std::string& url, std::string selector)
    : client_(backend_options("Prometheus", url)),
      selector_(std::move(selector)),
      since_unix_seconds_(std::floor(std::chrono::duration<double>(unix_time() - kClockMargin).count())) {}

std::expected<std::vector<Series>, SourceError> Prometheus::query(const std::string& promql) {
  const auto body = get(client_, "/api/v1/query?query=" + percent_encode(promql));
  if (!body) return std::unexpected(body.error());
  auto series = parse_prometheus_vector(*body);
  if (!series) return std::unexpected("its response is not a vector");
  return std::move(*series);
}

std::expected<std::map<Prometheus::Target, double>, SourceError> Prometheus::scraped() {
  const auto found = query("timestamp(telemetry_spans_exported_total" + selector_ + ") and on (job, instance) up == 1");
  if (!found) return std::unexpected(found.error());
  std::map<Target, double> times;
  for (const auto& series : *found) times[{series.label("job"), series.label("instance")}] = series.value;
  return times;
}

void Prometheus::settle(Clock& clock, TimePoint deadline) {
  const auto pause = [&] { return clock.now() < deadline && clock.sleep(Seconds(0.5), {}); };
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
      R"({__name__=~"up|process_start_time_seconds|http_requests_.+|http_request_duration_seconds_count|telemetry_spans_.+|roll_.+|async_roll.+|dice_roll.+|die_s.+",)" +
      selector_.substr(1));
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
    reading.processes[service].insert(target.first + " " + target.second + " " + process_of(series));
    auto& known = reading.services[service];
    known.insert(known.end(), std::make_move_iterator(series.begin()), std::make_move_iterator(series.end()));
  }
  if (services.empty() && reading.detail.empty()) reading.detail = "--prometheus-selector " + selector_;
  add_exemplars(services, reading.services);
  return reading;
}

void Prometheus::add_exemplars(const std::map<Target, std::string>& services, Snapshot& snapshot) {
  const auto end = std::chrono::duration<double>(unix_time() + kClockMargin).count();
  const auto body = get(client_, "/api/v1/query_exemplars?query=" + percent_encode(kLatencyBuckets + selector_) +
                                     "&start=" + std::to_string(since_unix_seconds_) + "&end=" + std::to_string(end));
  if (!body) return;
  for (auto& series : parse_prometheus_exemplars(*body).value_or(std::vector<Series>{})) {
    const auto service = services.find({series.label("job"), series.label("instance")});
    if (service != services.end()) snapshot[service->second].push_back(std::move(series));
  }
}

}  // namespace dice::loadgen

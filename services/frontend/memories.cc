#include "frontend/memories.h"

#include <utility>

#include "contract/names.h"

namespace dice {

Memories::Memories(const Options& options, Telemetry& telemetry, Clock& clock)
    : options_(options), telemetry_(telemetry), clock_(clock) {
  for (const auto& [name, url] : options.metrics_urls) {
    sources_.push_back(std::make_unique<Source>(
        Client::Options{.base_url = url, .name = name, .max_body_bytes = options.max_body_bytes}, options.pause));
  }
}

std::vector<std::string> Memories::spans(const TraceId& id, const std::stop_token& stop) {
  return ask(telemetry_.tracing.recent_spans(id), route::kSpans, id, stop);
}

std::vector<std::string> Memories::log_lines(const TraceId& id, const std::stop_token& stop) {
  return ask(telemetry_.recent_log_lines(id), route::kLogs, id, stop);
}

std::vector<std::string> Memories::ask(std::string own, const std::string& route, const TraceId& id,
                                       const std::stop_token& stop) {
  std::vector<std::string> bodies;
  if (!own.empty()) bodies.push_back(std::move(own));
  const auto path = route.substr(0, route.find('{')) + to_hex(id);
  for (const auto& source : sources_) {
    auto ticket = source->breaker.try_acquire(clock_.now());
    if (!ticket) continue;
    auto body =
        source->client.get_body({.path = path, .route = route, .timeout = options_.timeout, .stop = stop}, nullptr);
    if (body) bodies.push_back(std::move(*body));
    if (stop.stop_requested()) break;  // says nothing about the service
    if (!body && body.error().code == ErrorCode::downstream_timeout) (void)std::move(*ticket).failed(clock_.now());
    else (void)std::move(*ticket).succeeded();
  }
  return bodies;
}

}  // namespace dice

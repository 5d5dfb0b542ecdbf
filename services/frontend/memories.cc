#include "frontend/memories.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "contract/names.h"

namespace dice {
namespace {

/// Threads for one question.
constexpr std::size_t kThreadsPerQuestion = 8;
/// From this time on, a replica that cannot be connected to was waited for.
constexpr Seconds kWaited{0.25};

struct Question {
  /// Index of the service.
  std::size_t service;
  std::shared_ptr<Replica> replica;
  std::optional<std::string> body{};
};

}  // namespace

Memories::Memories(const Options& options, Telemetry& telemetry, Clock& clock)
    : options_(options), telemetry_(telemetry), clock_(clock) {
  for (const auto& [name, urls] : options.metrics_urls) {
    // One connection is kept for each replica. Another attempt would reach the same address.
    (name == kFrontend.name ? frontends_ : others_)
        .push_back(std::make_unique<Replicas>(Replicas::Options{.base_urls = urls,
                                                                .client = {.base_url = {},
                                                                           .name = name,
                                                                           .retry = false,
                                                                           .max_body_bytes = options.max_body_bytes,
                                                                           .idle_connections = 1},
                                                                .pause = options.pause}));
  }
}

Memories::Found Memories::spans(const TraceId& id, const std::stop_token& stop) {
  return find(telemetry_.tracing.recent_spans(id), route::kSpans, id, stop);
}

Memories::Found Memories::log_lines(const TraceId& id, const std::stop_token& stop) {
  return find(telemetry_.recent_log_lines(id), route::kLogs, id, stop);
}

Memories::Found Memories::find(std::string own, const std::string& route, const TraceId& id,
                               const std::stop_token& stop) {
  Found found;
  if (!own.empty()) found.bodies.push_back(std::move(own));
  (void)ask(frontends_, route, id, stop, found.bodies);
  const bool frontend = !found.bodies.empty();
  found.every_service = ask(others_, route, id, stop, found.bodies) && frontend;
  return found;
}

bool Memories::ask(const Services& services, const std::string& route, const TraceId& id, const std::stop_token& stop,
                   std::vector<std::string>& bodies) {
  const auto deadline = clock_.now() + to_steady(options_.timeout);
  const auto left = [&] { return Seconds(std::max(deadline - clock_.now(), TimePoint::duration::zero())); };
  std::vector<Question> questions;
  for (std::size_t i = 0; i < services.size(); ++i) {
    for (auto& replica : services[i]->find(left(), stop)) questions.push_back({i, std::move(replica)});
  }
  const auto path = route.substr(0, route.find('{')) + to_hex(id);
  threads_.run_for_each(questions.size(), kThreadsPerQuestion, [&](std::size_t i) {
    auto& question = questions[i];
    auto ticket = question.replica->breaker.try_acquire(clock_.now());
    if (!ticket) return;
    const auto start = clock_.now();
    auto body =
        question.replica->client.get_body({.path = path, .route = route, .timeout = left(), .stop = stop}, nullptr);
    if (stop.stop_requested()) return;  // says nothing about the replica
    const bool hangs =
        !body && (body.error().code == ErrorCode::downstream_timeout ||
                  (body.error().code == ErrorCode::downstream_unavailable && Seconds(clock_.now() - start) >= kWaited));
    if (hangs) (void)std::move(*ticket).failed(clock_.now());
    else (void)std::move(*ticket).succeeded();
    if (body) question.body = std::move(*body);
  });
  std::vector<bool> has_something(services.size(), false);
  for (auto& [service, replica, body] : questions) {
    if (!body) continue;
    has_something[service] = true;
    bodies.push_back(std::move(*body));
  }
  return std::ranges::all_of(has_something, std::identity());
}

}  // namespace dice

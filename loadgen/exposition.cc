#include "loadgen/exposition.h"

#include <utility>

#include "common/base/version.h"
#include "common/http/common_routes.h"

namespace dice::loadgen {
namespace {

constexpr std::size_t kWorkers = 4;
constexpr std::size_t kMaxConnections = 64;

}  // namespace

Exposition::Exposition(LogSink& sink, const std::string& service, Clock& clock)
    : telemetry_(sink, {.level = LogLevel::warn, .memory = {}},
                 {.service = service, .exporter = "none", .memory = {.entries = 0}, .disabled = true}),
      http_metrics_(unserved_),
      workers_({.max_threads = kWorkers}),
      clock_(clock) {
  add_process_metrics(metrics());
  metrics().gauge(Metric::build_info, {{"version", version}, {"commit", commit}}).Set(1);
}

Exposition::~Exposition() { stop(); }

void Exposition::add(Method method, const std::string& path, std::function<Response()> handler) {
  const auto work = [handler = std::move(handler)](const Request&) -> Answer {
    return Work([&handler]() -> Result { return handler(); });
  };
  routes_.push_back({.method = method, .path = path, .handler = work, .uninstrumented = true});
}

std::expected<std::uint16_t, std::string> Exposition::start(std::uint16_t port) {
  server_ = std::make_unique<Server>(
      Server::Options{.listener = {.port = port, .max_connections = kMaxConnections}, .logger = "http.metrics"},
      Server::Surroundings{telemetry_, http_metrics_, clock_, workers_, workers_, nullptr});
  add_health_routes(*server_, [this] { return ready_.load(); }, "there is no result yet");
  add_metrics_route(*server_, metrics());
  for (auto& route : routes_) server_->add(std::move(route));
  routes_.clear();
  return server_->start();
}

void Exposition::stop() {
  if (server_) server_->stop();
  // Requests on a worker use the server, which therefore must still exist.
  (void)workers_.stop(TimePoint::max());
}

}  // namespace dice::loadgen

#include "loadgen/exposition.h"

#include <utility>

#include "common/base/version.h"
#include "contract/names.h"

namespace dice::loadgen {
namespace {

constexpr std::size_t kWorkers = 4;
constexpr std::size_t kMaxConnections = 64;

Result json_response(std::string body) { return Response{.body = std::move(body)}; }

Route uninstrumented(std::string path, Handler handler) {
  return {.path = std::move(path), .handler = std::move(handler), .uninstrumented = true};
}

}  // namespace

Exposition::Exposition(LogSink& sink, const std::string& service, Clock& clock)
    : telemetry_(sink, {.level = LogLevel::warn, .memory = {}},
                 {.service = service, .exporter = "none", .memory = {.entries = 0}, .disabled = true}),
      http_metrics_(unserved_),
      workers_({.max_threads = kWorkers}),
      clock_(clock) {
  auto& metrics = telemetry_.metrics;
  add_process_metrics(metrics);
  metrics.gauge(Metric::build_info, {{"version", version}, {"commit", commit}}).Set(1);
  routes_.push_back(uninstrumented(route::kHealth, [](const Request&) { return json_response(R"({"status":"ok"})"); }));
  routes_.push_back(uninstrumented(route::kReady, [this](const Request&) -> Result {
    if (ready_) return json_response(R"({"status":"ready"})");
    return std::unexpected(Error{ErrorCode::not_ready, "there is no result yet", 1});
  }));
  routes_.push_back(uninstrumented(route::kMetrics, [this](const Request& request) -> Answer {
    return Work([this, accept = std::string(request.header("Accept"))]() -> Result {
      auto text = telemetry_.metrics.scrape(accept);
      return Response{.body = std::move(text.body), .content_type = std::move(text.content_type)};
    });
  }));
}

Exposition::~Exposition() { stop(); }

void Exposition::add(Method method, const std::string& path, std::function<Response()> handler) {
  auto route = uninstrumented(path, [handler = std::move(handler)](const Request&) -> Answer {
    return Work([&handler]() -> Result { return handler(); });
  });
  route.method = method;
  routes_.push_back(std::move(route));
}

std::expected<std::uint16_t, std::string> Exposition::start(std::uint16_t port) {
  server_ = std::make_unique<Server>(
      Server::Options{.listener = {.port = port, .max_connections = kMaxConnections}, .logger = "http.metrics"},
      Server::Surroundings{telemetry_, http_metrics_, clock_, workers_, workers_, nullptr});
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

#include "common/http/common_routes.h"

#include <utility>

#include "contract/names.h"

namespace dice {
namespace {

Result json_response(const char* body) { return Response{.body = body}; }

}  // namespace

void add_health_routes(Server& server, std::function<bool()> ready, std::string not_ready) {
  const auto healthz = [](const Request&) { return json_response(R"({"status":"ok"})"); };
  const auto readyz = [ready = std::move(ready), not_ready = std::move(not_ready)](const Request&) -> Result {
    if (ready()) return json_response(R"({"status":"ready"})");
    return std::unexpected(Error{ErrorCode::not_ready, not_ready, 1});
  };
  server.add({.path = route::kHealth, .handler = healthz, .uninstrumented = true});
  server.add({.path = route::kReady, .handler = readyz, .uninstrumented = true});
}

void add_metrics_route(Server& server, Metrics& metrics) {
  const auto scrape = [&metrics](const Request& request) -> Answer {
    return Work([&metrics, accept = std::string(request.header("Accept"))]() -> Result {
      auto text = metrics.scrape(accept);
      return Response{.body = std::move(text.body), .content_type = std::move(text.content_type)};
    });
  };
  server.add({.path = route::kMetrics, .handler = scrape, .uninstrumented = true});
}

}  // namespace dice

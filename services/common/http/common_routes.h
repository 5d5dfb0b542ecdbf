// What every port for probes and scrapes serves: /healthz, /readyz and /metrics.
#pragma once

#include <functional>
#include <string>

#include "common/http/server.h"
#include "common/telemetry/metrics.h"

namespace dice {

/// /healthz, and /readyz, which is 503 `not_ready` with this reason unless `ready()`. Call before the server starts.
/// What `ready` uses must outlive it.
void add_health_routes(Server& server, std::function<bool()> ready, std::string not_ready);

/// /metrics. Call before the server starts. `metrics` must outlive it.
void add_metrics_route(Server& server, Metrics& metrics);

}  // namespace dice

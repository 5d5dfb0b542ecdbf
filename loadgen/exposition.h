// The metrics port of a running command: /metrics, /healthz, /readyz.
#pragma once

#include <atomic>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/concurrency/clock.h"
#include "common/concurrency/thread_pool.h"
#include "common/http/server.h"
#include "common/telemetry/telemetry.h"

namespace dice::loadgen {

/// Thread-safe after `start`.
class Exposition {
 public:
  /// Warnings of the server are logged to `sink`, as coming from `service`. Both references must outlive this object.
  Exposition(LogSink& sink, const std::string& service, Clock& clock);
  /// Calls `stop`.
  ~Exposition();
  Exposition(const Exposition&) = delete;
  Exposition& operator=(const Exposition&) = delete;

  /// What /metrics serves; already has dice_build_info and process_*. The requests to this port are not counted in it.
  /// What its `before_scrape` uses must outlive `stop`.
  Metrics& metrics() { return telemetry_.metrics; }

  /// Serves `path`. Call before `start`. `handler` runs on one of a few worker threads, where it may block for a
  /// short time; what it uses must outlive `stop`.
  void add(Method method, const std::string& path, std::function<Response()> handler);

  /// Until this call, and after `set_ready(false)`, /readyz is 503 `not_ready`.
  void set_ready(bool ready) { ready_ = ready; }

  /// Listens on all addresses; port 0 = any free port. Returns the port, or an error message. Call once.
  std::expected<std::uint16_t, std::string> start(std::uint16_t port);

  /// Closes all connections and waits for running handlers. May be called more than once.
  void stop();

 private:
  Telemetry telemetry_;
  /// The http_* metrics of this port, which nobody reads: loadgen is not one of the services.
  Metrics unserved_;
  HttpMetrics http_metrics_;
  std::atomic<bool> ready_ = false;
  ThreadPool workers_;
  Clock& clock_;
  std::vector<Route> routes_;
  /// Created by `start`, which knows the port.
  std::unique_ptr<Server> server_;
};

}  // namespace dice::loadgen

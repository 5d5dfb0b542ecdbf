// Common parts of every service: two ports, health, version, metrics, recent spans and log lines, fault injection,
// graceful shutdown.
#pragma once

#include <atomic>
#include <cstdint>
#include <expected>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "common/concurrency/admission.h"
#include "common/concurrency/clock.h"
#include "common/concurrency/thread_pool.h"
#include "common/config/settings.h"
#include "common/http/faults.h"
#include "common/http/server.h"
#include "common/telemetry/telemetry.h"

namespace dice {

class Service {
 public:
  struct Options {
    /// 0 = any free port.
    std::uint16_t port = 0;
    std::uint16_t metrics_port = 0;
    /// Limits of both ports; the port numbers are those above.
    Listener::Options listener{};
    /// Descriptors that are needed however many requests there are.
    std::size_t descriptors = 0;
    /// Descriptors that a request may need for the calls it makes.
    std::size_t descriptors_per_request = 0;
    std::size_t max_text_bytes = 1024;
    bool metrics_on_main_port = true;
    bool faults_enabled = false;
    /// Maximum number of requests that may block on a thread; further ones get 503 `overloaded`.
    std::size_t max_requests = 2048;
    LoggingOptions logging{};
    Seconds shutdown_delay{0};
    Seconds shutdown_grace{30};
    Seconds shutdown_flush{5};
    Tracing::Options tracing;
  };

  static Options declare(Settings& settings, const std::string& name, std::uint16_t port);

  /// Implements --healthcheck, for images without a shell: requests /healthz from the service on this machine. Exit
  /// code 0 if it returns 200, otherwise 1, with the reason on standard error.
  static int check_health(const Options& options);

  /// Maximum number of connections per port that this process's descriptors allow, regardless of the options.
  struct Connections {
    std::size_t main;
    std::size_t metrics;
  };
  static Connections connections_for(const Options& options, std::size_t descriptors);

  /// All arguments must outlive the service.
  Service(const Options& options, Telemetry& telemetry, Clock& clock);
  ~Service();
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;

  Telemetry& telemetry() { return telemetry_; }
  Clock& clock() { return clock_; }
  /// Null unless `faults_enabled`.
  Faults* faults() { return options_.faults_enabled ? &faults_ : nullptr; }

  /// Adds a route to the main port; call before `start`.
  void add(Route route) { main_.add(std::move(route)); }

  struct Ports {
    std::uint16_t main;
    std::uint16_t metrics;
  };
  /// Opens both ports and becomes ready. Returns the ports, or an error message.
  std::expected<Ports, std::string> start();

  /// Serves until SIGTERM or SIGINT, then shuts down: not ready, `shutdown_delay`, no new requests, requests in flight
  /// finish within `shutdown_grace`, the rest is cancelled and answered, spans are exported within `shutdown_flush`.
  /// Returns the exit code. A second signal ends the process immediately.
  /// `on_hangup` runs on SIGHUP, `every_second` every second, both on this thread; either may be empty.
  int run(const std::function<void()>& on_hangup, const std::function<void()>& every_second);

  /// The same shutdown without a signal, for tests. Call once. False if a handler is still running; then nothing that
  /// it uses may be destroyed.
  bool stop();

 private:
  void add_common_routes();
  /// A route on the metrics port that reads a trace from memory: `find` returns the body; empty if there is nothing.
  void add_memory_route(const char* path, std::string_view what, std::function<std::string(const TraceId&)> find);

  const Options options_;
  Telemetry& telemetry_;
  Clock& clock_;
  const Logger log_;
  HttpMetrics http_metrics_;
  Faults faults_;
  std::atomic<bool> ready_ = false;
  // Requests on a worker use their server, and servers pass requests to workers. Therefore `stop` ends the workers
  // first; only then may the handlers' objects, and these members, be destroyed.
  ThreadPool workers_;
  /// For uninstrumented routes such as /metrics, which blocked requests must not delay.
  ThreadPool uninstrumented_workers_;
  Admission memory_requests_;
  Server main_;
  Server metrics_;
  std::thread flush_;
  std::atomic<bool> flushed_ = false;
};

}  // namespace dice

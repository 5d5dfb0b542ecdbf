// What every service has: two ports, health, version, metrics, recent spans, faults on demand, and an orderly stop.
#pragma once

#include <atomic>
#include <cstdint>
#include <expected>
#include <functional>
#include <optional>
#include <string>
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
    /// 0 = a free one.
    std::uint16_t port = 0;
    std::uint16_t metrics_port = 0;
    /// Limits of both ports; their numbers are those above.
    Listener::Options listener{};
    /// Descriptors that a request may need for the calls it makes.
    std::size_t descriptors_per_request = 0;
    std::size_t max_text_bytes = 1024;
    bool metrics_on_main_port = true;
    bool faults_enabled = false;
    /// Requests that wait on a thread at the same time; more are answered 503 `overloaded`.
    std::size_t max_requests = 2048;
    LogLevel log_level = LogLevel::info;
    Seconds shutdown_delay{0};
    Seconds shutdown_grace{30};
    Seconds shutdown_flush{5};
    Tracing::Options tracing;
  };

  static Options declare(Settings& settings, const std::string& name, std::uint16_t port);

  /// Asks the service that runs on this machine for /healthz, as --healthcheck does: exit code 0 when it answers 200,
  /// else 1, with the reason on standard error. For images without a shell.
  static int check_health(const Options& options);

  /// Connections of each port that the descriptors of this process allow, whatever the options say.
  struct Connections {
    std::size_t main;
    std::size_t metrics;
  };
  static Connections connections_for(const Options& options, std::size_t descriptors);

  /// What is passed in outlives the service.
  Service(const Options& options, Telemetry& telemetry, Clock& clock);
  ~Service();
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;

  Telemetry& telemetry() { return telemetry_; }
  Clock& clock() { return clock_; }

  /// On the main port; before `start`.
  void add(Route route) { main_.add(std::move(route)); }

  struct Ports {
    std::uint16_t main;
    std::uint16_t metrics;
  };
  /// Opens both ports and is ready. Or why not.
  std::expected<Ports, std::string> start();

  /// Serves until SIGTERM or SIGINT, then stops in order: not ready, `shutdown_delay`, no new requests, those in flight
  /// to their end within `shutdown_grace`, what is left is cancelled and answered, spans within `shutdown_flush`. The
  /// exit code. A second signal ends the process at once.
  /// `on_hangup` runs on SIGHUP, `every_second` every second, both on this thread; either may be empty.
  int run(const std::function<void()>& on_hangup, const std::function<void()>& every_second);

  /// The same stop without a signal; for tests. Called once. False when a handler still runs that does not obey: then
  /// nothing that it uses may be destroyed.
  bool stop();

 private:
  void add_common_routes();
  Answer spans(const Request& request);

  const Options options_;
  Telemetry& telemetry_;
  Clock& clock_;
  const Logger log_;
  HttpMetrics http_metrics_;
  Faults faults_;
  std::atomic<bool> ready_ = false;
  // Requests on a worker use their server; servers hand requests to workers. So `stop` ends the workers first, and only
  // then may the handlers' objects, and these, be destroyed.
  ThreadPool workers_;
  /// Of scrapes and what else is asked on the metrics port: not to be held up by requests that wait.
  ThreadPool quiet_workers_;
  Admission span_requests_;
  Server main_;
  Server metrics_;
  std::thread flush_;
  std::atomic<bool> flushed_ = false;
};

}  // namespace dice

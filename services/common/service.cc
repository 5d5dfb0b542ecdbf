#include "common/service.h"

#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <thread>
#include <utility>

#include "common/base/json.h"
#include "common/base/process.h"
#include "common/base/signals.h"
#include "common/base/version.h"
#include "common/http/client.h"
#include "common/http/common_routes.h"
#include "common/http/fault_routes.h"
#include "contract/names.h"

namespace dice {
namespace {

Result json_response(std::string body) { return Response{.body = std::move(body)}; }

/// Descriptors for standard streams, ports, reactors, files, the exporter, connections above the limit.
constexpr std::size_t kReservedDescriptors = 96;
constexpr std::size_t kUninstrumentedWorkers = 32;
/// Limited, because assembling a large trace takes much memory.
constexpr std::size_t kMaxMemoryRequests = 4;
/// Time for cancelled work to end, and then for threads to end. Three times this value is less than a second.
constexpr Seconds kCancelGrace{0.3};

}  // namespace

int Service::check_health(const Options& options) {
  if (options.port == 0) {
    std::cerr << "PORT: \"0\" is not allowed with --healthcheck; allowed: the port of a running service\n";
    return 1;
  }
  const auto url = "http://127.0.0.1:" + std::to_string(options.port);
  const auto answer =
      Client({.base_url = url, .name = "the service"}).get({.path = route::kHealth, .route = route::kHealth}, nullptr);
  if (answer && answer->status == 200) return 0;
  std::cerr << url << route::kHealth << ": "
            << (answer ? "status " + std::to_string(answer->status) : answer.error().message) << "\n";
  return 1;
}

Service::Connections Service::connections_for(const Options& options, std::size_t descriptors) {
  const auto left = descriptors - std::min(descriptors, kReservedDescriptors + options.descriptors);
  const auto metrics = std::max<std::size_t>(1, std::min(options.listener.max_connections, left / 4));
  // Each connection may have a request that makes a call, but at most `max_requests` do so at the same time.
  const auto rest = left - std::min(left, metrics);
  const auto calls = options.descriptors_per_request * options.max_requests;
  const auto main = std::max(rest / (1 + options.descriptors_per_request), rest - std::min(rest, calls));
  return {std::max<std::size_t>(1, std::min(options.listener.max_connections, main)), metrics};
}

namespace {

Server::Options server_options(const Service::Options& options, std::uint16_t port, int threads,
                               std::size_t connections, const char* logger) {
  Server::Options server{.listener = options.listener, .logger = logger, .max_text_bytes = options.max_text_bytes};
  server.listener.port = port;
  server.listener.threads = threads;
  server.listener.max_connections = connections;
  return server;
}

}  // namespace

Service::Service(const Options& options, Telemetry& telemetry, Clock& clock)
    : options_(options),
      telemetry_(telemetry),
      clock_(clock),
      log_(telemetry.log),
      http_metrics_(telemetry.metrics),
      faults_(clock),
      workers_({.max_threads = options.max_requests}),
      uninstrumented_workers_({.max_threads = kUninstrumentedWorkers}),
      memory_requests_(kMaxMemoryRequests),
      main_(server_options(options, options.port,
                           static_cast<int>(std::clamp(std::thread::hardware_concurrency(), 1U, 4U)),
                           connections_for(options, descriptor_limit()).main, "http"),
            {telemetry, http_metrics_, clock, uninstrumented_workers_, workers_, &faults_}),
      metrics_(server_options(options, options.metrics_port, 1, connections_for(options, descriptor_limit()).metrics,
                              "http.metrics"),
               {telemetry, http_metrics_, clock, uninstrumented_workers_, workers_, nullptr}) {
  auto& metrics = telemetry.metrics;
  add_process_metrics(metrics);
  metrics.gauge(Metric::build_info, {{"version", version}, {"commit", commit}}).Set(1);
  auto& exported = metrics.counter(Metric::spans_exported);
  auto& dropped = metrics.counter(Metric::spans_dropped);
  auto& queued = metrics.gauge(Metric::spans_queued);
  auto& lines_dropped = metrics.counter(Metric::log_lines_dropped);
  auto& fault_active = metrics.gauge(Metric::fault_injection_active);
  metrics.before_scrape([&, this] {
    queued.Set(static_cast<double>(telemetry_.tracing.queued()));
    exported.Increment(static_cast<double>(telemetry_.tracing.exported()) - exported.Value());
    dropped.Increment(static_cast<double>(telemetry_.tracing.dropped()) - dropped.Value());
    lines_dropped.Increment(static_cast<double>(telemetry_.log.sink().dropped()) - lines_dropped.Value());
    fault_active.Set(faults_.get().active() ? 1 : 0);
  });
  add_common_routes();
  if (options.faults_enabled) add_fault_routes(metrics_, faults_, log_);
}

void Service::add_common_routes() {
  const auto version_of = [this](const Request&) {
    return json_response(json_object([this](JsonWriter& writer) {
      write_member(writer, "service", options_.tracing.service);
      write_member(writer, "version", version);
      write_member(writer, "commit", commit);
    }));
  };
  for (Server* server : {&main_, &metrics_}) {
    add_health_routes(*server, [this] { return ready_.load(); }, "the service is starting or stopping");
    if (server == &metrics_ || options_.metrics_on_main_port) add_metrics_route(*server, telemetry_.metrics);
  }
  main_.add({.path = route::kVersion, .handler = version_of});
  add_memory_route(route::kSpans, "spans", [this](const TraceId& id) { return telemetry_.tracing.recent_spans(id); });
  add_memory_route(route::kLogs, "log lines", [this](const TraceId& id) { return telemetry_.recent_log_lines(id); });
}

void Service::add_memory_route(const char* path, std::string_view what,
                               std::function<std::string(const TraceId&)> find) {
  const auto handler = [this, what, find = std::move(find)](const Request& request) -> Answer {
    const auto id = parse_trace_id(request.path_parameters.at("trace_id"));
    if (!id) {
      return std::unexpected(
          Error{ErrorCode::invalid_parameter, "parameter 'trace_id' must be 32 lower-case hex digits"});
    }
    auto ticket = memory_requests_.try_acquire(1);
    if (!ticket) return std::unexpected(Error{ErrorCode::overloaded, "too many concurrent requests for traces", 1});
    return Work([&find, what, id = *id, ticket = std::move(*ticket)]() -> Result {
      if (auto body = find(id); !body.empty()) return json_response(std::move(body));
      return std::unexpected(
          Error{ErrorCode::trace_not_found, "there are no recent " + std::string(what) + " of this trace"});
    });
  };
  metrics_.add({.path = path, .handler = handler, .uninstrumented = true});
}

std::expected<Service::Ports, std::string> Service::start() {
  const auto metrics_port = metrics_.start();
  if (!metrics_port) return std::unexpected(metrics_port.error());
  const auto port = main_.start();
  if (!port) {
    metrics_.stop();
    (void)uninstrumented_workers_.stop(TimePoint::max());
    return std::unexpected(port.error());
  }
  ready_ = true;
  log_.log(LogMessage::listening, nullptr,
           {{"port", std::int64_t{*port}},
            {"metrics_port", std::int64_t{*metrics_port}},
            {"version", std::string_view(version)}});
  return Ports{*port, *metrics_port};
}

int Service::run(const std::function<void()>& on_hangup, const std::function<void()>& every_second) {
  wait_for_stop(on_hangup, every_second);
  log_.log(LogMessage::stopping, nullptr, {{"in_flight", static_cast<std::int64_t>(main_.in_flight())}});
  if (stop()) return 0;
  // Something is still running. The objects that it uses must stay alive, so the process ends without destroying
  // anything.
  (void)telemetry_.log.sink().flush(kCancelGrace);
  ::_exit(0);
}

bool Service::stop() {
  using std::chrono::steady_clock;
  const auto none_in_flight = [this] { return main_.in_flight() == 0; };
  ready_ = false;
  main_.drain();
  wait_until([] { return false; }, options_.shutdown_delay);
  main_.refuse();
  wait_until(none_in_flight, options_.shutdown_grace);
  if (const auto left = main_.in_flight(); left > 0) {
    log_.log(LogMessage::stopped_in_flight, nullptr, {{"in_flight", static_cast<std::int64_t>(left)}});
    main_.cancel();
    wait_until(none_in_flight, kCancelGrace);
  }
  main_.stop();
  wait_until([this] { return workers_.stop(steady_clock::now()); }, kCancelGrace);
  flush_ = std::thread([this] {
    telemetry_.tracing.shutdown(std::chrono::duration_cast<std::chrono::milliseconds>(options_.shutdown_flush));
    flushed_ = true;
  });
  wait_until([this] { return flushed_.load(); }, options_.shutdown_flush + kCancelGrace / 2);
  metrics_.stop();
  wait_until([this] { return uninstrumented_workers_.stop(steady_clock::now()); }, kCancelGrace / 2);
  log_.log(LogMessage::stopped, nullptr,
           {{"spans_exported", static_cast<std::int64_t>(telemetry_.tracing.exported())},
            {"spans_dropped", static_cast<std::int64_t>(telemetry_.tracing.dropped() + telemetry_.tracing.queued())}});
  return flushed_ && workers_.stop(steady_clock::now()) && uninstrumented_workers_.stop(steady_clock::now());
}

Service::~Service() {
  if (flush_.joinable()) flush_.join();
}

}  // namespace dice

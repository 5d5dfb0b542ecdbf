#include "common/service.h"

#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <iostream>
#include <limits>
#include <thread>
#include <utility>

#include "common/base/json.h"
#include "common/base/json_view.h"
#include "common/base/process.h"
#include "common/base/version.h"
#include "common/http/client.h"

namespace dice {
namespace {

Result json_response(std::string body) { return Response{.body = std::move(body)}; }

std::string faults_json(const Faults::Setting& setting) {
  return json_object([&](JsonWriter& writer) {
    write_member(writer, "delay_seconds", setting.delay_seconds);
    write_member(writer, "error_rate", setting.error_rate);
  });
}

/// Descriptors for standard streams, ports, reactors, files, the exporter, connections above the limit.
constexpr std::size_t kReservedDescriptors = 96;
constexpr std::size_t kQuietWorkers = 32;
/// Limited, because assembling a large trace takes much memory.
constexpr std::size_t kSpanRequestsAtOnce = 4;
/// Time for cancelled work, and then for threads, to end. Three times this is less than a second.
constexpr Seconds kCancelGrace{0.3};

void declare_limits(Settings& settings, Service::Options& options) {
  auto& listener = options.listener;
  auto& connection = listener.connection;
  const auto size = [&settings](const char* name, std::size_t& value, std::int64_t min, std::int64_t max,
                                const char* help) {
    value = static_cast<std::size_t>(settings.integer(name, static_cast<std::int64_t>(value), min, max, help));
  };
  const auto seconds = [&settings](const char* name, Seconds& value, const char* help) {
    value = Seconds(settings.number(name, value.count(), 0.1, 86'400, help));
  };
  seconds("HTTP_HEADER_TIMEOUT_SECONDS", connection.header_timeout,
          "Maximum time from a request's first byte to the end of its headers; after that, it gets 408.");
  seconds("HTTP_BODY_TIMEOUT_SECONDS", connection.body_timeout,
          "Maximum time from the end of the headers to the end of the body; after that, the request gets 408.");
  seconds("HTTP_IDLE_TIMEOUT_SECONDS", connection.idle_timeout,
          "Maximum idle time of a connection between two requests; after that, it is closed.");
  seconds("HTTP_WRITE_TIMEOUT_SECONDS", connection.write_timeout,
          "Maximum time without a client reading any of its reply; after that, the connection is reset.");
  size("HTTP_MAX_HEADER_BYTES", connection.request.max_header_bytes, 1'024, 1 << 20,
       "Maximum bytes of the request line and the headers; larger requests get 414 or 431.");
  size("HTTP_MAX_HEADERS", connection.request.max_headers, 1, 10'000,
       "Maximum number of headers per request; requests with more get 431.");
  size("HTTP_MAX_BODY_BYTES", connection.request.max_body_bytes, 0, 1 << 30,
       "Maximum bytes of a request body; larger requests get 413.");
  size("HTTP_MAX_PIPELINED_BYTES", connection.max_pipelined_bytes, 1'024, 1 << 20,
       "Maximum bytes read from a connection ahead of the current request.");
  size("HTTP_MAX_CONNECTIONS", listener.max_connections, 1, 1'000'000,
       "Maximum connections per port, if the descriptors allow them. At the limit, the connection idle the longest is "
       "closed; if none is idle, only probes are answered and other requests get 503.");
  size("HTTP_MAX_BUFFERED_BYTES", listener.max_buffered_bytes, 1 << 16, 1LL << 34U,
       "Maximum bytes of incomplete requests and unread replies per port; above it, idle connections are closed.");
  size("MAX_TEXT_BYTES", options.max_text_bytes, 64, 65'536,
       "Maximum bytes of client input in a span attribute or log field; longer values are truncated and end with an "
       "ellipsis.");
}

std::expected<Faults::Setting, Error> parse_faults(const std::string& body) {
  constexpr double kLongestDelay = 60;
  const auto invalid = [](const std::string& message) {
    return std::unexpected(Error{ErrorCode::invalid_parameter, message});
  };
  const auto document = parse_json(body);
  if (!document || !document->IsObject()) {
    return invalid(R"(the body must be a JSON object such as {"delay_seconds":0.5,"error_rate":0.1})");
  }
  Faults::Setting setting;
  for (const auto& [name, value] : JsonView(*document).members()) {
    const bool delay = name == "delay_seconds";
    if (!delay && name != "error_rate") {
      return invalid(in_quotes(name) + " is not a field; allowed: delay_seconds, error_rate");
    }
    const double most = delay ? kLongestDelay : 1;
    const auto number = value.number();
    if (!number || *number < 0 || *number > most) {
      return invalid("'" + std::string(name) + "' must be a number from 0 to " +
                     std::to_string(static_cast<int>(most)));
    }
    (delay ? setting.delay_seconds : setting.error_rate) = *number;
  }
  return setting;
}

}  // namespace

Service::Options Service::declare(Settings& settings, const std::string& name, std::uint16_t port) {
  constexpr int kHighestPort = std::numeric_limits<std::uint16_t>::max();
  Options options;
  options.port = static_cast<std::uint16_t>(
      settings.integer("PORT", port, 0, kHighestPort, "Port of the API; 0 = any free port, which is logged."));
  options.metrics_port =
      static_cast<std::uint16_t>(settings.integer("METRICS_PORT", port + 1000, 0, kHighestPort,
                                                  "Port of /metrics and /debug; 0 = any free port, which is logged."));
  options.metrics_on_main_port =
      settings.flag("METRICS_ON_MAIN_PORT", options.metrics_on_main_port, "Serve /metrics on PORT, too.");
  options.faults_enabled =
      settings.flag("FAULTS_ENABLED", options.faults_enabled, "Allow PUT /debug/faults on the metrics port.");
  options.max_requests = static_cast<std::size_t>(
      settings.integer("MAX_REQUESTS", static_cast<std::int64_t>(options.max_requests), 1, 100'000,
                       "Maximum number of requests that may wait at the same time; further ones get 503."));
  declare_limits(settings, options);
  options.log_level =
      parse_log_level(settings.choice("LOG_LEVEL", "info", {"debug", "info", "warn", "error"}, "Minimum log level."));
  options.shutdown_delay = Seconds(settings.number("SHUTDOWN_DELAY_SECONDS", options.shutdown_delay.count(), 0, 600,
                                                   "After SIGTERM: time to keep serving while not ready."));
  options.shutdown_grace = Seconds(settings.number("SHUTDOWN_GRACE_SECONDS", options.shutdown_grace.count(), 0, 600,
                                                   "After that: maximum time for requests in flight to finish."));
  options.shutdown_flush = Seconds(settings.number("SHUTDOWN_FLUSH_SECONDS", options.shutdown_flush.count(), 0, 600,
                                                   "After that: maximum time to export the queued spans."));
  options.tracing = Tracing::declare(settings, name);
  return options;
}

int Service::check_health(const Options& options) {
  if (options.port == 0) {
    std::cerr << "PORT: \"0\" is not allowed with --healthcheck; allowed: the port of a running service\n";
    return 1;
  }
  const auto url = "http://127.0.0.1:" + std::to_string(options.port);
  const auto answer =
      Client({.base_url = url, .name = "the service"}).get({.path = "/healthz", .route = "/healthz"}, nullptr);
  if (answer && answer->status == 200) return 0;
  std::cerr << url << "/healthz: " << (answer ? "status " + std::to_string(answer->status) : answer.error().message)
            << "\n";
  return 1;
}

Service::Connections Service::connections_for(const Options& options, std::size_t descriptors) {
  const auto left = descriptors - std::min(descriptors, kReservedDescriptors);
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
      workers_({.max_threads = options.max_requests}),
      quiet_workers_({.max_threads = kQuietWorkers}),
      span_requests_(kSpanRequestsAtOnce),
      main_(server_options(options, options.port,
                           static_cast<int>(std::clamp(std::thread::hardware_concurrency(), 1U, 4U)),
                           connections_for(options, descriptor_limit()).main, "http"),
            {telemetry, http_metrics_, clock, quiet_workers_, workers_, &faults_}),
      metrics_(server_options(options, options.metrics_port, 1, connections_for(options, descriptor_limit()).metrics,
                              "http.metrics"),
               {telemetry, http_metrics_, clock, quiet_workers_, workers_, nullptr}) {
  auto& metrics = telemetry.metrics;
  add_process_metrics(metrics);
  metrics.gauge("build_info", "Build information; always 1.", {{"version", version}, {"commit", commit}}).Set(1);
  auto& exported = metrics.counter("telemetry_spans_exported_total", "Spans exported successfully.");
  auto& dropped = metrics.counter("telemetry_spans_dropped_total",
                                  "Spans dropped because the export failed or the queue was full.");
  auto& queued = metrics.gauge("telemetry_spans_queued", "Spans queued for export or being exported.");
  auto& lines_dropped =
      metrics.counter("telemetry_log_lines_dropped_total", "Log lines dropped because standard output was not read.");
  auto& fault_active =
      metrics.gauge("fault_injection_active", "1 while a fault is injected through PUT /debug/faults.");
  metrics.before_scrape([&, this] {
    queued.Set(static_cast<double>(telemetry_.tracing.queued()));
    exported.Increment(static_cast<double>(telemetry_.tracing.exported()) - exported.Value());
    dropped.Increment(static_cast<double>(telemetry_.tracing.dropped()) - dropped.Value());
    lines_dropped.Increment(static_cast<double>(telemetry_.log.sink().dropped()) - lines_dropped.Value());
    fault_active.Set(faults_.get().active() ? 1 : 0);
  });
  add_common_routes();
  if (options.faults_enabled) add_fault_routes();
}

void Service::add_common_routes() {
  const auto healthz = [](const Request&) { return json_response(R"({"status":"ok"})"); };
  const auto readyz = [this](const Request&) -> Result {
    if (ready_) return json_response(R"({"status":"ready"})");
    return std::unexpected(Error{ErrorCode::not_ready, "starting or stopping", 1});
  };
  const auto version_of = [this](const Request&) {
    return json_response(json_object([this](JsonWriter& writer) {
      write_member(writer, "service", options_.tracing.service);
      write_member(writer, "version", version);
      write_member(writer, "commit", commit);
    }));
  };
  const auto scrape = [this](const Request& request) -> Answer {
    return Work([this, accept = std::string(request.header("Accept"))]() -> Result {
      auto text = telemetry_.metrics.scrape(accept);
      return Response{.body = std::move(text.body), .content_type = std::move(text.content_type)};
    });
  };
  const auto quiet = [](std::string path, Handler handler) {
    return Route{.path = std::move(path), .handler = std::move(handler), .quiet = true};
  };
  for (Server* server : {&main_, &metrics_}) {
    server->add(quiet("/healthz", healthz));
    server->add(quiet("/readyz", readyz));
    if (server == &metrics_ || options_.metrics_on_main_port) server->add(quiet("/metrics", scrape));
  }
  main_.add({.path = "/version", .handler = version_of});
  metrics_.add(quiet("/debug/spans/{trace_id}", [this](const Request& request) { return spans(request); }));
}

Answer Service::spans(const Request& request) {
  const auto id = parse_trace_id(request.path_parameters.at("trace_id"));
  if (!id) {
    return std::unexpected(
        Error{ErrorCode::invalid_parameter, "parameter 'trace_id' must be 32 lower-case hex digits"});
  }
  auto ticket = span_requests_.try_acquire(1);
  if (!ticket) return std::unexpected(Error{ErrorCode::overloaded, "too many traces are asked for at once", 1});
  return Work([this, id = *id, ticket = std::move(*ticket)]() -> Result {
    auto body = telemetry_.tracing.remembered(id);
    if (body.empty()) return std::unexpected(Error{ErrorCode::trace_not_found, "no span of this trace is remembered"});
    return json_response(std::move(body));
  });
}

void Service::add_fault_routes() {
  const auto show = [this](const Request&) { return json_response(faults_json(faults_.get())); };
  const auto put = [this](const Request& request) -> Result {
    const auto setting = parse_faults(request.body);
    if (!setting) return std::unexpected(setting.error());
    faults_.set(*setting);
    log_.log(LogLevel::warn, "Fault injection set", nullptr,
             {{"delay_seconds", setting->delay_seconds}, {"error_rate", setting->error_rate}});
    return json_response(faults_json(*setting));
  };
  metrics_.add({.path = "/debug/faults", .handler = show, .quiet = true});
  metrics_.add({.method = Method::put, .path = "/debug/faults", .handler = put, .quiet = true});
}

std::expected<Service::Ports, std::string> Service::start() {
  const auto metrics_port = metrics_.start();
  if (!metrics_port) return std::unexpected(metrics_port.error());
  const auto port = main_.start();
  if (!port) {
    metrics_.stop();
    (void)quiet_workers_.stop(TimePoint::max());
    return std::unexpected(port.error());
  }
  ready_ = true;
  log_.log(LogLevel::info, "Listening", nullptr,
           {{"port", std::int64_t{*port}},
            {"metrics_port", std::int64_t{*metrics_port}},
            {"version", std::string_view(version)}});
  return Ports{*port, *metrics_port};
}

int Service::run(const std::function<void()>& on_hangup, const std::function<void()>& every_second) {
  auto tick = std::chrono::steady_clock::now();
  for (;;) {
    tick += std::chrono::seconds(1);
    int signal = 0;
    do {
      const Seconds left = tick - std::chrono::steady_clock::now();
      signal = wait_for_signal(std::max(left, Seconds(0)));
      if (signal == SIGHUP && on_hangup) on_hangup();
    } while (signal == SIGHUP);
    if (asks_to_end(signal)) break;
    if (every_second) every_second();
  }
  log_.log(LogLevel::info, "Stopping", nullptr, {{"in_flight", static_cast<std::int64_t>(main_.in_flight())}});
  if (stop()) return 0;
  // Something is still running. The objects that it uses must stay alive, so the process ends without destroying
  // anything.
  (void)telemetry_.log.sink().flush(kCancelGrace);
  ::_exit(0);
}

bool Service::stop() {
  using std::chrono::steady_clock;
  // A second signal ends the process immediately, whatever it is doing below, without waiting for stdout.
  const auto pause = [](Seconds length) {
    if (const int signal = wait_for_signal(length); asks_to_end(signal)) ::_exit(128 + signal);
  };
  const auto until = [&pause](Seconds limit, const auto& done) {
    const auto deadline = steady_clock::now() + to_steady(limit);
    while (!done() && steady_clock::now() < deadline) pause(Seconds(0.005));
  };
  const auto none_in_flight = [this] { return main_.in_flight() == 0; };
  ready_ = false;
  main_.drain();
  until(options_.shutdown_delay, [] { return false; });
  main_.refuse();
  until(options_.shutdown_grace, none_in_flight);
  if (const auto left = main_.in_flight(); left > 0) {
    log_.log(LogLevel::warn, "Stopped with requests in flight", nullptr,
             {{"in_flight", static_cast<std::int64_t>(left)}});
    main_.cancel();
    until(kCancelGrace, none_in_flight);
  }
  main_.stop();
  until(kCancelGrace, [this] { return workers_.stop(steady_clock::now()); });
  flush_ = std::thread([this] {
    telemetry_.tracing.shutdown(std::chrono::duration_cast<std::chrono::milliseconds>(options_.shutdown_flush));
    flushed_ = true;
  });
  until(options_.shutdown_flush + kCancelGrace / 2, [this] { return flushed_.load(); });
  metrics_.stop();
  until(kCancelGrace / 2, [this] { return quiet_workers_.stop(steady_clock::now()); });
  log_.log(LogLevel::info, "Stopped", nullptr,
           {{"spans_exported", static_cast<std::int64_t>(telemetry_.tracing.exported())},
            {"spans_dropped", static_cast<std::int64_t>(telemetry_.tracing.dropped() + telemetry_.tracing.queued())}});
  return flushed_ && workers_.stop(steady_clock::now()) && quiet_workers_.stop(steady_clock::now());
}

Service::~Service() {
  if (flush_.joinable()) flush_.join();
}

}  // namespace dice

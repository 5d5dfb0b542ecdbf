#include "common/service.h"

#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <ctime>
#include <limits>
#include <thread>
#include <utility>

#include "common/json.h"
#include "common/json_view.h"
#include "common/version.h"

namespace dice {
namespace {

sigset_t our_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, signal);
  return set;
}

/// The signal that came, or 0 after `limit`.
int wait_for_signal(Seconds limit) {
  const auto set = our_signals();
  const auto nanoseconds = std::chrono::duration_cast<std::chrono::nanoseconds>(limit).count();
  const timespec timeout{nanoseconds / 1'000'000'000, nanoseconds % 1'000'000'000};
  const int signal = sigtimedwait(&set, nullptr, &timeout);
  return signal > 0 ? signal : 0;
}

bool ends(int signal) { return signal == SIGTERM || signal == SIGINT; }

Result json_response(std::string body) { return Response{.body = std::move(body)}; }

std::string faults_json(const Faults::Setting& setting) {
  return json_object([&](JsonWriter& writer) {
    write_member(writer, "delay_seconds", setting.delay_seconds);
    write_member(writer, "error_rate", setting.error_rate);
  });
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

void block_signals() {
  const auto set = our_signals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  (void)std::signal(SIGPIPE, SIG_IGN);
}

Service::Options Service::declare(Settings& settings, const std::string& name, std::uint16_t port) {
  constexpr int kHighestPort = std::numeric_limits<std::uint16_t>::max();
  Options options;
  options.port = static_cast<std::uint16_t>(
      settings.integer("PORT", port, 0, kHighestPort, "Port of the API, 0 = a free one, which is logged."));
  options.metrics_port = static_cast<std::uint16_t>(settings.integer(
      "METRICS_PORT", port + 1000, 0, kHighestPort, "Port of /metrics and /debug, 0 = a free one, which is logged."));
  options.metrics_on_main_port =
      settings.flag("METRICS_ON_MAIN_PORT", options.metrics_on_main_port, "Serve /metrics on PORT, too.");
  options.faults_enabled =
      settings.flag("FAULTS_ENABLED", options.faults_enabled, "Allow PUT /debug/faults on the metrics port.");
  options.max_requests = static_cast<std::size_t>(
      settings.integer("MAX_REQUESTS", static_cast<std::int64_t>(options.max_requests), 1, 100'000,
                       "Requests that wait for something at the same time; more are answered 503."));
  options.log_level =
      parse_log_level(settings.choice("LOG_LEVEL", "info", {"debug", "info", "warn", "error"}, "Least level logged."));
  options.shutdown_delay = Seconds(settings.number("SHUTDOWN_DELAY_SECONDS", options.shutdown_delay.count(), 0, 600,
                                                   "After SIGTERM: not ready but serving, for so long."));
  options.shutdown_grace = Seconds(settings.number("SHUTDOWN_GRACE_SECONDS", options.shutdown_grace.count(), 0, 600,
                                                   "Then: longest wait for the requests in flight."));
  options.tracing = Tracing::declare(settings, name);
  return options;
}

Service::Service(const Options& options, Telemetry& telemetry, Clock& clock)
    : options_(options),
      telemetry_(telemetry),
      clock_(clock),
      log_(telemetry.log),
      http_metrics_(telemetry.metrics),
      workers_({.max_threads = options.max_requests}),
      main_({.port = options.port,
             .io_threads = static_cast<int>(std::clamp(std::thread::hardware_concurrency(), 1U, 4U)),
             .logger = "http"},
            telemetry, http_metrics_, workers_, clock, &faults_),
      metrics_({.port = options.metrics_port, .io_threads = 1, .logger = "http.metrics"}, telemetry, http_metrics_,
               workers_, clock, nullptr) {
  auto& metrics = telemetry.metrics;
  add_process_metrics(metrics);
  metrics.gauge("build_info", "1, with what was built.", {{"version", version}, {"commit", commit}}).Set(1);
  auto& exported = metrics.counter("telemetry_spans_exported_total", "Spans that the exporter delivered.");
  auto& dropped = metrics.counter("telemetry_spans_dropped_total",
                                  "Spans that the exporter could not deliver, or that found the queue full.");
  auto& queued = metrics.gauge("telemetry_spans_queued", "Spans that wait for the exporter, or for its answer.");
  auto& fault_active = metrics.gauge("fault_injection_active", "1 while PUT /debug/faults is in force.");
  metrics.before_scrape([&, this] {
    queued.Set(static_cast<double>(telemetry_.tracing.queued()));
    exported.Increment(static_cast<double>(telemetry_.tracing.exported()) - exported.Value());
    dropped.Increment(static_cast<double>(telemetry_.tracing.dropped()) - dropped.Value());
    fault_active.Set(faults_.get().active() ? 1 : 0);
  });
  add_common_routes();
  if (options.faults_enabled) add_fault_routes();
}

Result Service::scrape(const Request& request) {
  auto text = telemetry_.metrics.scrape(request.accept);
  return Response{.body = std::move(text.body), .content_type = std::move(text.content_type)};
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
  const auto scrape_handler = [this](const Request& request) { return scrape(request); };
  const auto spans = [this](const Request& request) -> Result {
    const auto id = parse_trace_id(request.path_parameters.at("trace_id"));
    if (!id) {
      return std::unexpected(
          Error{ErrorCode::invalid_parameter, "parameter 'trace_id' must be 32 lower-case hex digits"});
    }
    auto body = telemetry_.tracing.remembered(*id);
    if (body.empty()) return std::unexpected(Error{ErrorCode::trace_not_found, "no span of this trace is remembered"});
    return json_response(std::move(body));
  };
  const auto quiet = [](std::string path, Handler handler) {
    return Route{.path = std::move(path), .handler = std::move(handler), .quiet = true};
  };
  for (Server* server : {&main_, &metrics_}) {
    server->add(quiet("/healthz", healthz));
    server->add(quiet("/readyz", readyz));
    if (server == &metrics_ || options_.metrics_on_main_port) server->add(quiet("/metrics", scrape_handler));
  }
  main_.add({.path = "/version", .handler = Handler(version_of)});
  metrics_.add(quiet("/debug/spans/{trace_id}", spans));
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
  metrics_.add({.path = "/debug/faults", .handler = Handler(show), .quiet = true});
  metrics_.add({.method = Method::put, .path = "/debug/faults", .handler = Handler(put), .quiet = true});
}

std::expected<Service::Ports, std::string> Service::start() {
  const auto metrics_port = metrics_.start();
  if (!metrics_port) return std::unexpected(metrics_port.error());
  const auto port = main_.start();
  if (!port) return std::unexpected(port.error());
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
    if (ends(signal)) break;
    if (every_second) every_second();
  }
  log_.log(LogLevel::info, "Stopping", nullptr, {{"in_flight", static_cast<std::int64_t>(main_.in_flight())}});
  stop();
  return 0;
}

void Service::stop() {
  // A second signal ends the process at once, wherever it is below: stdout is not worth waiting for either.
  const auto pause = [](Seconds length) {
    if (const int signal = wait_for_signal(length); ends(signal)) ::_exit(128 + signal);
  };
  const auto until = [&pause](TimePoint deadline, const auto& done) {
    while (!done() && std::chrono::steady_clock::now() < deadline) pause(Seconds(0.005));
  };
  ready_ = false;
  main_.drain();
  until(std::chrono::steady_clock::now() + to_steady(options_.shutdown_delay), [] { return false; });
  main_.refuse();
  until(std::chrono::steady_clock::now() + to_steady(options_.shutdown_grace),
        [this] { return main_.in_flight() == 0; });
  if (const auto left = main_.in_flight(); left > 0) {
    log_.log(LogLevel::warn, "Stopped with requests in flight", nullptr,
             {{"in_flight", static_cast<std::int64_t>(left)}});
  }
  main_.stop();
  telemetry_.tracing.shutdown(std::chrono::seconds(5));
  metrics_.stop();
  log_.log(LogLevel::info, "Stopped", nullptr,
           {{"spans_exported", static_cast<std::int64_t>(telemetry_.tracing.exported())},
            {"spans_dropped", static_cast<std::int64_t>(telemetry_.tracing.dropped())}});
}

}  // namespace dice

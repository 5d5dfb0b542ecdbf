#include <limits>

#include "common/service.h"

namespace dice {
namespace {

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

}  // namespace

Service::Options Service::declare(Settings& settings, const std::string& name, std::uint16_t port) {
  constexpr int kMaxPort = std::numeric_limits<std::uint16_t>::max();
  Options options;
  options.port = static_cast<std::uint16_t>(
      settings.integer("PORT", port, 0, kMaxPort, "Port of the API; 0 = any free port, which is logged."));
  options.metrics_port = static_cast<std::uint16_t>(settings.integer(
      "METRICS_PORT", port + 1000, 0, kMaxPort, "Port of /metrics and /debug; 0 = any free port, which is logged."));
  options.metrics_on_main_port =
      settings.flag("METRICS_ON_MAIN_PORT", options.metrics_on_main_port, "Serve /metrics on PORT, too.");
  options.faults_enabled =
      settings.flag("FAULTS_ENABLED", options.faults_enabled,
                    "Allow PUT /debug/faults on the metrics port, and on the frontend PUT /api/faults.");
  options.max_requests = static_cast<std::size_t>(
      settings.integer("MAX_REQUESTS", static_cast<std::int64_t>(options.max_requests), 1, 100'000,
                       "Maximum number of requests that may block at the same time; further ones get 503."));
  declare_limits(settings, options);
  options.logging.level =
      parse_log_level(settings.choice("LOG_LEVEL", "info", {"debug", "info", "warn", "error"}, "Minimum log level."));
  auto& memory = options.logging.memory;
  memory.bytes = static_cast<std::size_t>(
      settings.integer("LOG_MEMORY_BYTES", static_cast<std::int64_t>(memory.bytes), 0, 1LL << 34U,
                       "Maximum bytes of recent log lines with a trace id kept in memory; 0 = none."));
  options.shutdown_delay = Seconds(settings.number("SHUTDOWN_DELAY_SECONDS", options.shutdown_delay.count(), 0, 600,
                                                   "After SIGTERM: time to keep serving while not ready."));
  options.shutdown_grace = Seconds(settings.number("SHUTDOWN_GRACE_SECONDS", options.shutdown_grace.count(), 0, 600,
                                                   "After that: maximum time for requests in flight to finish."));
  options.shutdown_flush = Seconds(settings.number("SHUTDOWN_FLUSH_SECONDS", options.shutdown_flush.count(), 0, 600,
                                                   "After that: maximum time to export the queued spans."));
  options.tracing = TracingOptions::declare(settings, name);
  return options;
}

}  // namespace dice

#include "common/http/middleware.h"

#include <algorithm>
#include <vector>

#include "common/base/utf8.h"

namespace dice {
namespace {

constexpr std::size_t kLongestBaggage = 8192;  // W3C Baggage, section 3.3.2
constexpr std::size_t kLongestState = 512;     // W3C Trace Context, section 3.3.1.5

/// To be sent on as it is: one line of printable ASCII.
std::string passable(std::string_view value, std::size_t longest) {
  const auto printable = [](char c) { return c >= ' ' && c <= '~'; };
  return value.size() <= longest && std::ranges::all_of(value, printable) ? std::string(value) : std::string();
}

TraceContext parent_of(const Request& request) {
  auto parent = parse_traceparent(request.header("traceparent")).value_or(TraceContext{});
  if (parent.valid()) parent.state = passable(request.header("tracestate"), kLongestState);
  parent.baggage = passable(request.header("baggage"), kLongestBaggage);
  return parent;
}

}  // namespace

std::optional<Answer> SpanMiddleware::before(Exchange& exchange) {
  const auto& request = exchange.request;
  const auto parent = parent_of(request);
  if (exchange.quiet() || exchange.refusal) {
    exchange.trace = tracing_.untraced(parent);
    return std::nullopt;
  }
  const auto method = name_of(request.method);
  std::string name(method);
  if (!exchange.match.path.empty()) name.append(" ").append(exchange.match.path);
  exchange.span = tracing_.start(name, SpanKind::server, parent,
                                 {{"http.request.method", method},
                                  {"url.path", shortened(request.path, max_text_bytes_)},
                                  {"url.scheme", std::string_view("http")}});
  auto& span = exchange.span;
  if (!exchange.match.path.empty()) span.set("http.route", exchange.match.path);
  if (!request.host.empty()) span.set("server.address", shortened(request.host, max_text_bytes_));
  if (request.port != 0) span.set("server.port", std::int64_t{request.port});
  exchange.trace = span.context();
  return std::nullopt;
}

void SpanMiddleware::after(Exchange& exchange, const Outcome& outcome) {
  auto& span = exchange.span;
  span.set("http.response.status_code", std::int64_t{outcome.status});
  const auto type = outcome.error_code.empty() ? std::to_string(outcome.status) : std::string(outcome.error_code);
  if (outcome.status >= 500) span.fail(type);
  else if (outcome.error_code == name_of(ErrorCode::client_gone)) span.set("error.type", type);  // no error of ours
  span.end();
}

HttpMetrics::ForRoute& MetricsMiddleware::of(Method method, std::string_view route) {
  const Lock lock(mutex_);
  auto& slot = routes_[{method, std::string(route)}];
  if (!slot) slot = std::make_unique<HttpMetrics::ForRoute>(metrics_, std::string(name_of(method)), std::string(route));
  return *slot;
}

std::optional<Answer> MetricsMiddleware::before(Exchange& exchange) {
  exchange.metrics = &of(exchange.refusal ? Method::other : exchange.request.method, exchange.route_name());
  exchange.metrics->started();
  return std::nullopt;
}

void MetricsMiddleware::after(Exchange& exchange, const Outcome& outcome) {
  const Seconds duration = std::chrono::steady_clock::now() - exchange.arrived;
  exchange.metrics->finished(outcome.status, outcome.error_code, duration, exchange.trace);
}

void AccessLogMiddleware::after(Exchange& exchange, const Outcome& outcome) {
  const auto level = exchange.quiet() ? LogLevel::debug : LogLevel::info;
  if (!log_.enabled(level)) return;
  const Seconds duration = std::chrono::steady_clock::now() - exchange.arrived;
  const auto path = shortened(exchange.request.path, max_text_bytes_);
  std::vector<Field> fields = {{"method", name_of(exchange.refusal ? Method::other : exchange.request.method)},
                               {"path", path},
                               {"route", exchange.route_name()},
                               {"status", std::int64_t{outcome.status}},
                               {"duration", duration.count()}};
  if (!outcome.error_code.empty()) fields.push_back({"error_code", outcome.error_code});
  if (exchange.fault_injected) fields.push_back({"fault.injected", true});
  log_.log(level, text_of(LogMessage::request), &exchange.trace, fields);
}

std::optional<Answer> ReadinessMiddleware::before(Exchange& exchange) {
  if (exchange.refusal) return std::unexpected(*exchange.refusal);
  if (exchange.quiet()) return std::nullopt;
  if (refusing_.load(std::memory_order_relaxed)) return std::unexpected(Error{ErrorCode::not_ready, "stopping", 1});
  if (exchange.connection->over_limit()) {
    return std::unexpected(Error{ErrorCode::overloaded, "too many connections", 1});
  }
  return std::nullopt;
}

std::optional<Answer> FaultsMiddleware::before(Exchange& exchange) {
  const auto fault = faults_ == nullptr || exchange.quiet() ? Faults::Fault{} : faults_->next();
  if (!fault.active) return std::nullopt;
  exchange.fault_injected = true;
  exchange.span.set("fault.injected", true);
  const auto failure =
      std::unexpected(Error{ErrorCode::fault_injected, "this failure was asked for by PUT /debug/faults"});
  if (fault.delay <= Seconds(0)) return fault.fails ? std::optional<Answer>(failure) : std::nullopt;
  return Work([this, fault, failure, &exchange]() -> Result {
    if (!clock_.sleep(fault.delay, exchange.request.stop)) return cancelled();
    if (fault.fails) return failure;
    return handle_(exchange);
  });
}

}  // namespace dice

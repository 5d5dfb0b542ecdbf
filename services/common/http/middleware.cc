#include "common/http/middleware.h"

#include <algorithm>
#include <vector>

#include "common/base/utf8.h"
#include "contract/names.h"

namespace dice {
namespace {

/// Invalid if the request starts a trace; then the trace id may be set.
TraceContext parent_of(const Request& request, bool accepts_trace_id) {
  auto parent = parse_traceparent(request.header_list("traceparent")).value_or(TraceContext{});
  if (parent.valid()) parent.state = parse_tracestate(request.header_list("tracestate"));
  else if (accepts_trace_id) parent.trace_id = parse_trace_id(request.header_list(kTraceIdHeader)).value_or(TraceId{});
  parent.baggage = parse_baggage(request.header_list("baggage"));
  return parent;
}

}  // namespace

std::optional<Answer> SpanMiddleware::before(Exchange& exchange) {
  const auto& request = exchange.request;
  const auto parent = parent_of(request, exchange.route != nullptr && exchange.route->accepts_trace_id);
  if (exchange.uninstrumented() || exchange.refusal) {
    exchange.trace = tracing_.untraced(parent);
    return std::nullopt;
  }
  const auto method = name_of(request.method);
  const auto& route = exchange.match.path;
  const auto path = shortened(request.path, max_text_bytes_);
  const auto query = shortened(request.query_text, max_text_bytes_);
  const auto user_agent =
      shortened(to_utf8(request.header("User-Agent").substr(0, max_text_bytes_ + 1)), max_text_bytes_);
  const auto host = shortened(request.host, max_text_bytes_);
  const std::string_view client = exchange.connection->client_address();
  const std::string_view version = request.http_1_0 ? "1.0" : "1.1";
  std::vector<Attribute> attributes = {{attribute::kMethod, method},
                                       {attribute::kRoute, route},
                                       {"url.path", path},
                                       {"url.query", query},
                                       {"url.scheme", std::string_view("http")},
                                       {"user_agent.original", user_agent},
                                       {"client.address", client},
                                       {"network.protocol.version", version},
                                       {"server.address", host}};
  std::erase_if(attributes, [](const Attribute& one) { return std::get<std::string_view>(one.value).empty(); });
  if (request.port != 0) attributes.push_back({"server.port", std::int64_t{request.port}});
  std::string name(method);
  if (!route.empty()) name.append(" ").append(route);
  exchange.span = tracing_.start(name, SpanKind::server, parent, attributes);
  exchange.trace = exchange.span.context();
  return std::nullopt;
}

void SpanMiddleware::after(Exchange& exchange, const Outcome& outcome) {
  auto& span = exchange.span;
  span.set(attribute::kStatus, std::int64_t{outcome.status});
  const auto type = outcome.error_code.empty() ? std::to_string(outcome.status) : std::string(outcome.error_code);
  if (outcome.status >= 500) span.fail(type);
  else if (outcome.error_code == name_of(ErrorCode::client_gone))
    span.set(attribute::kErrorType, type);  // not our error
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
  const auto level = exchange.uninstrumented() ? LogLevel::debug : LogLevel::info;
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
  if (exchange.uninstrumented()) return std::nullopt;
  if (refusing_.load(std::memory_order_relaxed))
    return std::unexpected(Error{ErrorCode::not_ready, "the service is stopping", 1});
  if (exchange.connection->over_limit()) {
    return std::unexpected(Error{ErrorCode::overloaded, "too many connections", 1});
  }
  return std::nullopt;
}

std::optional<Answer> FaultsMiddleware::before(Exchange& exchange) {
  const auto fault = faults_ == nullptr || exchange.uninstrumented() ? Faults::Fault{} : faults_->next();
  if (!fault.active) return std::nullopt;
  exchange.fault_injected = true;
  exchange.unanswered = fault.unavailable;
  exchange.span.set(attribute::kFaultInjected, true);
  const auto failure = std::unexpected(Error{ErrorCode::fault_injected, "this failure was injected on request"});
  if (fault.delay <= Seconds(0)) return fault.fails ? std::optional<Answer>(failure) : std::nullopt;
  return Work([this, fault, failure, &exchange]() -> Result {
    if (!clock_.sleep(fault.delay, exchange.request.stop)) return cancelled();
    if (fault.fails) return failure;
    return handle_(exchange);
  });
}

}  // namespace dice

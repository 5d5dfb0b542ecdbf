#include "frontend/traces.h"

#include <cstdint>
#include <map>
#include <set>
#include <string_view>
#include <utility>

#include "contract/names.h"

namespace dice {
namespace {

struct Children {
  std::int64_t all = 0;
  std::int64_t rolls = 0;
};

/// A batch whose die was not found, or that was rejected, has no rolls; a cancelled one has all of them.
std::int64_t expected_rolls(const TraceSpan& span, std::int64_t status) {
  const bool rolled =
      span.attributes.contains(attribute::kDieType) && (status == 200 || status == 500 || status == kClientGoneStatus);
  return span.kind == SpanKind::server && rolled ? span.integer(attribute::kBatchSize).value_or(0) : 0;
}

}  // namespace

bool is_complete(const Trace& trace, std::string_view entry_service) {
  std::set<std::string_view> ids;
  std::map<std::string_view, Children> children;
  for (const auto& span : trace.spans) {
    ids.insert(span.id);
    auto& siblings = children[span.parent];
    ++siblings.all;
    if (span.attributes.contains(attribute::kRollIndex)) ++siblings.rolls;
  }
  for (const auto& span : trace.spans) {
    const auto status = span.integer(attribute::kStatus).value_or(0);
    const bool entry = span.kind == SpanKind::server && span.service == entry_service;
    if (!span.parent.empty() && !ids.contains(span.parent) && !entry) return false;
    if (span.kind == SpanKind::client && status != 0 && children[span.id].all == 0) return false;
    if (children[span.id].rolls < expected_rolls(span, status)) return false;
  }
  return !trace.spans.empty();
}

Traces::Traces(const Options& options, Telemetry& telemetry, std::string service)
    : options_(options),
      telemetry_(telemetry),
      service_(std::move(service)),
      tempo_({.base_url = options.tempo_url, .name = "Tempo", .max_body_bytes = options.max_body_bytes}) {
  for (const auto& [name, url] : options.metrics_urls) {
    services_.push_back(std::make_unique<Client>(
        Client::Options{.base_url = url, .name = name, .max_body_bytes = options.max_body_bytes}));
  }
}

std::expected<std::string, Error> Traces::find(const TraceId& id, const std::stop_token& stop) {
  auto trace = options_.tempo_url.empty() ? from_services(id, stop) : from_tempo(id, stop);
  if (!trace) return std::unexpected(std::move(trace.error()));
  if (trace->resource_spans().empty()) {
    return std::unexpected(Error{ErrorCode::trace_not_found, "no span of trace " + to_hex(id) + " is known (yet)"});
  }
  return std::string(R"({"complete":)") + (is_complete(trace->trace(), service_) ? "true" : "false") +
         R"(,"resourceSpans":[)" + trace->resource_spans() + "]}";
}

std::expected<JoinedTrace, Error> Traces::from_tempo(const TraceId& id, const std::stop_token& stop) {
  auto answer = tempo_.get(
      {.path = "/api/traces/" + to_hex(id), .route = route::kTrace, .timeout = options_.timeout, .stop = stop},
      nullptr);
  if (!answer) return std::unexpected(std::move(answer.error()));
  JoinedTrace trace;
  if (answer->status == status_of(ErrorCode::trace_not_found)) return trace;
  if (answer->status != 200 || !trace.add(answer->body)) {
    return std::unexpected(Error{ErrorCode::downstream_invalid, "Tempo returned an invalid response"});
  }
  return trace;
}

JoinedTrace Traces::from_services(const TraceId& id, const std::stop_token& stop) {
  JoinedTrace trace;
  trace.add(telemetry_.tracing.recent_spans(id));
  for (const auto& service : services_) {
    // A service that is down or has no such spans leaves a gap, which `is_complete` detects.
    const auto body = service->get_body(
        {.path = "/debug/spans/" + to_hex(id), .route = route::kSpans, .timeout = options_.timeout, .stop = stop},
        nullptr);
    if (body) trace.add(*body);
  }
  return trace;
}

}  // namespace dice

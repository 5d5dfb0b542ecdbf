#include "frontend/traces.h"

#include <algorithm>
#include <chrono>
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
    if (span.open()) return false;
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

Traces::Traces(const Options& options, Memories& memories, std::string service)
    : options_(options),
      memories_(memories),
      service_(std::move(service)),
      tempo_({.base_url = options.tempo_url, .name = "Tempo", .max_body_bytes = options.max_body_bytes}) {}

std::expected<JoinedTrace, Error> Traces::read(const TraceId& id, const std::stop_token& stop) {
  JoinedTrace trace;
  for (const auto& body : memories_.spans(id, stop).bodies) trace.add(body);
  // Tempo has only spans that have ended, so it is not asked for a running trace.
  const auto& spans = trace.trace().spans;
  if (!options_.tempo_url.empty() && std::ranges::none_of(spans, &TraceSpan::open) &&
      !is_complete(trace.trace(), service_)) {
    if (auto error = add_from_tempo(id, stop, trace); error && spans.empty()) return std::unexpected(std::move(*error));
  }
  return trace;
}

std::expected<std::string, Error> Traces::find(const TraceId& id, const std::stop_token& stop) {
  const auto trace = read(id, stop);
  if (!trace) return std::unexpected(trace.error());
  if (trace->trace().spans.empty()) {
    return std::unexpected(Error{ErrorCode::trace_not_found, "no span of trace " + to_hex(id) + " is known (yet)"});
  }
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto nanoseconds = std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
  return std::string(R"({"complete":)") + (is_complete(trace->trace(), service_) ? "true" : "false") +
         R"(,"timeUnixNano":")" + std::to_string(nanoseconds) + R"(","resourceSpans":[)" + trace->resource_spans() +
         "]}";
}

std::optional<Error> Traces::add_from_tempo(const TraceId& id, const std::stop_token& stop, JoinedTrace& trace) {
  auto answer = tempo_.get(
      {.path = "/api/traces/" + to_hex(id), .route = route::kTrace, .timeout = options_.timeout, .stop = stop},
      nullptr);
  if (!answer) return std::move(answer.error());
  if (answer->status == status_of(ErrorCode::trace_not_found)) return std::nullopt;
  if (answer->status == 200 && trace.add(answer->body)) return std::nullopt;
  return Error{ErrorCode::downstream_invalid, "Tempo returned an invalid response"};
}

}  // namespace dice

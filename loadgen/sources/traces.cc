#include "loadgen/sources/traces.h"

#include <vector>

#include "contract/names.h"

namespace dice::loadgen {

TraceSource::TraceSource(const std::string& kind, const std::string& url) : client_(backend_options(kind, url)) {}

std::expected<std::optional<Trace>, SourceError> TraceSource::find(const std::string& trace_id) {
  const auto response =
      client_.get({.path = "/api/traces/" + trace_id, .route = route::kTrace, .timeout = kSourceTimeout}, nullptr);
  if (!response) return std::unexpected(response.error().message);
  if (response->status == status_of(ErrorCode::trace_not_found)) return std::nullopt;
  auto trace = parse_trace(response->body);
  if (response->status != 200 || !trace) {
    return std::unexpected(unexpected_answer(*response));
  }
  // A span that has not ended has not arrived.
  std::erase_if(trace->spans, [](const TraceSpan& span) { return span.open(); });
  if (trace->spans.empty()) return std::nullopt;
  return trace;
}

}  // namespace dice::loadgen

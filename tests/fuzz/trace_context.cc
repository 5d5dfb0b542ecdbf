// The headers of W3C Trace Context and Baggage: traceparent, tracestate and baggage, one a line.
#include "common/telemetry/trace_context.h"

#include <algorithm>

#include "fuzz/targets.h"

namespace dice::fuzz {
namespace {

/// What is passed on must be what the next service passes on, and safe in a header.
template <typename Parse>
void check_list(std::string_view header, const Parse& parse) {
  const std::string kept = parse(header);
  require(kept.size() <= 8192, "too long");
  require(std::ranges::all_of(kept, [](char c) { return c == '\t' || (c >= ' ' && c <= '~'); }), "not printable");
  require(parse(kept) == kept, "another list after it was parsed again");
}

}  // namespace

void trace_context(std::string_view input) {
  const auto lines = parts(input, '\n');
  for (const auto line : lines) {
    check_list(line, parse_tracestate);
    check_list(line, parse_baggage);
    if (const auto id = parse_trace_id(line)) require(to_hex(*id) == line, "another id");
    const auto context = parse_traceparent(line);
    if (!context) continue;
    require(context->valid(), "not valid");
    const auto again = parse_traceparent(to_traceparent(*context));
    require(again && again->trace_id == context->trace_id && again->span_id == context->span_id &&
                again->sampled == context->sampled,
            "another context after it was written and parsed");
  }
}

}  // namespace dice::fuzz

// Traces as OTLP/JSON, from the services and from Tempo.
#include "loadgen/trace.h"

#include <algorithm>
#include <variant>

#include "frontend/traces.h"
#include "fuzz/targets.h"

namespace dice::fuzz {
namespace {

bool same(const Attributes& these, const Attributes& those) {
  return std::ranges::equal(these, those, [](const auto& one, const auto& other) {
    const auto* number = std::get_if<double>(&one.second);
    const auto* again = std::get_if<double>(&other.second);
    return one.first == other.first && (number && again ? almost_equal(*number, *again) : one.second == other.second);
  });
}

}  // namespace

void trace(std::string_view input) {
  const auto trace = parse_trace(input);
  JoinedTrace joined;
  require(joined.add(input) == trace.has_value(), "only one of two accepts it");
  if (!trace) return;
  std::vector<const TraceSpan*> ended;
  for (const auto& span : trace->spans) {
    (void)loadgen::describe(span);
    if (span.open()) continue;
    (void)span.seconds();
    ended.push_back(&span);
  }
  require(loadgen::max_overlap(ended) <= ended.size(), "overlap");
  require(trace->rolls().size() <= trace->spans.size(), "rolls");
  (void)is_complete(*trace, "frontend");

  require(joined.trace().spans.size() <= trace->spans.size(), "joining has added spans");
  const auto whole = R"({"resourceSpans":[)" + joined.resource_spans() + "]}";
  JoinedTrace again;
  require(again.add(whole), "what the page gets is not a trace");
  const auto& spans = joined.trace().spans;
  require(again.trace().spans.size() == spans.size(), "other spans after they were written and parsed");
  for (std::size_t i = 0; i < spans.size(); ++i) {
    const auto& one = spans[i];
    const auto& other = again.trace().spans[i];
    require(one.trace_id == other.trace_id && one.id == other.id && one.parent == other.parent &&
                one.service == other.service && one.name == other.name && one.kind == other.kind &&
                one.start_nanoseconds == other.start_nanoseconds && one.end_nanoseconds == other.end_nanoseconds &&
                one.error == other.error && same(one.attributes, other.attributes) &&
                one.events.size() == other.events.size(),
            "another span after it was written and parsed");
  }
}

}  // namespace dice::fuzz

// Recorded spans (the input is a ResourceSpans message), written as OTLP/JSON and read again.
#include <opentelemetry/proto/trace/v1/trace.pb.h>

#include <set>
#include <utility>

#include "common/telemetry/otlp_json.h"
#include "common/telemetry/trace_model.h"
#include "fuzz/targets.h"

namespace dice::fuzz {

void spans(std::string_view input) {
  google::protobuf::SetLogHandler(nullptr);  // it would write a line for each invalid text
  opentelemetry::proto::trace::v1::ResourceSpans message;
  if (!message.ParseFromArray(input.data(), static_cast<int>(input.size()))) return;
  message.DiscardUnknownFields();  // the services encode none
  SpanSource source{message.resource().SerializeAsString(), {}};
  std::vector<EncodedSpan> encoded;
  std::set<std::pair<std::string, std::string>> ids;
  for (const auto& scope : message.scope_spans()) {
    source.scope = scope.scope().SerializeAsString();
    for (const auto& span : scope.spans()) {
      encoded.push_back(std::make_shared<const std::string>(span.SerializeAsString()));
      ids.emplace(span.trace_id(), span.span_id());
    }
  }
  const auto json = to_otlp_json(source, encoded);
  require(json.find('\n') == std::string::npos, "a line break");
  const auto trace = parse_trace(json);
  require(trace && trace->spans.size() == ids.size(), "not the same spans");
}

}  // namespace dice::fuzz

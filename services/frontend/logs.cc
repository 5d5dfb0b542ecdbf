#include "frontend/logs.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <utility>

#include "common/base/json.h"
#include "common/base/json_view.h"
#include "common/http/loki.h"
#include "contract/names.h"

namespace dice {
namespace {

constexpr std::chrono::nanoseconds kMargin = std::chrono::minutes(5);
/// If no span of the trace is known.
constexpr std::chrono::nanoseconds kLookBack = std::chrono::hours(24);

std::string text_of(const rapidjson::Value& line) {
  rapidjson::StringBuffer buffer;
  JsonWriter writer(buffer);
  line.Accept(writer);
  return {buffer.GetString(), buffer.GetSize()};
}

/// Time and text of a line; empty if it is not one of this trace.
std::optional<std::pair<std::string, std::string>> line_of(const rapidjson::Value& line, std::string_view id) {
  const JsonView view(line);
  if (view["trace_id"].text() != id) return std::nullopt;
  return std::pair(std::string(view["timestamp"].text().value_or("")), text_of(line));
}

}  // namespace

Logs::Logs(const Options& options, Memories& memories, Traces& traces)
    : options_(options),
      memories_(memories),
      traces_(traces),
      loki_({.base_url = options.loki_url, .name = "Loki", .max_body_bytes = options.max_body_bytes}) {}

std::expected<std::string, Error> Logs::find(const TraceId& id, const std::stop_token& stop) {
  Lines lines;
  const auto hex = to_hex(id);
  const auto found = memories_.log_lines(id, stop);
  for (const auto& body : found.bodies) {
    const auto document = parse_json(body);
    if (!document || !JsonView(*document)["lines"].is_array()) continue;
    for (const auto& line : (*document)["lines"].GetArray()) {
      if (auto one = line_of(line, hex)) lines.insert(std::move(*one));
    }
  }
  if (!options_.loki_url.empty() && !found.every_service) {
    if (auto error = add_from_loki(id, stop, lines); error && lines.empty()) return std::unexpected(std::move(*error));
  }
  if (lines.empty()) {
    return std::unexpected(Error{ErrorCode::trace_not_found, "no log line of trace " + hex + " is known (yet)"});
  }
  std::string text;
  for (const auto& [time, line] : lines) (text += text.empty() ? "" : ",") += line;
  return R"({"lines":[)" + text + "]}";
}

std::optional<Error> Logs::add_from_loki(const TraceId& id, const std::stop_token& stop, Lines& lines) {
  const std::chrono::nanoseconds now = std::chrono::system_clock::now().time_since_epoch();
  auto start = now - kLookBack;
  auto end = now + kMargin;
  if (const auto trace = traces_.read(id, stop); trace && !trace->trace().spans.empty()) {
    const auto& spans = trace->trace().spans;
    start = std::chrono::nanoseconds(std::ranges::min(spans, {}, &TraceSpan::start_nanoseconds).start_nanoseconds);
    start -= kMargin;
    const auto last = std::ranges::max(spans, {}, &TraceSpan::end_nanoseconds).end_nanoseconds;
    if (std::ranges::none_of(spans, &TraceSpan::open)) end = std::chrono::nanoseconds(last) + kMargin;
  }
  // A Loki may have the log lines of others, which are not for the visitors of the page.
  const auto hex = to_hex(id);
  const auto query = R"({service_name=~")" + service_names("|") + R"("} |= ")" + hex + '"';
  const auto answer = loki_.get({.path = loki_path(query, start.count(), end.count()),
                                 .route = "/loki/api/v1/query_range",
                                 .timeout = options_.timeout,
                                 .stop = stop},
                                nullptr);
  if (!answer) return answer.error();
  const auto add = [&](std::string_view text, JsonView /*labels*/) {
    const auto document = parse_json(text);
    if (!document) return;
    if (auto one = line_of(*document, hex)) lines.insert(std::move(*one));
  };
  if (answer->status == 200 && for_each_loki_line(answer->body, add)) return std::nullopt;
  return Error{ErrorCode::downstream_invalid, "Loki returned an invalid response"};
}

}  // namespace dice

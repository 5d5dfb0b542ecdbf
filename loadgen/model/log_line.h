// A log line, as it comes from a file or from Loki.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dice::loadgen {

struct LogLine {
  /// A member that is not a string stands in its JSON form: 7, true, [1,2].
  std::map<std::string, std::string> fields;

  std::string field(const std::string& name) const;
  std::string message() const { return field("message"); }
  std::string service() const { return field("service"); }
  std::string trace_id() const { return field("trace_id"); }
  std::string span_id() const { return field("span_id"); }
};

/// One JSON object. Nothing when it is none.
std::optional<LogLine> parse_log_line(std::string_view text);

/// Reads the answer of /loki/api/v1/query_range. A line that is not JSON is taken for a message whose fields are the
/// stream's labels. Nothing when the answer is no list of streams.
std::optional<std::vector<LogLine>> parse_loki_streams(std::string_view json);

}  // namespace dice::loadgen

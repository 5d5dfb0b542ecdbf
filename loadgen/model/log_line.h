// A parsed log line, from a file or from Loki.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dice::loadgen {

struct LogLine {
  /// Values that are not strings are in JSON form: 7, true, [1,2].
  std::map<std::string, std::string> fields;

  std::string field(const std::string& name) const;
  std::string message() const { return field("message"); }
  std::string service() const { return field("service"); }
  std::string trace_id() const { return field("trace_id"); }
  std::string span_id() const { return field("span_id"); }
};

/// Empty if `text` is not a JSON object.
std::optional<LogLine> parse_log_line(std::string_view text);

/// Parses the response of /loki/api/v1/query_range. For a line that is not JSON, the line is the message and the
/// stream's labels are the fields. Empty if the response is not a list of streams.
std::optional<std::vector<LogLine>> parse_loki_streams(std::string_view json);

}  // namespace dice::loadgen

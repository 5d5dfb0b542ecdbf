#include "loadgen/model/log_line.h"

#include "common/base/json.h"
#include "common/base/json_view.h"
#include "common/http/loki.h"

namespace dice::loadgen {

std::string LogLine::field(const std::string& name) const {
  const auto found = fields.find(name);
  return found == fields.end() ? std::string() : found->second;
}

std::optional<LogLine> parse_log_line(std::string_view text) {
  const auto document = parse_json(text);
  if (!document || !document->IsObject()) return std::nullopt;
  LogLine line;
  for (const auto& member : document->GetObject()) {
    auto& field = line.fields[{member.name.GetString(), member.name.GetStringLength()}];
    if (member.value.IsString()) {
      field.assign(member.value.GetString(), member.value.GetStringLength());
    } else {
      rapidjson::StringBuffer buffer;
      JsonWriter writer(buffer);
      member.value.Accept(writer);
      field.assign(buffer.GetString(), buffer.GetSize());
    }
  }
  return line;
}

std::optional<std::vector<LogLine>> parse_loki_streams(std::string_view json) {
  std::vector<LogLine> lines;
  const auto add = [&](std::string_view text, JsonView labels) {
    if (auto line = parse_log_line(text)) return lines.push_back(std::move(*line));
    LogLine line;
    for (const auto& [key, value] : labels.members()) line.fields[std::string(key)] = value.text().value_or("");
    line.fields["message"] = text;
    lines.push_back(std::move(line));
  };
  if (!for_each_loki_line(json, add)) return std::nullopt;
  return lines;
}

}  // namespace dice::loadgen

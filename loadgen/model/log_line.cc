#include "loadgen/model/log_line.h"

#include "common/base/json.h"
#include "common/base/json_view.h"

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
  const auto document = parse_json(json);
  if (!document) return std::nullopt;
  const auto data = JsonView(*document)["data"];
  if (data["resultType"].text() != "streams") return std::nullopt;
  std::vector<LogLine> lines;
  for (const auto stream : data["result"].elements()) {
    for (const auto entry : stream["values"].elements()) {
      const auto pair = entry.elements();
      const auto text = pair.size() < 2 ? std::string_view() : pair[1].text().value_or("");
      if (auto line = parse_log_line(text)) {
        lines.push_back(std::move(*line));
        continue;
      }
      LogLine line;
      for (const auto& [key, value] : stream["stream"].members()) {
        line.fields[std::string(key)] = value.text().value_or("");
      }
      line.fields["message"] = text;
      lines.push_back(std::move(line));
    }
  }
  return lines;
}

}  // namespace dice::loadgen

#include "common/http/loki.h"

#include "common/http/message.h"

namespace dice {

std::string loki_path(std::string_view query, std::int64_t start, std::int64_t end) {
  return "/loki/api/v1/query_range?limit=5000&direction=forward&start=" + std::to_string(start) +
         "&end=" + std::to_string(end) + "&query=" + percent_encode(query);
}

bool for_each_loki_line(std::string_view response,
                        const std::function<void(std::string_view line, JsonView labels)>& use) {
  const auto document = parse_json(response);
  if (!document) return false;
  const auto data = JsonView(*document)["data"];
  if (data["resultType"].text() != "streams") return false;
  for (const auto stream : data["result"].elements()) {
    for (const auto entry : stream["values"].elements()) {
      const auto pair = entry.elements();
      use(pair.size() < 2 ? std::string_view() : pair[1].text().value_or(""), stream["stream"]);
    }
  }
  return true;
}

}  // namespace dice

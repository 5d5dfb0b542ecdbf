// Loki's answers, and the lines in log files, as loadgen reads them.
#include "common/http/loki.h"

#include <map>

#include "fuzz/targets.h"
#include "loadgen/model/log_line.h"

namespace dice::fuzz {

void loki(std::string_view input) {
  for (const auto text : parts(input, '\n')) {
    const auto line = loadgen::parse_log_line(text);
    if (!line) continue;
    // Fields that are not strings are JSON. Of those with the same name, the last counts.
    const auto document = parse_json(text);
    std::map<std::string_view, bool> texts;
    for (const auto& [name, value] : JsonView(*document).members()) {
      texts.insert_or_assign(name, value.text().has_value());
    }
    for (const auto& [name, is_text] : texts) {
      if (!is_text) require(parse_json(line->field(std::string(name))).has_value(), "a field is not JSON");
    }
  }
  const auto lines = loadgen::parse_loki_streams(input);
  std::size_t count = 0;
  require(for_each_loki_line(input, [&](std::string_view, JsonView) { ++count; }) == lines.has_value(),
          "only one of two accepts it");
  require(!lines || lines->size() == count, "a line is lost");
}

}  // namespace dice::fuzz

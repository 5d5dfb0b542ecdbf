// The result of a part of a load test, as the other parts read it.
#include "fuzz/targets.h"
#include "loadgen/traffic/tally.h"

namespace dice::fuzz {

void summary(std::string_view input) {
  const auto document = parse_json(input);
  if (!document) return;
  auto summary = loadgen::read_summary(JsonView(*document));
  if (!summary) return;
  (void)loadgen::to_table(*summary);
  const auto json = loadgen::to_json(*summary);
  const auto written = parse_json(json);
  require(written.has_value(), "it is not JSON");
  const auto again = loadgen::read_summary(JsonView(*written));
  require(again && loadgen::to_json(*again) == json, "another summary after it was written and read");
  summary->add(*again);
  require(parse_json(loadgen::to_json(*summary)).has_value(), "the sum is not JSON");
}

}  // namespace dice::fuzz

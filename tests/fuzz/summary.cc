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
  const auto written = parse_json(loadgen::to_json(*summary));
  require(written.has_value(), "it is not JSON");
  const auto again = loadgen::read_summary(JsonView(*written));
  require(again && again->target == summary->target && again->parts == summary->parts && again->seed == summary->seed &&
              again->finished_parts == summary->finished_parts && almost_equal(again->seconds, summary->seconds) &&
              almost_equal(again->sent_rate, summary->sent_rate) && again->rate_reached == summary->rate_reached &&
              again->passed() == summary->passed(),
          "another summary after it was written and read");
  const auto& tally = summary->tally;
  require(again->tally.count() == tally.count() && again->tally.unexpected() == tally.unexpected() &&
              again->tally.outcomes() == tally.outcomes() &&
              again->tally.failures().size() == tally.failures().size() &&
              again->tally.latency().buckets() == tally.latency().buckets() &&
              almost_equal(again->tally.latency().max(), tally.latency().max()),
          "other counts after they were written and read");
  summary->add(*again);
  require(parse_json(loadgen::to_json(*summary)).has_value(), "the sum is not JSON");
}

}  // namespace dice::fuzz

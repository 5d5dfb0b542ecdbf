// Metrics as loadgen reads them, from a scrape and from Prometheus; and as the services write them.
#include "common/telemetry/metrics.h"

#include <algorithm>

#include "common/base/utf8.h"
#include "fuzz/targets.h"
#include "loadgen/model/series.h"

namespace dice::fuzz {

void metrics(std::string_view input) {
  for (const auto& series : loadgen::parse_metrics_text(input)) {
    require(!series.name.contains('\n') && series.exemplars.size() <= 1, "more than a line");
    (void)loadgen::describe(series.name, series.labels);
  }
  (void)loadgen::parse_prometheus_vector(input);
  (void)loadgen::parse_prometheus_exemplars(input);

  const auto text = to_utf8(input);
  Metrics metrics;
  metrics.counters("fuzz_total", "Help").Add({{"identifier", text}, {"status", "200"}}).Increment(3);
  for (const auto* accept : {"text/plain", "application/openmetrics-text"}) {
    const auto all = loadgen::parse_metrics_text(metrics.scrape(accept).body);
    const auto ours = [&](const loadgen::Series& series) {
      return series.name == "fuzz_total" && series.value == 3 && series.labels.size() == 2 &&
             series.label("identifier") == text && series.label("status") == "200";
    };
    require(all.size() == 1 && ours(all.front()), "another series after it was written and parsed");
  }
}

}  // namespace dice::fuzz

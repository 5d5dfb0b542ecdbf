// Metrics, as they come from a scrape or from Prometheus.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dice::loadgen {

struct Series {
  std::string name;
  std::map<std::string, std::string> labels;
  double value = 0;
  struct Exemplar {
    std::string trace_id;
    std::string span_id;
  };
  /// One from a scrape, several from Prometheus.
  std::vector<Exemplar> exemplars = {};

  std::string label(const std::string& key) const;
  /// True when the labels named in `wanted` have these values.
  bool matches(const std::map<std::string, std::string>& wanted) const;
};

/// Reads Prometheus' text format and OpenMetrics. A line that is neither comment nor sample is left out.
std::vector<Series> parse_metrics_text(std::string_view text);

/// Reads the answer of /api/v1/query to an instant vector. Nothing when it is none.
std::optional<std::vector<Series>> parse_prometheus_vector(std::string_view json);

/// Reads the answer of /api/v1/query_exemplars: series without values.
std::optional<std::vector<Series>> parse_prometheus_exemplars(std::string_view json);

/// name{key="value",…}
std::string describe(const std::string& name, const std::map<std::string, std::string>& labels);

}  // namespace dice::loadgen

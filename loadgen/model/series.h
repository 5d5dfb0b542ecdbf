// Parsed metrics, from a scrape or from Prometheus.
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
  /// A scrape has at most one, Prometheus may have several.
  std::vector<Exemplar> exemplars = {};

  std::string label(const std::string& key) const;
  /// Whether all labels in `wanted` have these values.
  bool matches(const std::map<std::string, std::string>& wanted) const;
};

/// Parses Prometheus' text format and OpenMetrics. Invalid lines are ignored.
std::vector<Series> parse_metrics_text(std::string_view text);

/// Parses the response of /api/v1/query. Empty if it is not an instant vector.
std::optional<std::vector<Series>> parse_prometheus_vector(std::string_view json);

/// Parses the response of /api/v1/query_exemplars into series without values.
std::optional<std::vector<Series>> parse_prometheus_exemplars(std::string_view json);

/// name{key="value",…}
std::string describe(const std::string& name, const std::map<std::string, std::string>& labels);

}  // namespace dice::loadgen

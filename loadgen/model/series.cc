#include "loadgen/model/series.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "common/base/json_view.h"

namespace dice::loadgen {
namespace {

std::optional<double> number(std::string_view text) {
  if (text == "+Inf") return std::numeric_limits<double>::infinity();
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// Parses {key="value",…} at the start of `text` and removes it.
std::optional<std::map<std::string, std::string>> take_labels(std::string_view& text) {
  std::map<std::string, std::string> labels;
  if (!text.starts_with('{')) return labels;
  text.remove_prefix(1);
  while (!text.starts_with('}')) {
    const auto equals = text.find("=\"");
    if (equals == std::string_view::npos) return std::nullopt;
    auto& value = labels[std::string(text.substr(0, equals))];
    text.remove_prefix(equals + 2);
    while (!text.starts_with('"')) {
      if (text.size() < 2) return std::nullopt;
      if (text.front() == '\\') {
        text.remove_prefix(1);
        value += text.front() == 'n' ? '\n' : text.front();
      } else {
        value += text.front();
      }
      text.remove_prefix(1);
    }
    text.remove_prefix(1);
    if (text.starts_with(',')) text.remove_prefix(1);
    if (text.empty()) return std::nullopt;
  }
  text.remove_prefix(1);
  return labels;
}

std::string take(std::map<std::string, std::string>& labels, const std::string& key) {
  auto node = labels.extract(key);
  return node.empty() ? std::string() : std::move(node.mapped());
}

std::optional<Series> parse_sample(std::string_view line) {
  Series series;
  const auto name_end = line.find_first_of("{ ");
  if (name_end == std::string_view::npos) return std::nullopt;
  series.name = line.substr(0, name_end);
  line.remove_prefix(name_end);
  auto labels = take_labels(line);
  if (!labels || !line.starts_with(' ')) return std::nullopt;
  series.labels = std::move(*labels);
  line.remove_prefix(1);
  const auto value = number(line.substr(0, line.find(' ')));
  if (!value) return std::nullopt;
  series.value = *value;
  if (const auto exemplar = line.find(" # {"); exemplar != std::string_view::npos) {
    line.remove_prefix(exemplar + 3);
    if (auto ids = take_labels(line)) series.exemplars.push_back({take(*ids, "trace_id"), take(*ids, "span_id")});
  }
  return series;
}

std::map<std::string, std::string> labels_of(JsonView metric) {
  std::map<std::string, std::string> labels;
  for (const auto& [key, value] : metric.members()) labels[std::string(key)] = value.text().value_or("");
  return labels;
}

}  // namespace

std::string Series::label(const std::string& key) const {
  const auto found = labels.find(key);
  return found == labels.end() ? std::string() : found->second;
}

bool Series::matches(const std::map<std::string, std::string>& wanted) const {
  for (const auto& [key, wanted_value] : wanted) {
    if (label(key) != wanted_value) return false;
  }
  return true;
}

std::vector<Series> parse_metrics_text(std::string_view text) {
  std::vector<Series> all;
  while (!text.empty()) {
    const auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (line.empty() || line.starts_with('#')) continue;
    if (auto series = parse_sample(line)) all.push_back(std::move(*series));
  }
  return all;
}

std::optional<std::vector<Series>> parse_prometheus_vector(std::string_view json) {
  const auto document = parse_json(json);
  if (!document) return std::nullopt;
  const auto data = JsonView(*document)["data"];
  if (data["resultType"].text() != "vector") return std::nullopt;
  std::vector<Series> all;
  for (const auto result : data["result"].elements()) {
    const auto pair = result["value"].elements();
    if (pair.size() != 2) return std::nullopt;
    Series series;
    series.labels = labels_of(result["metric"]);
    series.name = take(series.labels, "__name__");
    series.value = number(pair[1].text().value_or("")).value_or(std::nan(""));
    all.push_back(std::move(series));
  }
  return all;
}

std::optional<std::vector<Series>> parse_prometheus_exemplars(std::string_view json) {
  const auto document = parse_json(json);
  if (!document || JsonView(*document)["status"].text() != "success") return std::nullopt;
  std::vector<Series> all;
  for (const auto result : JsonView(*document)["data"].elements()) {
    Series series;
    series.labels = labels_of(result["seriesLabels"]);
    series.name = take(series.labels, "__name__");
    for (const auto exemplar : result["exemplars"].elements()) {
      auto ids = labels_of(exemplar["labels"]);
      series.exemplars.push_back({take(ids, "trace_id"), take(ids, "span_id")});
    }
    all.push_back(std::move(series));
  }
  return all;
}

std::string describe(const std::string& name, const std::map<std::string, std::string>& labels) {
  std::string text;
  for (const auto& [key, value] : labels) text += (text.empty() ? "" : ",") + key + "=\"" + value + "\"";
  return text.empty() ? name : name + "{" + text + "}";
}

}  // namespace dice::loadgen

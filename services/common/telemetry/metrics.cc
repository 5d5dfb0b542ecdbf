#include "common/telemetry/metrics.h"

#include <prometheus/text_serializer.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <utility>

namespace dice {
namespace {

/// A unique key per time series.
std::string key_of(const std::string& name, const Labels& labels) {
  std::string key = name;
  for (const auto& [label, value] : labels) key.append("\xFF").append(label).append("\xFF").append(value);
  return key;
}

std::string number(double value) {
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  if (std::isnan(value)) return "NaN";
  char buffer[32];
  const auto result = std::to_chars(buffer, buffer + sizeof buffer, value);
  return {buffer, result.ptr};
}

std::string escaped(const std::string& text, bool quotes) {
  std::string out;
  for (const char c : text) {
    if (c == '\\') out += "\\\\";
    else if (c == '\n') out += "\\n";
    else if (c == '"' && quotes) out += "\\\"";
    else out += c;
  }
  return out;
}

/// Writes OpenMetrics 1.0: https://prometheus.io/docs/specs/om/open_metrics_spec/
class OpenMetricsWriter {
 public:
  /// Our histogram for a series; null if there is none.
  using Known = std::function<const Histogram*(const std::string& key)>;

  void family(const prometheus::MetricFamily& family, const Known& known) {
    const bool counter = family.type == prometheus::MetricType::Counter;
    const bool histogram = family.type == prometheus::MetricType::Histogram;
    auto name = family.name;
    if (counter && name.ends_with("_total")) name.resize(name.size() - std::string_view("_total").size());
    out_ += "# TYPE " + name + (counter ? " counter\n" : histogram ? " histogram\n" : " gauge\n");
    out_ += "# HELP " + name + " " + escaped(family.help, true) + "\n";
    for (const auto& metric : family.metric) {
      labels_.clear();
      Labels key;
      for (const auto& label : metric.label) {
        key[label.name] = label.value;
        labels_ += (labels_.empty() ? "" : ",") + label.name + "=\"" + escaped(label.value, true) + "\"";
      }
      if (counter) {
        sample(name + "_total", metric.counter.value);
      } else if (histogram) {
        buckets(name, metric.histogram, known(key_of(family.name, key)));
      } else {
        sample(name, metric.gauge.value);
      }
    }
  }

  std::string finish() && { return std::move(out_) + "# EOF\n"; }

 private:
  void sample(const std::string& name, double value, const std::string& extra = "", const std::string& exemplar = "") {
    const auto labels = labels_ + (labels_.empty() || extra.empty() ? "" : ",") + extra;
    out_ += name + (labels.empty() ? "" : "{" + labels + "}") + " " + number(value) + exemplar + "\n";
  }

  void buckets(const std::string& name, const prometheus::ClientMetric::Histogram& histogram, const Histogram* known) {
    const auto exemplars = known ? known->exemplars() : std::vector<Histogram::Exemplar>{};
    for (std::size_t i = 0; i < histogram.bucket.size(); ++i) {
      const auto& bucket = histogram.bucket[i];
      std::string exemplar;
      if (i < exemplars.size() && exemplars[i].trace != TraceId{}) {
        exemplar = " # {trace_id=\"" + to_hex(exemplars[i].trace) + "\",span_id=\"" + to_hex(exemplars[i].span) +
                   "\"} " + number(exemplars[i].value) + " " + number(exemplars[i].unix_seconds);
      }
      sample(name + "_bucket", static_cast<double>(bucket.cumulative_count), "le=\"" + le(bucket.upper_bound) + "\"",
             exemplar);
    }
    sample(name + "_sum", histogram.sample_sum);
    sample(name + "_count", static_cast<double>(histogram.sample_count));
  }

  /// The specification requires a float: "1.0", not "1".
  static std::string le(double bound) {
    auto text = number(bound);
    if (text.find_first_of(".eIn") == std::string::npos) text += ".0";
    return text;
  }

  std::string out_;
  std::string labels_;
};

}  // namespace

prometheus::Counter& Counters::Add(std::initializer_list<Label> labels) {
  thread_local std::string key;
  key.clear();
  for (const auto& [label, value] : labels) key.append(label).append("\xFF").append(value).append("\xFF");
  const Lock lock(mutex_);
  const auto known = known_.find(std::string_view(key));
  if (known != known_.end()) return *known->second;
  auto& counter = family_.Add(Labels(labels.begin(), labels.end()));
  known_.emplace(key, &counter);
  return counter;
}

Histogram::Histogram(prometheus::Histogram& histogram, std::vector<double> bounds)
    : histogram_(histogram), bounds_(std::move(bounds)), exemplars_(bounds_.size() + 1) {}

void Histogram::observe(double value, const TraceContext& trace) {
  histogram_.Observe(value);
  if (!trace.sampled) return;
  const auto bucket = static_cast<std::size_t>(std::ranges::lower_bound(bounds_, value) - bounds_.begin());
  const auto now = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch());
  const Lock lock(mutex_);
  exemplars_[bucket] = {value, now.count(), trace.trace_id, trace.span_id};
}

std::vector<Histogram::Exemplar> Histogram::exemplars() const {
  const Lock lock(mutex_);
  return exemplars_;
}

Metrics::Metrics() : registry_(prometheus::Registry::InsertBehavior::Merge) {}

Counters& Metrics::counters(const std::string& name, const std::string& help) {
  auto& family = prometheus::BuildCounter().Name(name).Help(help).Register(registry_);
  const Lock lock(mutex_);
  auto& slot = counters_[name];
  if (!slot) slot = std::make_unique<Counters>(family);
  return *slot;
}

Gauges& Metrics::gauges(const std::string& name, const std::string& help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry_);
}

Histogram& Metrics::histogram(const std::string& name, const std::string& help, const std::vector<double>& bounds,
                              const Labels& labels) {
  auto& inner = prometheus::BuildHistogram().Name(name).Help(help).Register(registry_).Add(labels, bounds);
  const Lock lock(mutex_);
  auto& slot = histograms_[key_of(name, labels)];
  if (!slot) slot = std::make_unique<Histogram>(inner, bounds);
  return *slot;
}

void Metrics::before_scrape(std::function<void()> update) { updates_.push_back(std::move(update)); }

const Histogram* Metrics::find(const std::string& key) const {
  const Lock lock(mutex_);
  const auto found = histograms_.find(key);
  return found == histograms_.end() ? nullptr : found->second.get();
}

std::vector<prometheus::MetricFamily> Metrics::collect() {
  const Lock lock(collecting_);
  for (const auto& update : updates_) update();
  return registry_.Collect();
}

Metrics::Text Metrics::scrape(std::string_view accept) {
  if (accept.find("application/openmetrics-text") == std::string_view::npos) {
    return {"text/plain; version=0.0.4; charset=utf-8",
            *text_.run([this] { return prometheus::TextSerializer().Serialize(collect()); })};
  }
  const auto body = open_metrics_.run([this] {
    OpenMetricsWriter writer;
    for (const auto& family : collect()) writer.family(family, [this](const std::string& key) { return find(key); });
    return std::move(writer).finish();
  });
  return {"application/openmetrics-text; version=1.0.0; charset=utf-8", *body};
}

}  // namespace dice

// Metrics: prometheus-cpp's registry, extended by exemplars, OpenMetrics and the process_* metrics.
#pragma once

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "common/concurrency/mutex.h"
#include "common/concurrency/single_flight.h"
#include "common/telemetry/trace_context.h"
#include "contract/metric.h"

namespace dice {

using Labels = prometheus::Labels;
using Gauges = prometheus::Family<prometheus::Gauge>;

/// The counters of one metric. Thread-safe.
class Counters {
 public:
  using Label = std::pair<std::string_view, std::string_view>;

  explicit Counters(prometheus::Family<prometheus::Counter>& family) : family_(family) {}

  /// The counter with these labels, created on first use: as in the family, but without a table of labels per call.
  prometheus::Counter& Add(std::initializer_list<Label> labels);
  prometheus::Counter& Add(const Labels& labels) { return family_.Add(labels); }

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };

  prometheus::Family<prometheus::Counter>& family_;
  Mutex mutex_;
  std::unordered_map<std::string, prometheus::Counter*, Hash, std::equal_to<>> known_ GUARDED_BY(mutex_);
};

/// A histogram that keeps the last sampled observation of each bucket as an exemplar. Thread-safe.
class Histogram {
 public:
  Histogram(prometheus::Histogram& histogram, std::vector<double> bounds);

  /// `value` is in the unit at the end of the metric's name.
  void observe(double value, const TraceContext& trace);

  struct Exemplar {
    double value = 0;
    double unix_seconds = 0;
    TraceId trace{};
    SpanId span{};
  };
  /// One per bucket, +Inf last; the trace is all zero if the bucket has none.
  std::vector<Exemplar> exemplars() const;

 private:
  prometheus::Histogram& histogram_;
  const std::vector<double> bounds_;
  mutable Mutex mutex_;
  std::vector<Exemplar> exemplars_ GUARDED_BY(mutex_);
};

/// All metrics of one process. Thread-safe. The references that it returns are valid for its lifetime.
class Metrics {
 public:
  Metrics();

  Counters& counters(const std::string& name, const std::string& help);
  Gauges& gauges(const std::string& name, const std::string& help);
  Histogram& histogram(const std::string& name, const std::string& help, const std::vector<double>& bounds,
                       const Labels& labels = {});

  Counters& counters(Metric metric) { return counters(std::string(name_of(metric)), help_of(metric)); }
  prometheus::Counter& counter(Metric metric) { return counters(metric).Add({}); }
  Gauges& gauges(Metric metric) { return gauges(std::string(name_of(metric)), help_of(metric)); }
  prometheus::Gauge& gauge(Metric metric, const Labels& labels = {}) { return gauges(metric).Add(labels); }
  Histogram& histogram(Metric metric, const std::vector<double>& bounds, const Labels& labels = {}) {
    return histogram(std::string(name_of(metric)), help_of(metric), bounds, labels);
  }

  /// Registers `update`, which is called before each scrape, never concurrently: for values that are counted elsewhere.
  /// What it uses must outlive all scrapes. Must not be called during a scrape.
  void before_scrape(std::function<void()> update);

  struct Text {
    std::string content_type;
    std::string body;
  };
  /// OpenMetrics with exemplars if the header value `accept` contains it, otherwise Prometheus' text format. Concurrent
  /// scrapes share one result, so a call may block.
  Text scrape(std::string_view accept);

 private:
  static std::string help_of(Metric metric) { return std::string(describe(metric).help); }
  std::vector<prometheus::MetricFamily> collect();
  const Histogram* find(const std::string& key) const;

  prometheus::Registry registry_;
  mutable Mutex mutex_;
  std::map<std::string, std::unique_ptr<Counters>> counters_ GUARDED_BY(mutex_);
  std::map<std::string, std::unique_ptr<Histogram>> histograms_ GUARDED_BY(mutex_);
  std::vector<std::function<void()>> updates_;
  /// The two formats may be scraped concurrently.
  Mutex collecting_;
  SingleFlight<std::string> text_;
  SingleFlight<std::string> open_metrics_;
};

/// process_cpu_seconds_total, process_resident_memory_bytes, …, named as in Prometheus' client libraries.
/// https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics
void add_process_metrics(Metrics& metrics);

}  // namespace dice

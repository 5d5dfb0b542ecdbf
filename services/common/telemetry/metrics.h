// Metrics: prometheus-cpp's registry, and what it lacks: exemplars, OpenMetrics, and the process_* family.
#pragma once

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/concurrency/mutex.h"
#include "common/concurrency/single_flight.h"
#include "common/telemetry/trace_context.h"
#include "contract/metric.h"

namespace dice {

using Labels = prometheus::Labels;
using Counters = prometheus::Family<prometheus::Counter>;
using Gauges = prometheus::Family<prometheus::Gauge>;

/// A histogram that keeps, for each bucket, the last traced observation. Thread-safe.
class Histogram {
 public:
  Histogram(prometheus::Histogram& histogram, std::vector<double> bounds);

  /// In the unit that the metric's name ends with.
  void observe(double value, const TraceContext& trace);

  struct Exemplar {
    double value = 0;
    double unix_seconds = 0;
    TraceId trace{};
    SpanId span{};
  };
  /// One a bucket, +Inf last; those without have no trace.
  std::vector<Exemplar> exemplars() const;

 private:
  prometheus::Histogram& histogram_;
  const std::vector<double> bounds_;
  mutable Mutex mutex_;
  std::vector<Exemplar> exemplars_ GUARDED_BY(mutex_);
};

/// All metrics of one process. Thread-safe. What it hands out lives as long as it does.
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

  /// `update` is called before each scrape, never twice at a time: for values that somebody else counts. It outlives
  /// this object's scrapes. Not while there may be one.
  void before_scrape(std::function<void()> update);

  struct Text {
    std::string content_type;
    std::string body;
  };
  /// OpenMetrics, with exemplars, when `accept` asks for it, else the older text format. Scrapes that come together
  /// share one text, so one waits for another: not for a thread that must not wait.
  Text scrape(std::string_view accept);

 private:
  static std::string help_of(Metric metric) { return std::string(describe(metric).help); }
  std::vector<prometheus::MetricFamily> collect();
  const Histogram* find(const std::string& key) const;

  prometheus::Registry registry_;
  mutable Mutex mutex_;
  std::map<std::string, std::unique_ptr<Histogram>> histograms_ GUARDED_BY(mutex_);
  std::vector<std::function<void()>> updates_;
  /// The two formats may be asked for at the same time.
  Mutex collecting_;
  SingleFlight<std::string> text_;
  SingleFlight<std::string> open_metrics_;
};

/// process_cpu_seconds_total, process_resident_memory_bytes, … as Prometheus' own client libraries name them.
/// https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics
void add_process_metrics(Metrics& metrics);

}  // namespace dice

#include "loadgen/traffic/load_metrics.h"

#include "common/http/http_metrics.h"
#include "contract/error.h"

namespace dice::loadgen {
namespace {

/// Empty on success. The server does not choose label values.
std::string error_code(const Answer& answer) {
  if (answer.succeeded()) return "";
  const auto code = answer.error_code.value_or("");
  return parse_error_code(code) ? code : "_unknown";
}

}  // namespace

LoadMetrics::LoadMetrics(Metrics& metrics, const Run& run)
    : metrics_(metrics),
      requests_(metrics.counters("loadgen_requests_total", "Requests that have ended.")),
      in_flight_(metrics.gauges("loadgen_requests_in_flight", "Requests that have not ended.").Add({})) {
  metrics.gauges("loadgen_target_rate", "Requests per second that this process is to send; 0 in closed loop.")
      .Add({})
      .Set(run.rate / static_cast<double>(run.part.parts));
  metrics.gauges("loadgen_info", "1; the labels describe this process.")
      .Add({{"part", std::to_string(run.part.index)},
            {"parts", std::to_string(run.part.parts)},
            {"seed", std::to_string(run.seed)}})
      .Set(1);
}

void LoadMetrics::finished(const std::string& route, const Answer& answer, Seconds latency, const TraceContext& trace) {
  in_flight_.Decrement();
  requests_.Add({{"route", route}, {"error_code", error_code(answer)}}).Increment();
  const Lock lock(mutex_);
  auto*& duration = durations_[route];
  if (duration == nullptr) {
    duration = &metrics_.histogram("loadgen_request_duration_seconds",
                                   "Duration of requests, from the time at which they were due.",
                                   kRequestDurationBounds, {{"route", route}});
  }
  duration->observe(latency.count(), trace);
}

}  // namespace dice::loadgen

#include "common/http/http_metrics.h"

#include <utility>

namespace dice {

HttpMetrics::HttpMetrics(Metrics& metrics) : metrics_(metrics), requests_(metrics.counters(Metric::http_requests)) {}

HttpMetrics::ForRoute::ForRoute(HttpMetrics& all, std::string method, std::string route)
    : all_(all),
      method_(std::move(method)),
      route_(std::move(route)),
      duration_(all.metrics_.histogram(Metric::http_request_duration, kRequestDurationBounds,
                                       {{"method", method_}, {"route", route_}})),
      in_progress_(all.metrics_.gauge(Metric::http_requests_in_progress, {{"method", method_}, {"route", route_}})) {}

void HttpMetrics::ForRoute::finished(int status, std::string_view error_code, Seconds duration,
                                     const TraceContext& trace) {
  in_progress_.Decrement();
  duration_.observe(duration.count(), trace);
  all_.requests_
      .Add({{"method", method_}, {"route", route_}, {"status", std::to_string(status)}, {"error_code", error_code}})
      .Increment();
}

}  // namespace dice

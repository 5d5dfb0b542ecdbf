// The middleware around handlers: span, metrics, access log, readiness and faults. The chain itself is built in
// Server's constructor.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "common/concurrency/clock.h"
#include "common/concurrency/mutex.h"
#include "common/http/connection.h"
#include "common/http/faults.h"
#include "common/http/http_metrics.h"
#include "common/http/message.h"
#include "common/http/router.h"
#include "common/telemetry/telemetry.h"

namespace dice {

struct Route {
  Method method = Method::get;
  /// "/dice/{identifier}": a name in braces matches one segment.
  std::string path;
  Handler handler;
  /// For probes, scrapes and debugging: no span, an access log line at debug level only, no injected faults, separate
  /// threads, and a response even if the service is stopping or has too many connections.
  bool uninstrumented = false;
  /// A request that continues no trace may choose the id of the one it starts, in the header `kTraceIdHeader`.
  bool accepts_trace_id = false;
};

/// One request between its arrival and its reply. Used by one thread at a time.
struct Exchange {
  std::shared_ptr<Connection> connection;
  Counted in_flight;
  TimePoint arrived;
  Request request;
  Router::Match match;
  /// Null if no route has this path and method.
  const Route* route = nullptr;
  /// The error of a request that could not be parsed.
  std::optional<Error> refusal{};
  /// The work returned by the handler.
  Work work{};
  /// Members of the chain whose `before` was called.
  std::size_t passed = 0;

  // Set by the chain.
  Span span{};
  /// The context of the span; on an uninstrumented route, a context without a span.
  TraceContext trace{};
  HttpMetrics::ForRoute* metrics = nullptr;
  bool fault_injected = false;
  /// The reply is not sent: the connection is closed instead.
  bool unanswered = false;

  bool uninstrumented() const { return route != nullptr && route->uninstrumented; }
  /// The template; "_unmatched" if no route matches.
  std::string_view route_name() const { return match.path.empty() ? std::string_view("_unmatched") : match.path; }
};

/// The outcome, for metrics, log and span. A disconnected client is 499 here and nowhere else.
struct Outcome {
  int status = 0;
  /// Empty on success.
  std::string_view error_code;
};

/// Shared by all requests. Thread-safe; calls never block.
class Middleware {
 public:
  virtual ~Middleware() = default;
  /// Called for an incoming request, in the chain's order. If it returns an answer, the rest of the chain and the
  /// handler are skipped.
  virtual std::optional<Answer> before(Exchange& /*exchange*/) { return std::nullopt; }
  /// Called in reverse order before the first byte of the reply is sent, so that the telemetry is complete when the
  /// client has its response.
  virtual void after(Exchange& /*exchange*/, const Outcome& /*outcome*/) {}
};

/// The server span.
class SpanMiddleware final : public Middleware {
 public:
  SpanMiddleware(Tracing& tracing, std::size_t max_text_bytes) : tracing_(tracing), max_text_bytes_(max_text_bytes) {}
  std::optional<Answer> before(Exchange& exchange) override;
  void after(Exchange& exchange, const Outcome& outcome) override;

 private:
  Tracing& tracing_;
  const std::size_t max_text_bytes_;
};

/// The http_* metrics.
class MetricsMiddleware final : public Middleware {
 public:
  explicit MetricsMiddleware(HttpMetrics& metrics) : metrics_(metrics) {}
  /// Created on the first call, which a running scrape may delay by a millisecond.
  HttpMetrics::ForRoute& of(Method method, std::string_view route);
  std::optional<Answer> before(Exchange& exchange) override;
  void after(Exchange& exchange, const Outcome& outcome) override;

 private:
  HttpMetrics& metrics_;
  Mutex mutex_;
  std::map<std::pair<Method, std::string>, std::unique_ptr<HttpMetrics::ForRoute>, std::less<>> routes_
      GUARDED_BY(mutex_);
};

/// One log line per request.
class AccessLogMiddleware final : public Middleware {
 public:
  AccessLogMiddleware(Logger log, std::size_t max_text_bytes) : log_(std::move(log)), max_text_bytes_(max_text_bytes) {}
  void after(Exchange& exchange, const Outcome& outcome) override;

 private:
  const Logger log_;
  const std::size_t max_text_bytes_;
};

/// Responds instead of the handler: to invalid requests, while the service is stopping, and on connections above the
/// limit.
class ReadinessMiddleware final : public Middleware {
 public:
  void refuse() { refusing_ = true; }
  std::optional<Answer> before(Exchange& exchange) override;

 private:
  std::atomic<bool> refusing_ = false;
};

/// Faults set by PUT /debug/faults: delays, and failures or closed connections instead of the handler. Last in the
/// chain.
class FaultsMiddleware final : public Middleware {
 public:
  /// `handle` calls the handler, which may block in that case.
  FaultsMiddleware(Faults* faults, Clock& clock, std::function<Result(Exchange&)> handle)
      : faults_(faults), clock_(clock), handle_(std::move(handle)) {}
  std::optional<Answer> before(Exchange& exchange) override;

 private:
  Faults* const faults_;
  Clock& clock_;
  const std::function<Result(Exchange&)> handle_;
};

}  // namespace dice

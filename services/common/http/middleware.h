// What happens to every request besides being handled: its span, its metrics, its log line, and the reasons to answer
// it without asking the handler. The chain itself stands in Server's constructor.
#pragma once

#include <atomic>
#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "common/concurrency/clock.h"
#include "common/http/connection.h"
#include "common/http/faults.h"
#include "common/http/http_metrics.h"
#include "common/http/message.h"
#include "common/http/router.h"
#include "common/telemetry/telemetry.h"

namespace dice {

struct Route {
  Method method = Method::get;
  /// "/dice/{identifier}": a name in braces stands for one segment.
  std::string path;
  Handler handler;
  /// Probes, scrapes and what shows them: no span, an access line at debug level only, no injected faults, threads of
  /// their own, and an answer even when the service is stopping or has too many connections.
  bool quiet = false;
};

/// One request between its arrival and its reply. Touched by one thread at a time.
struct Exchange {
  std::shared_ptr<Connection> connection;
  Counted in_flight;
  TimePoint arrived;
  Request request;
  Router::Match match;
  /// Null when there is none of this path and method.
  const Route* route = nullptr;
  /// Of a request that was not understood.
  std::optional<Error> refusal{};
  /// What the handler left to be done.
  Work work{};
  /// Members of the chain whose `before` was called.
  std::size_t passed = 0;

  // Set by the chain.
  Span span{};
  /// The span's, or for a quiet route one that no span stands behind.
  TraceContext trace{};
  HttpMetrics::ForRoute* metrics = nullptr;
  bool fault_injected = false;

  bool quiet() const { return route != nullptr && route->quiet; }
  /// The template; "_unmatched" when there is none.
  std::string_view route_name() const { return match.path.empty() ? std::string_view("_unmatched") : match.path; }
};

/// How it went, for metrics, log and span. A client that had gone is 499 here and nowhere else.
struct Outcome {
  int status = 0;
  /// Empty on success.
  std::string_view error_code;
};

/// Shared by all requests. Thread-safe; none of the calls waits.
class Middleware {
 public:
  virtual ~Middleware() = default;
  /// On the way in, in the chain's order. An answer ends the way: neither the rest of the chain nor the handler is
  /// asked.
  virtual std::optional<Answer> before(Exchange& /*exchange*/) { return std::nullopt; }
  /// On the way out, in the reverse order, before the first byte of the reply leaves: whoever has the answer finds its
  /// telemetry there.
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

/// http_requests_total and its relatives.
class MetricsMiddleware final : public Middleware {
 public:
  explicit MetricsMiddleware(HttpMetrics& metrics) : metrics_(metrics) {}
  /// Made at the first call: a scrape under way may hold that one up for a millisecond.
  HttpMetrics::ForRoute& of(Method method, std::string_view route);
  std::optional<Answer> before(Exchange& exchange) override;
  void after(Exchange& exchange, const Outcome& outcome) override;

 private:
  HttpMetrics& metrics_;
  Mutex mutex_;
  std::map<std::pair<Method, std::string>, std::unique_ptr<HttpMetrics::ForRoute>, std::less<>> routes_
      GUARDED_BY(mutex_);
};

/// One line a request.
class AccessLogMiddleware final : public Middleware {
 public:
  AccessLogMiddleware(Logger log, std::size_t max_text_bytes) : log_(std::move(log)), max_text_bytes_(max_text_bytes) {}
  void after(Exchange& exchange, const Outcome& outcome) override;

 private:
  const Logger log_;
  const std::size_t max_text_bytes_;
};

/// Answers in place of the handler: what was not understood, what comes while the service stops, and what comes over a
/// connection past the limit.
class ReadinessMiddleware final : public Middleware {
 public:
  void refuse() { refusing_ = true; }
  std::optional<Answer> before(Exchange& exchange) override;

 private:
  std::atomic<bool> refusing_ = false;
};

/// PUT /debug/faults: delays, and failures in place of the handler. The last of the chain.
class FaultsMiddleware final : public Middleware {
 public:
  /// `handle` calls the handler, which then may wait.
  FaultsMiddleware(Faults* faults, Clock& clock, std::function<Result(Exchange&)> handle)
      : faults_(faults), clock_(clock), handle_(std::move(handle)) {}
  std::optional<Answer> before(Exchange& exchange) override;

 private:
  Faults* const faults_;
  Clock& clock_;
  const std::function<Result(Exchange&)> handle_;
};

}  // namespace dice

// The HTTP server: a port, its routes, and the processing of requests.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <vector>

#include "common/concurrency/clock.h"
#include "common/concurrency/thread_pool.h"
#include "common/http/listener.h"
#include "common/http/middleware.h"
#include "common/http/router.h"
#include "common/telemetry/telemetry.h"

namespace dice {

/// Its own listener makes the connections; any other connection may be given to it, too.
class Server final : public Connection::Owner {
 public:
  struct Options {
    Listener::Options listener{};
    std::string logger = "http";
    /// Limit for client input in spans and logs; longer text is truncated and ends with "…".
    std::size_t max_text_bytes = 1024;
  };

  /// What a server depends on; all of it must outlive the server. Requests use it until their reply, so the pools must
  /// be idle before anything that handlers use is destroyed.
  struct Surroundings {
    Telemetry& telemetry;
    HttpMetrics& metrics;
    Clock& clock;
    /// For the `Work` of uninstrumented routes, and of all others. If no thread is free, the response is 503
    /// `overloaded`.
    ThreadPool& uninstrumented_workers;
    ThreadPool& workers;
    /// Null = none.
    Faults* faults;
  };

  Server(const Options& options, const Surroundings& surroundings);
  /// Calls `stop`.
  ~Server() override;

  /// Call before `start`.
  void add(Route route);

  /// Listens on all addresses. Returns the port, or an error message.
  std::expected<std::uint16_t, std::string> start();

  /// After this call, each reply closes its connection.
  void drain() { draining_ = true; }
  /// After this call, new requests get 503 `not_ready`, except on uninstrumented routes.
  void refuse() { readiness_.refuse(); }
  /// Cancels work in progress, which then gets 503 `not_ready`. Returns immediately.
  void cancel() { listener_.cancel(Connection::Reason::stopping); }
  /// Number of requests whose reply has not been fully written.
  std::size_t in_flight() const { return in_flight_; }
  /// Closes all connections and joins the I/O threads; later replies are discarded.
  void stop() { listener_.stop(); }

 private:
  using ExchangePointer = std::unique_ptr<Exchange>;

  void on_request(std::shared_ptr<Connection> connection, Request request) override;
  void on_refusal(std::shared_ptr<Connection> connection, Request request, Error why) override;

  ExchangePointer make_exchange(std::shared_ptr<Connection> connection, Request request);
  /// Runs the chain up to the handler.
  void begin(ExchangePointer exchange);
  Answer call_handler(Exchange& exchange);
  void start_work(ExchangePointer exchange);
  Result run(Exchange& exchange, Work& work);
  Result handler_threw(const Exchange& exchange, const std::exception& error);
  /// Runs the chain backwards and sends the reply.
  void finish(ExchangePointer exchange, Result result);

  const Surroundings around_;
  const Logger log_;
  Router router_;
  /// Indexed by the route numbers of `router_`.
  std::vector<std::unique_ptr<Route>> routes_;

  SpanMiddleware spans_;
  MetricsMiddleware metrics_;
  AccessLogMiddleware access_log_;
  ReadinessMiddleware readiness_;
  FaultsMiddleware faults_;
  const std::vector<Middleware*> chain_;

  std::atomic<bool> draining_ = false;
  std::atomic<std::size_t> in_flight_ = 0;
  /// Last member, because its threads use all of the above.
  Listener listener_;
};

}  // namespace dice

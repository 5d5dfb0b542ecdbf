// The HTTP server. The only place that includes Pistache is server.cc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <variant>

#include "common/concurrency/clock.h"
#include "common/concurrency/thread_pool.h"
#include "common/http/faults.h"
#include "common/http/http_metrics.h"
#include "common/http/message.h"
#include "common/telemetry/telemetry.h"

namespace dice {

struct Exchange;
class Responder;

/// Answers by value, on an I/O thread: it must not block.
using Handler = std::function<Result(const Request&)>;
/// Is called on an I/O thread and must not block there either; answers when and where it likes.
using AsyncHandler = std::function<void(Responder)>;

/// The one reply to one request. Move-only; may be kept and used on any thread. Lost without a reply it answers 500.
class Responder {
 public:
  explicit Responder(std::unique_ptr<Exchange> exchange);
  Responder(Responder&&) noexcept;
  Responder& operator=(Responder&&) = delete;
  ~Responder();

  const Request& request() const;
  void send(Result result) &&;

 private:
  friend class Server;
  friend void answer_on(ThreadPool& pool, Responder responder, Handler work);
  std::unique_ptr<Exchange> exchange_;
};

/// Runs `work` on a thread of `pool` and sends what it returns; answers `overloaded` at once when no thread is free.
void answer_on(ThreadPool& pool, Responder responder, Handler work);

struct Route {
  Method method = Method::get;
  /// "/dice/{identifier}": a name in braces stands for one segment.
  std::string path;
  std::variant<Handler, AsyncHandler> handler;
  /// Probes and scrapes: no span, an access line at debug level only, no injected faults.
  bool quiet = false;
};

class Server {
 public:
  struct Options {
    /// 0 = a free one.
    std::uint16_t port = 0;
    int io_threads = 2;
    /// Request line, headers and body together.
    std::size_t max_request_bytes = 64UL << 10U;
    std::string logger = "http";
  };

  /// What is passed in outlives the server. `faults` may be null. `workers` runs delayed requests.
  Server(const Options& options, Telemetry& telemetry, HttpMetrics& metrics, ThreadPool& workers, Clock& clock,
         Faults* faults);
  ~Server();

  /// Before `start`. Routes without braces win over those with.
  void add(Route route);

  /// Listens on all addresses. The port, or why not.
  std::expected<std::uint16_t, std::string> start();

  /// From now on each answer asks its client to close the connection.
  void drain();
  /// From now on new requests, probes and scrapes apart, are answered 503 `not_ready`.
  void refuse();
  /// Requests whose reply has not been written yet.
  std::size_t in_flight() const;
  /// Closes all connections and joins the I/O threads.
  void stop();

 private:
  friend class Responder;
  friend struct Exchange;
  friend void answer_on(ThreadPool& pool, Responder responder, Handler work);
  struct Implementation;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace dice

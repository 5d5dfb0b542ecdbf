// A listening port and its I/O threads. Only listener.cc includes Pistache.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <string>

#include "common/http/connection.h"
#include "common/telemetry/logging.h"

namespace dice {

/// Thread-safe, except for `start` and `stop`, which must be called once and in this order.
class Listener {
 public:
  struct Options {
    /// 0 = a free one.
    std::uint16_t port = 0;
    int threads = 1;
    /// At this limit, the connection that has been idle the longest is closed for a new one.
    std::size_t max_connections = 16384;
    /// Limit for incomplete requests and unread replies; above it, idle connections are closed, too.
    std::size_t max_buffered_bytes = 32UL << 20U;
    Connection::Limits connection{};
  };

  /// All arguments must outlive the listener.
  Listener(const Options& options, Connection::Owner& owner, const Logger& log);
  ~Listener();

  /// Listens on all addresses, IPv6 and IPv4. Returns the port, or an error message.
  std::expected<std::uint16_t, std::string> start();
  /// Cancels the requests in progress.
  void cancel(Connection::Reason reason);
  /// Closes all connections and ends the threads.
  void stop();

 private:
  class Loop;
  struct Shared;
  std::unique_ptr<Shared> shared_;
};

}  // namespace dice

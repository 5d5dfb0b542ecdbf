// A port and the threads that watch its connections. The only place that includes Pistache is listener.cc.
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

/// Thread-safe, but for `start` and `stop`, which are called once and in this order.
class Listener {
 public:
  struct Options {
    /// 0 = a free one.
    std::uint16_t port = 0;
    int threads = 1;
    /// When there are as many, the one that has been idle the longest makes room for a new one.
    std::size_t max_connections = 16384;
    /// Of requests that are not whole, and of replies that nobody reads; then idle connections make room, too.
    std::size_t max_buffered_bytes = 32UL << 20U;
    Connection::Limits connection{};
  };

  /// What is passed in outlives the listener.
  Listener(const Options& options, Connection::Owner& owner, const Logger& log);
  ~Listener();

  /// Listens on all addresses, IPv6 and IPv4. The port, or why not.
  std::expected<std::uint16_t, std::string> start();
  /// Cancels the requests in hand.
  void cancel(Connection::Reason reason);
  /// Closes all connections and ends the threads.
  void stop();

 private:
  class Loop;
  struct Shared;
  std::unique_ptr<Shared> shared_;
};

}  // namespace dice

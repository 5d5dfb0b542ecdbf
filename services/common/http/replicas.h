// The replicas of a service: the processes behind one or several base URLs.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "common/concurrency/circuit_breaker.h"
#include "common/concurrency/clock.h"
#include "common/http/client.h"

namespace dice {

/// One address of a service. Thread-safe.
struct Replica {
  Replica(const Client::Options& options, Seconds pause)
      : url(options.base_url), address(options.address), client(options), breaker({1, pause}) {}

  const std::string url;
  const std::string address;
  Client client;
  /// For callers that do not want to wait for a replica that hangs: one failure opens it.
  CircuitBreaker breaker;
};

/// The IP addresses of a host name. Nothing if they cannot be determined at the moment; empty if the name has none.
using Resolver = std::function<std::optional<std::vector<std::string>>(const std::string& host)>;

/// Asks the system; blocks, for many seconds if DNS does not respond. Returns IPv6 addresses only if there are no
/// others, because each process of a host with both has both.
std::optional<std::vector<std::string>> resolve_host(const std::string& host);

/// Finds the replicas. Host names are resolved in the background, because the system's function cannot be cancelled:
/// neither a caller nor the destructor waits for one that hangs. Thread-safe.
class Replicas {
 public:
  struct Options {
    /// Each host stands for all its addresses.
    std::vector<std::string> base_urls;
    /// Apart from URL and address.
    Client::Options client;
    /// Age from which addresses are renewed when asked for.
    Seconds max_age{1};
    /// After a name could not be resolved in this time, its earlier addresses are used.
    Seconds patience{0.5};
    /// Pause of a replica's breaker.
    Seconds pause{5};
    Resolver resolve = resolve_host;
  };

  explicit Replicas(Options options);
  ~Replicas();

  /// One for each address of each URL, in this order; whether a process listens there is for the caller to find out,
  /// and two addresses may lead to the same process. An address keeps its object, and with it its connections, for as
  /// long as the name has it. Blocks for at most `timeout`, or until a stop is requested.
  std::vector<std::shared_ptr<Replica>> find(Seconds timeout, const std::stop_token& stop);

 private:
  struct Implementation;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace dice

// The HTTP client. The only place that includes libcurl is client.cc.
#pragma once

#include <cstddef>
#include <expected>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "common/concurrency/clock.h"
#include "common/telemetry/tracing.h"
#include "contract/error.h"

namespace dice {

struct ClientResponse {
  int status = 0;
  std::string body;
  std::string retry_after;
  std::string allow;
  std::string traceresponse;
};

/// Calls one service. Keeps its connections open between calls, for 30 s at most. Thread-safe; a call blocks. While it
/// lasts, and while its connection is kept, it takes `kDescriptors`.
class Client {
 public:
  struct Options {
    /// "http://host:port", without a path.
    std::string base_url;
    /// What error messages call the service.
    std::string name;
    Seconds connect_timeout{1};
    /// A longer answer is not taken.
    std::size_t max_body_bytes = 64UL << 10U;
    /// Connections kept open between calls.
    std::size_t idle_connections = 64;
  };

  /// That a call takes: its connection, and two to be woken by.
  static constexpr std::size_t kDescriptors = 3;

  explicit Client(Options options);
  ~Client();

  struct Call {
    /// With the query. Sent as it is: "/." is not made "/".
    std::string path;
    /// The path's template, for the span's name.
    std::string route;
    /// For all of it, connecting included.
    Seconds timeout{1};
    /// Parent of the client span; without a valid one, or without `tracing`, the call is not traced.
    const TraceContext* parent = nullptr;
    std::vector<std::pair<std::string, std::string>> headers = {};
    /// Ends the call and its connection at once when it is requested.
    std::stop_token stop = {};
  };

  /// GET. Any answer is a success, whatever its status; the errors are downstream_unavailable, downstream_timeout,
  /// downstream_invalid (too large) and that of `cancelled`.
  std::expected<ClientResponse, Error> get(const Call& call, Tracing* tracing) { return send("GET", call, tracing); }

  /// The same with any method, without a body.
  std::expected<ClientResponse, Error> send(const std::string& method, const Call& call, Tracing* tracing);

  /// GET of something that must be there: the body of a 2xx. An error of the contract that the service answers is
  /// handed on with its code and, up to 256 bytes of it, its message. Any other answer is downstream_invalid, none of
  /// its text is handed on, and the next call makes a new connection. `status`, unless null, gets what was answered,
  /// 0 for nothing.
  std::expected<std::string, Error> get_body(const Call& call, Tracing* tracing, int* status = nullptr);

  const std::string& name() const;

 private:
  struct Implementation;
  std::unique_ptr<Implementation> implementation_;
};

/// The error in an answer of a service of ours, with its own message; nothing if it is none.
std::optional<Error> parse_error(const ClientResponse& response);

}  // namespace dice

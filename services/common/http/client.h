// The HTTP client. The only place that includes libcurl is client.cc.
#pragma once

#include <cstddef>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/concurrency/clock.h"
#include "common/http/error.h"
#include "common/telemetry/tracing.h"

namespace dice {

struct ClientResponse {
  int status = 0;
  std::string body;
  std::string retry_after;
  std::string allow;
  std::string traceresponse;
};

/// Calls one service. Keeps its connections open between calls, for 30 s at most. Thread-safe; a call blocks.
class Client {
 public:
  struct Options {
    /// "http://host:port", without a path.
    std::string base_url;
    /// What error messages call the service.
    std::string name;
    Seconds connect_timeout{1};
    std::size_t max_body_bytes = 64UL << 20U;
    /// Connections kept open between calls.
    std::size_t idle_connections = 64;
  };

  explicit Client(Options options);
  ~Client();

  struct Call {
    /// With the query.
    std::string path;
    /// The path's template, for the span's name.
    std::string route;
    /// For all of it, connecting included.
    Seconds timeout{1};
    /// Parent of the client span; without a valid one, or without `tracing`, the call is not traced.
    const TraceContext* parent = nullptr;
    std::vector<std::pair<std::string, std::string>> headers = {};
  };

  /// GET. Any answer is a success, whatever its status; the errors are downstream_unavailable, downstream_timeout and
  /// downstream_invalid (too large).
  std::expected<ClientResponse, Error> get(const Call& call, Tracing* tracing) { return send("GET", call, tracing); }

  /// The same with any method, without a body.
  std::expected<ClientResponse, Error> send(const std::string& method, const Call& call, Tracing* tracing);

  /// GET of something that must be there: the body of a 2xx. An error that the service answers is handed on with its
  /// code; an answer that follows no contract is downstream_invalid, and the next call makes a new connection.
  std::expected<std::string, Error> get_body(const Call& call, Tracing* tracing);

  const std::string& name() const;

 private:
  struct Implementation;
  std::unique_ptr<Implementation> implementation_;
};

/// The error in an answer of a service of ours; nothing if it is none.
std::optional<Error> parse_error(const ClientResponse& response);

}  // namespace dice

// The HTTP client. Only client.cc includes libcurl.
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
#include "common/http/message.h"
#include "common/telemetry/tracing.h"
#include "contract/error.h"

namespace dice {

/// Client for one service. Keeps connections open between calls, for at most 30 s, except those on which a request was
/// answered with 503: another replica may have room. Thread-safe; calls block. A call uses at most `kDescriptors`. A
/// peer that vanished without closing its connections is noticed after one to three seconds.
class Client {
 public:
  struct Options {
    /// "http://host:port", without a path.
    std::string base_url;
    /// Name of the service in error messages.
    std::string name;
    /// IP address to connect to; empty = those of the host name.
    std::string address = {};
    Seconds connect_timeout{0.5};
    /// How long what was sent may remain unacknowledged before the connection counts as broken.
    Seconds unacknowledged{1};
    /// Send a GET once more, on a new connection and within its timeout, if no connection can be made or if it breaks
    /// before the response begins. Other requests are not repeated, because they may have taken effect.
    bool retry = true;
    /// Maximum length of a response body.
    std::size_t max_body_bytes = 64UL << 10U;
    /// Connections kept open between calls.
    std::size_t idle_connections = 64;
  };

  /// Descriptors per call: its connection, and two to wake it up while it connects or if it is encrypted.
  static constexpr std::size_t kDescriptors = 3;

  explicit Client(Options options);
  ~Client();

  struct Call {
    /// Including the query. Sent unchanged: "/." does not become "/".
    std::string path;
    /// The path's template, for the span's name.
    std::string route;
    /// Timeout of the whole call, including connecting.
    Seconds timeout{1};
    /// Parent of the client span; the call is not traced if it is invalid or `tracing` is null.
    const TraceContext* parent = nullptr;
    std::vector<std::pair<std::string, std::string>> headers = {};
    /// JSON; sent unless empty.
    std::string body = {};
    /// A stop request ends the call and its connection immediately.
    std::stop_token stop = {};
  };

  /// GET. Any response is a success, regardless of its status. The errors are downstream_unavailable,
  /// downstream_timeout, downstream_invalid (too large) and the error of `cancelled`.
  std::expected<ClientResponse, Error> get(const Call& call, Tracing* tracing) { return send("GET", call, tracing); }

  /// The same with any method.
  std::expected<ClientResponse, Error> send(const std::string& method, const Call& call, Tracing* tracing);

  /// Requires a 2xx and returns its body. An error response that follows the contract is passed on with its
  /// code and up to 256 bytes of its message. For any other response, the error is downstream_invalid, none of its text
  /// is passed on, and the next call opens a new connection. `status`, unless null, is set to the status of the
  /// response, or 0 if there was none.
  std::expected<std::string, Error> send_for_body(const std::string& method, const Call& call, Tracing* tracing,
                                                  int* status = nullptr);
  std::expected<std::string, Error> get_body(const Call& call, Tracing* tracing, int* status = nullptr) {
    return send_for_body("GET", call, tracing, status);
  }

  const std::string& name() const;

 private:
  struct Implementation;
  std::unique_ptr<Implementation> implementation_;
};

/// The host in a URL, without the brackets of an IPv6 address; empty if there is none.
std::string host_of(const std::string& url);

/// The error in a response of one of our services, with its message; empty if the response is not an error.
std::optional<Error> parse_error(const ClientResponse& response);

}  // namespace dice

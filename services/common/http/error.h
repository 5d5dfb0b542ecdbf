// All errors that clients can receive.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace dice {

/// The closed list. A code's name on the wire is the enumerator's; its status is `status_of`.
enum class ErrorCode {
  malformed_request,       // 400: not valid HTTP/1.1; the connection is closed
  invalid_parameter,       // 400: the message names the parameter and the allowed values
  not_found,               // 404: no such path
  die_not_found,           // 404
  trace_not_found,         // 404
  method_not_allowed,      // 405, with Allow
  request_timeout,         // 408: the request did not arrive completely in time
  payload_too_large,       // 413: the body
  uri_too_long,            // 414: the request line
  rate_limited,            // 429, with Retry-After
  headers_too_large,       // 431: too many bytes, or too many headers
  internal,                // 500
  roll_failed,             // 500: the die's own error_rate
  batch_failed,            // 500: a roll of an all-or-nothing batch, or every roll of a best-effort one, failed
  fault_injected,          // 500: PUT /debug/faults
  not_implemented,         // 501: a method or transfer coding that no route here knows
  downstream_unavailable,  // 502: no connection, or it was lost
  downstream_invalid,      // 502: a response that violates the contract
  overloaded,              // 503, with Retry-After
  circuit_open,            // 503, with Retry-After
  not_ready,               // 503: starting, or stopping
  client_gone,             // 503 for a client that only closed its side; 499 in metrics, logs and spans
  downstream_timeout,      // 504
};

/// Status in metrics, logs and spans of a request whose client disconnected; never sent. Introduced by nginx.
constexpr int kClientGoneStatus = 499;

int status_of(ErrorCode code);
std::string_view name_of(ErrorCode code);
std::optional<ErrorCode> parse_error_code(std::string_view name);

/// What a handler returns instead of a response. `message` is for people and is sent to the client, so it must not
/// contain internal details.
struct Error {
  ErrorCode code = ErrorCode::internal;
  std::string message;
  std::optional<int> retry_after_seconds = std::nullopt;
  /// For 405: the value of `Allow`.
  std::string allow = {};
};

/// {"error":{"code":…,"message":…},"trace_id":…}
std::string error_body(const Error& error, std::string_view trace_id);

}  // namespace dice

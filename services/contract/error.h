// Every error that a client can get. The table in docs/api.md is generated from it.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace dice {

/// The complete list. A code is sent under its enumerator's name; `errors` has its status and meaning.
enum class ErrorCode {
  malformed_request,
  invalid_parameter,
  forbidden,
  not_found,
  die_not_found,
  trace_not_found,
  method_not_allowed,
  request_timeout,
  payload_too_large,
  uri_too_long,
  rate_limited,
  headers_too_large,
  internal,
  roll_failed,
  batch_failed,
  fault_injected,
  not_implemented,
  downstream_unavailable,
  downstream_invalid,
  overloaded,
  circuit_open,
  not_ready,
  client_gone,
  downstream_timeout,
};

/// The status that metrics, logs and spans record if the client disconnected; never sent. The number is nginx's.
constexpr int kClientGoneStatus = 499;

struct ErrorRow {
  ErrorCode code;
  int status;
  std::string_view name;
  /// For docs/api.md, in Markdown.
  std::string_view meaning;
};

std::span<const ErrorRow> errors();
int status_of(ErrorCode code);
std::string_view name_of(ErrorCode code);
std::optional<ErrorCode> parse_error_code(std::string_view name);

/// What a handler returns instead of a response. `message` is sent to the client, so it must contain nothing internal.
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

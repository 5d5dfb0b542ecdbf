#include "contract/error.h"

#include <array>
#include <cstddef>

#include "common/base/json.h"
#include "contract/table.h"

namespace dice {
namespace {

using enum ErrorCode;

constexpr std::array kRows = {
    ErrorRow{malformed_request, 400, "malformed_request",
             "The request is not HTTP/1.1, or is ambiguous. The connection is closed."},
    ErrorRow{invalid_parameter, 400, "invalid_parameter",
             "A parameter is missing, unknown or outside the allowed values. The message names it and the allowed "
             "values. Also for an invalid body of `PUT /debug/faults` or `PUT /api/faults`."},
    ErrorRow{forbidden, 403, "forbidden", "`PUT /api/faults` from a page of another site."},
    ErrorRow{not_found, 404, "not_found", "There is no such path."},
    ErrorRow{die_not_found, 404, "die_not_found", "There is no die with this name."},
    ErrorRow{trace_not_found, 404, "trace_not_found", "No span of this trace is known, or not yet."},
    ErrorRow{method_not_allowed, 405, "method_not_allowed", "The path does not support this method. See `Allow`."},
    ErrorRow{request_timeout, 408, "request_timeout",
             "The request did not arrive within `HTTP_HEADER_TIMEOUT_SECONDS`, or its body within "
             "`HTTP_BODY_TIMEOUT_SECONDS`. The connection is closed."},
    ErrorRow{payload_too_large, 413, "payload_too_large",
             "The body is larger than `HTTP_MAX_BODY_BYTES`. The connection is closed."},
    ErrorRow{uri_too_long, 414, "uri_too_long",
             "The request line is longer than `HTTP_MAX_HEADER_BYTES`. The connection is closed."},
    ErrorRow{rate_limited, 429, "rate_limited", "More requests per second than `RATE_LIMIT_RPS`. With `Retry-After`."},
    ErrorRow{headers_too_large, 431, "headers_too_large",
             "The request line and the headers are larger than `HTTP_MAX_HEADER_BYTES`, or there are more than "
             "`HTTP_MAX_HEADERS`. The connection is closed."},
    ErrorRow{internal, 500, "internal", "An internal error. The log may say more."},
    ErrorRow{roll_failed, 500, "roll_failed",
             "The roll failed on purpose, as the die's `error_rate` requires. Nothing is broken."},
    ErrorRow{batch_failed, 500, "batch_failed",
             "A roll of an all-or-nothing batch failed, or every roll of a batch with another strategy. Nothing is "
             "broken."},
    ErrorRow{fault_injected, 500, "fault_injected", "Requested through `PUT /debug/faults` or `PUT /api/faults`."},
    ErrorRow{not_implemented, 501, "not_implemented",
             "An unknown method, such as `CONNECT`, or a transfer coding other than `chunked`. The connection is "
             "closed."},
    ErrorRow{downstream_unavailable, 502, "downstream_unavailable",
             "A downstream service cannot be reached, or the connection broke."},
    ErrorRow{downstream_invalid, 502, "downstream_invalid",
             "A downstream service returned a response that does not follow this page."},
    ErrorRow{overloaded, 503, "overloaded",
             "A limit is reached: `MAX_ROLL_THREADS` rolls, `MAX_REQUESTS` requests, `HTTP_MAX_CONNECTIONS` "
             "connections that all wait for a response, or 4 concurrent requests for traces. With `Retry-After`."},
    ErrorRow{circuit_open, 503, "circuit_open",
             "die-service failed `DIE_BREAKER_FAILURES` times in a row, and calls to it are paused. With "
             "`Retry-After`."},
    ErrorRow{not_ready, 503, "not_ready",
             "The service is starting or stopping, or stopped before the answer was ready. With `Retry-After`."},
    ErrorRow{client_gone, 503, "client_gone",
             "The client closed its half of the connection before the answer was ready, so the work was cancelled. A "
             "client that closed the whole connection receives nothing. In metrics, logs and spans, the request has "
             "the status 499 and is not an error."},
    ErrorRow{downstream_timeout, 504, "downstream_timeout", "A downstream service did not respond in time."},
};

static_assert(is_indexed_by(kRows, &ErrorRow::code, downstream_timeout), "kRows is indexed by the code");

const ErrorRow& row_of(ErrorCode code) { return kRows[static_cast<std::size_t>(code)]; }

}  // namespace

std::span<const ErrorRow> errors() { return kRows; }

int status_of(ErrorCode code) { return row_of(code).status; }

std::string_view name_of(ErrorCode code) { return row_of(code).name; }

std::optional<ErrorCode> parse_error_code(std::string_view name) {
  for (const auto& row : kRows) {
    if (row.name == name) return row.code;
  }
  return std::nullopt;
}

std::string error_body(const Error& error, std::string_view trace_id) {
  return json_object([&](JsonWriter& writer) {
    write_key(writer, "error");
    writer.StartObject();
    write_member(writer, "code", name_of(error.code));
    write_member(writer, "message", error.message);
    writer.EndObject();
    write_member(writer, "trace_id", trace_id);
  });
}

}  // namespace dice

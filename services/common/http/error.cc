#include "common/http/error.h"

#include <array>
#include <cstddef>

#include "common/base/json.h"

namespace dice {
namespace {

struct Row {
  ErrorCode code;
  int status;
  std::string_view name;
};

constexpr std::array kRows = {
    Row{ErrorCode::malformed_request, 400, "malformed_request"},
    Row{ErrorCode::invalid_parameter, 400, "invalid_parameter"},
    Row{ErrorCode::not_found, 404, "not_found"},
    Row{ErrorCode::die_not_found, 404, "die_not_found"},
    Row{ErrorCode::trace_not_found, 404, "trace_not_found"},
    Row{ErrorCode::method_not_allowed, 405, "method_not_allowed"},
    Row{ErrorCode::request_timeout, 408, "request_timeout"},
    Row{ErrorCode::payload_too_large, 413, "payload_too_large"},
    Row{ErrorCode::uri_too_long, 414, "uri_too_long"},
    Row{ErrorCode::rate_limited, 429, "rate_limited"},
    Row{ErrorCode::headers_too_large, 431, "headers_too_large"},
    Row{ErrorCode::internal, 500, "internal"},
    Row{ErrorCode::roll_failed, 500, "roll_failed"},
    Row{ErrorCode::batch_failed, 500, "batch_failed"},
    Row{ErrorCode::fault_injected, 500, "fault_injected"},
    Row{ErrorCode::not_implemented, 501, "not_implemented"},
    Row{ErrorCode::downstream_unavailable, 502, "downstream_unavailable"},
    Row{ErrorCode::downstream_invalid, 502, "downstream_invalid"},
    Row{ErrorCode::overloaded, 503, "overloaded"},
    Row{ErrorCode::circuit_open, 503, "circuit_open"},
    Row{ErrorCode::not_ready, 503, "not_ready"},
    Row{ErrorCode::client_gone, 503, "client_gone"},
    Row{ErrorCode::downstream_timeout, 504, "downstream_timeout"},
};

constexpr bool in_order() {
  for (std::size_t i = 0; i < kRows.size(); ++i) {
    if (static_cast<std::size_t>(kRows[i].code) != i) return false;
  }
  return true;
}
static_assert(in_order(), "kRows is indexed by the code");

}  // namespace

int status_of(ErrorCode code) { return kRows[static_cast<std::size_t>(code)].status; }

std::string_view name_of(ErrorCode code) { return kRows[static_cast<std::size_t>(code)].name; }

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

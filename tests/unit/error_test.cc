#include "contract/error.h"

#include <doctest/doctest.h>
#include <rapidjson/document.h>

#include <string>

#include "common/http/client.h"

namespace dice {
namespace {

struct Row {
  ErrorCode code;
  const char* name;
  int status;
};

/// The contract's closed list.
constexpr Row kList[] = {
    {ErrorCode::malformed_request, "malformed_request", 400},
    {ErrorCode::invalid_parameter, "invalid_parameter", 400},
    {ErrorCode::not_found, "not_found", 404},
    {ErrorCode::die_not_found, "die_not_found", 404},
    {ErrorCode::trace_not_found, "trace_not_found", 404},
    {ErrorCode::method_not_allowed, "method_not_allowed", 405},
    {ErrorCode::payload_too_large, "payload_too_large", 413},
    {ErrorCode::rate_limited, "rate_limited", 429},
    {ErrorCode::internal, "internal", 500},
    {ErrorCode::roll_failed, "roll_failed", 500},
    {ErrorCode::batch_failed, "batch_failed", 500},
    {ErrorCode::fault_injected, "fault_injected", 500},
    {ErrorCode::downstream_unavailable, "downstream_unavailable", 502},
    {ErrorCode::downstream_invalid, "downstream_invalid", 502},
    {ErrorCode::overloaded, "overloaded", 503},
    {ErrorCode::circuit_open, "circuit_open", 503},
    {ErrorCode::not_ready, "not_ready", 503},
    {ErrorCode::downstream_timeout, "downstream_timeout", 504},
};

ClientResponse answer(int status, std::string body, std::string retry_after = "") {
  ClientResponse response;
  response.status = status;
  response.body = std::move(body);
  response.retry_after = std::move(retry_after);
  return response;
}

TEST_CASE("error: each code has the name and status of the contract, and is parsed back") {
  for (const auto& row : kList) {
    CHECK(name_of(row.code) == row.name);
    CHECK(status_of(row.code) == row.status);
    CHECK(parse_error_code(row.name) == row.code);
  }
}

TEST_CASE("error: unknown names are not codes") {
  for (const auto* name : {"", "Internal", "internal ", "unknown", "internalx"}) CHECK_FALSE(parse_error_code(name));
}

TEST_CASE("error: the body is exactly that of the contract") {
  CHECK(error_body({ErrorCode::die_not_found, "there is no die 'x'"}, "0af7651916cd43dd8448eb211c80319c") ==
        R"({"error":{"code":"die_not_found","message":"there is no die 'x'"},)"
        R"("trace_id":"0af7651916cd43dd8448eb211c80319c"})");
}

TEST_CASE("error: messages are escaped") {
  using namespace std::string_literals;
  const auto hostile = "\"},\"forged\":true,{\"\n\r\t\0\x1F\\ \xE2\x80\xA8</script>"s;
  const auto body = error_body({ErrorCode::invalid_parameter, hostile}, "");
  rapidjson::Document document;
  document.Parse<rapidjson::kParseValidateEncodingFlag>(body.data(), body.size());
  REQUIRE_FALSE(document.HasParseError());
  CHECK(document.MemberCount() == 2);
  const auto& message = document["error"]["message"];
  CHECK(std::string(message.GetString(), message.GetStringLength()) == hostile);
}

TEST_CASE("error: a service passes on another service's error unchanged") {
  for (const auto& row : kList) {
    const auto read = parse_error(answer(row.status, error_body({row.code, "so \"it\" is"}, "00"), "7"));
    REQUIRE(read);
    CHECK(read->code == row.code);
    CHECK(read->message == "so \"it\" is");
    CHECK(read->retry_after_seconds == 7);
  }
  CHECK_FALSE(parse_error(answer(404, error_body({ErrorCode::not_found, ""}, "")))->retry_after_seconds);
}

TEST_CASE("error: other responses are not parsed as errors") {
  const std::string good = error_body({ErrorCode::not_found, "m"}, "");
  CHECK_FALSE(parse_error(answer(500, good)));  // the status is another code's
  for (const auto* body :
       {"", "<html>502 Bad Gateway</html>", "[]", "{}", R"({"error":"not_found"})", R"({"error":{"code":404}})",
        R"({"error":{"code":"no_such_code"}})", "{\"error\":{\"code\":\"not_found\",\"message\":\"\xFF\"}}"}) {
    CAPTURE(body);
    CHECK_FALSE(parse_error(answer(404, body)));
  }
}

}  // namespace
}  // namespace dice

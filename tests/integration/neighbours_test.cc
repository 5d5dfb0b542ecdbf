// How a service handles wrong, oversized and invalid responses of its downstream services.
#include <doctest/doctest.h>

#include <chrono>
#include <string>

#include "support/http.h"
#include "support/system.h"

namespace dice::test {
namespace {

const std::string kFair = R"({"identifier":"fair","specification":{"faces":[1,2,3],"error_rate":0}})";

Reply roll_with(const std::string& answer, const std::string& path = "/roll?die=fair") {
  const CannedServer die_service({answer});
  const RunningService roller(RunningService::Kind::dice_roller, quick({{"DIE_SERVICE_URL", die_service.url()},
                                                                        {"DIE_SERVICE_TIMEOUT_SECONDS", "1"},
                                                                        {"DIE_BREAKER_FAILURES", "1"}}));
  return get(roller.port(), path);
}

TEST_CASE("a response that describes another die is rejected") {
  CHECK(roll_with(canned(kFair)).status == 200);
  const auto reply = roll_with(canned(R"({"identifier":"odd","specification":{"faces":[777],"error_rate":0}})"));
  CHECK(reply.status == 502);
  CHECK(error_code(reply.body) == "downstream_invalid");
  CHECK(reply.body.find("777") == std::string::npos);
}

TEST_CASE("a response that is too large is rejected, and none of it reaches the client") {
  const auto start = std::chrono::steady_clock::now();
  for (const auto& answer :
       {canned(kFair + std::string(100'000, ' ')), canned(std::string(5'000'000, 'x'), "500 Internal Server Error"),
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + std::string("fffffff\r\n") +
            std::string(2'000'000, 'x'),
        "HTTP/1.1 200 OK\r\nX-Long: " + std::string(2'000'000, 'x')}) {
    const auto reply = roll_with(answer);
    CHECK(reply.status == 502);
    CHECK(reply.body.find("xxx") == std::string::npos);
    CHECK(reply.body.size() < 1'000);
  }
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(20));
}

TEST_CASE("a response that violates the contract results in 502, and none of its text is passed on") {
  for (const auto& answer :
       {canned("secret", "200 OK"), canned("secret", "500 Internal Server Error"), canned("secret", "404 Not Found"),
        canned(R"({"error":{"code":"secret","message":"secret"}})", "500 Internal Server Error"),
        canned(R"({"error":{"code":"die_not_found","message":"secret"}})", "500 Internal Server Error"),
        canned(R"({"identifier":"fair","specification":"secret"})"), std::string("secret\r\n\r\n")}) {
    const auto reply = roll_with(answer);
    CHECK(reply.status == 502);
    CHECK(reply.body.find("secret") == std::string::npos);
  }
}

TEST_CASE("a message that is passed on is truncated, and an unreasonable Retry-After is omitted") {
  const auto error = R"({"error":{"code":"overloaded","message":")" + std::string(5'000, 'm') + R"("}})";
  for (const auto* seconds : {"-1", "1.5", "soon", "999999999999", "86401", "1 2", ""}) {
    auto reply = roll_with(canned(error, "503 Service Unavailable", "Retry-After: " + std::string(seconds) + "\r\n"));
    CHECK(reply.status == 503);
    CHECK(error_code(reply.body) == "overloaded");
    CHECK_FALSE(reply.headers.contains("retry-after"));
    CHECK(reply.body.find(std::string(257, 'm')) == std::string::npos);
  }
  CHECK(roll_with(canned(error, "503 Service Unavailable", "Retry-After: 7\r\n")).headers["retry-after"] == "7");
}

TEST_CASE("a downstream client_gone is not reported as our own client's") {
  const auto reply = roll_with(canned(R"({"error":{"code":"client_gone","message":"m"}})", "503 Service Unavailable"));
  CHECK(reply.status == 502);
  CHECK(error_code(reply.body) == "downstream_unavailable");
}

TEST_CASE("the frontend passes on only the parts of dice-roller's response that the contract defines") {
  const auto through = [](const std::string& answer, const std::string& path) {
    const CannedServer roller({answer});
    const RunningService frontend(RunningService::Kind::frontend, quick({{"DICE_ROLLER_URL", roller.url()}}));
    return get(frontend.port(), path);
  };
  const auto roll = through(canned(R"({"roll":5,"trace_id":"secret","more":"secret"})"), "/roll?die=fair");
  CHECK(roll.status == 200);
  CHECK(roll.body.find("secret") == std::string::npos);
  CHECK(json(roll.body)["roll"].GetInt() == 5);
  const auto batch = through(
      canned(
          R"({"total":3,"rolls":[1,2],"count":2,"failed":[{"index":1,"error":"roll_failed","more":"secret"}],"more":"secret"})"),
      "/roll-async?die=fair&times=3");
  CHECK(batch.status == 200);
  CHECK(batch.body.find("secret") == std::string::npos);
  CHECK(batch.body.starts_with(
      R"({"total":3,"rolls":[1,2],"count":2,"failed":[{"index":1,"error":"roll_failed"}],"trace_id":")"));
  for (const auto* body :
       {"{}", "[]", "", R"({"total":"3","rolls":[1,2],"count":2})", R"({"total":3,"rolls":["1"],"count":1})",
        R"({"total":3,"rolls":[1],"count":1,"failed":[{"index":0,"error":"secret"}]})"}) {
    CAPTURE(body);
    CHECK(through(canned(body), "/roll-async?die=fair&times=3").status == 502);
  }
}

}  // namespace
}  // namespace dice::test

// HTTP: methods, connections, malformed and oversized requests, hostile headers.
#include "support/http.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "support/system.h"
#include "support/wait.h"

namespace dice::test {
namespace {

const std::string kParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

TEST_CASE("an unknown path is 404, a wrong method 405 with Allow") {
  const RunningService dice(RunningService::Kind::die_service, quick({{"FAULTS_ENABLED", "true"}}));
  CHECK(error_code(get(dice.port(), "/nowhere").body) == "not_found");
  CHECK(error_code(get(dice.port(), "/dice/fair/more").body) == "not_found");
  for (const auto* method : {"POST", "PUT", "DELETE", "PATCH", "TRACE"}) {
    auto reply = request(dice.port(), method, "/dice");
    CHECK(reply.status == 405);
    CHECK(reply.headers["allow"] == "GET, HEAD, OPTIONS");
    CHECK(error_code(reply.body) == "method_not_allowed");
  }
  auto faults = request(dice.metrics_port(), "DELETE", "/debug/faults");
  CHECK(faults.headers["allow"] == "GET, HEAD, PUT, OPTIONS");
}

TEST_CASE("invalid HTTP gets 400, never 500, without internal details") {
  const RunningService dice(RunningService::Kind::die_service, quick());
  const std::vector<std::string> malformed = {
      "GET /dice HTTP/1.1\r\nContent-Length: abc\r\n\r\n",
      "GET /dice HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n",
      "GET /dice HTTP/1.1\r\nHost: a:b:c\r\n\r\n",
      "GET /dice HTTP/1.1\r\nHost: localhost:99999999\r\n\r\n",
      "GET /dice HTTP/9.9\r\n\r\n",
      "\r\n\r\n\r\n",
      "GET\r\n\r\n \r\n\r\n",
  };
  for (const auto& bytes : malformed) {
    CAPTURE(bytes);
    Connection connection(dice.port());
    connection.send(bytes);
    auto reply = connection.receive();
    CHECK(reply.status == 400);
    CHECK(error_code(reply.body) == "malformed_request");
    CHECK(reply.headers["connection"] == "close");
    CHECK(connection.closed());
    for (const auto* word : {"std::", "basic_string", "stoi", "stoul", "what()"}) {
      CHECK(reply.body.find(word) == std::string::npos);
    }
  }
  CHECK(get(dice.port(), "/dice").status == 200);
}

TEST_CASE("headers that are too large get 431, and the connection is closed") {
  const RunningService dice(RunningService::Kind::die_service, quick());
  Connection connection(dice.port());
  connection.send("GET /dice HTTP/1.1\r\nHost: x\r\nX-Long: " + std::string(128UL << 10U, 'a') + "\r\n\r\n");
  const auto reply = connection.receive();
  CHECK(reply.status == 431);
  CHECK(error_code(reply.body) == "headers_too_large");
}

TEST_CASE("connections are kept open unless the client requests otherwise") {
  const RunningService dice(RunningService::Kind::die_service, quick());
  Connection kept(dice.port());
  for (int i = 0; i < 3; ++i) {
    kept.send("GET /dice HTTP/1.1\r\nHost: x\r\n\r\n");
    auto reply = kept.receive();
    CHECK(reply.status == 200);
    CHECK(!reply.headers.contains("connection"));
  }
  for (const auto* request :
       {"GET /dice HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "GET /dice HTTP/1.0\r\n\r\n"}) {
    Connection connection(dice.port());
    connection.send(request);
    auto reply = connection.receive();
    CHECK(reply.status == 200);
    CHECK(reply.headers["connection"] == "close");
    CHECK(connection.closed());
  }
}

TEST_CASE("a request may arrive in pieces") {
  const RunningService dice(RunningService::Kind::die_service, quick());
  Connection connection(dice.port());
  for (const char byte : std::string("GET /dice/fair HTTP/1.1\r\nHost: x\r\n\r\n")) connection.send({byte});
  CHECK(connection.receive().status == 200);
}

TEST_CASE("every response has a traceresponse with the trace id of the request") {
  const RunningService dice(RunningService::Kind::die_service, quick());
  for (const auto* path : {"/", "/dice", "/dice/none", "/nowhere", "/healthz", "/readyz", "/version", "/metrics"}) {
    CAPTURE(path);
    const auto own = get(dice.port(), path).headers["traceresponse"];
    CHECK(own.size() == 55);
    const auto joined = get(dice.port(), path, {{"traceparent", kParent}}).headers["traceresponse"];
    CHECK(joined.substr(0, 36) == kParent.substr(0, 36));
    CHECK(joined.substr(36, 16) != kParent.substr(36, 16));
  }
}

TEST_CASE("hostile paths and headers are escaped in the log") {
  const RunningService dice(RunningService::Kind::die_service, quick());
  const std::vector<std::string> requests = {
      "GET /dice/\x01\x02\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
      "GET /dice/%0a%22%7d HTTP/1.1\r\nHost: x\r\n\r\n",
      "GET /\",\"level\":\"ERROR HTTP/1.1\r\nHost: x\r\n\r\n",
      "GET /dice HTTP/1.1\r\nHost: \xff\xff\r\n\r\n",
      "GET /dice HTTP/1.1\r\nHost: x\r\ntraceparent: 00-00000000000000000000000000000000-b7ad6b7169203331-01\r\n\r\n",
      "GET /dice HTTP/1.1\r\nHost: x\r\ntraceparent: " + kParent +
          "\r\ntracestate: \x01\r\nbaggage: " + std::string(9000, 'b') + "\r\n\r\n",
  };
  for (const auto& bytes : requests) {
    CAPTURE(bytes);
    Connection connection(dice.port());
    connection.send(bytes);
    const auto reply = connection.receive();
    CHECK(reply.status >= 200);
    CHECK(reply.status < 500);
  }
  const auto lines = dice.log("Request");  // each is parsed
  CHECK(lines.size() == requests.size());
  for (const auto& line : lines) CHECK(line["level"] == "INFO");
}

TEST_CASE("a connection is not reused after a response that violates the contract") {
  const CannedServer die_service({canned("", "404 Not Found"), canned(R"({"identifiers":["one"]})")});
  const RunningService frontend(RunningService::Kind::frontend, quick({{"DIE_SERVICE_URL", die_service.url()}}));
  CHECK(eventually([&] { return get(frontend.port(), "/dice").body == R"({"identifiers":["one"]})"; }));
}

TEST_CASE("clients that disconnect leave nothing behind") {
  const System system(quick({{"ROLL_DELAY_MIN_SECONDS", "0.05"}, {"ROLL_DELAY_MAX_SECONDS", "0.1"}}));
  for (int i = 0; i < 50; ++i) {
    const Connection connection(system.frontend.port());
    connection.send("GET /roll-async?die=fair&times=3 HTTP/1.1\r\nHost: x\r\n\r\n");
  }
  CHECK(eventually([&] {
    return system.dice_roller.metric(R"(http_requests_in_progress{method="GET",route="/roll-async"})") == 0 &&
           system.frontend.metric(R"(http_requests_in_progress{method="GET",route="/roll-async"})") == 0 &&
           system.dice_roller.metric("async_rolls_in_progress") == 0;
  }));
  CHECK(get(system.frontend.port(), "/roll?die=fair").status == 200);
}

}  // namespace
}  // namespace dice::test

// The HTTP client against servers that break connections.
#include "common/http/client.h"

#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <string>

#include "support/http.h"
#include "support/manual_clock.h"
#include "support/system.h"
#include "support/wait.h"

namespace dice::test {
namespace {

using std::chrono::steady_clock;

/// Closes its first `broken` connections when a request has come, after sending `begin`, and answers on all others.
class BreakingServer {
 public:
  BreakingServer(std::size_t broken, std::string begin)
      : broken_(broken), begin_(std::move(begin)), acceptor_([this](int connection, std::size_t number) {
          for (std::string request; acceptor_.receive(connection, request); request.clear()) {
            if (request.empty()) continue;
            ++requests;
            acceptor_.send(connection, number < broken_ ? begin_ : canned("{}"));
            if (number < broken_) return;
          }
        }) {}

  std::string url() const { return acceptor_.url(); }

  std::atomic<int> requests = 0;

 private:
  const std::size_t broken_;
  const std::string begin_;
  Acceptor acceptor_;
};

Client client_of(const std::string& url) { return Client({.base_url = url, .name = "stub"}); }

Client::Call call(Seconds timeout = Seconds(10)) { return {.path = "/x", .route = "/x", .timeout = timeout}; }

TEST_CASE("a GET whose connection breaks before the response is sent once more") {
  BreakingServer once(1, "");
  CHECK(client_of(once.url()).get(call(), nullptr)->status == 200);
  CHECK(once.requests == 2);

  BreakingServer twice(2, "");
  const auto failed = client_of(twice.url()).get(call(), nullptr);
  REQUIRE_FALSE(failed);
  CHECK(failed.error().code == ErrorCode::downstream_unavailable);
  CHECK(failed.error().message == "no connection to stub");
  CHECK(twice.requests == 2);
}

TEST_CASE("other methods are sent once, as is everything with `retry` off") {
  for (const auto* method : {"PUT", "POST", "DELETE"}) {
    BreakingServer server(1, "");
    CHECK_FALSE(client_of(server.url()).send(method, call(), nullptr));
    CHECK(server.requests == 1);
  }
  BreakingServer server(1, "");
  CHECK_FALSE(Client({.base_url = server.url(), .name = "stub", .retry = false}).get(call(), nullptr));
  CHECK(server.requests == 1);
}

TEST_CASE("a response that has begun is not asked for again") {
  for (const auto* begin :
       {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"}) {
    CAPTURE(begin);
    BreakingServer server(1, begin);
    CHECK_FALSE(client_of(server.url()).get(call(), nullptr));
    CHECK(server.requests == 1);
  }
}

TEST_CASE("a server that accepts and never answers is not asked again") {
  std::atomic<int> connections = 0;
  Acceptor silent([&](int connection, std::size_t) {
    ++connections;
    for (std::string request; silent.receive(connection, request);) continue;
  });
  const auto answer = client_of(silent.url()).get(call(Seconds(0.1)), nullptr);
  REQUIRE_FALSE(answer);
  CHECK(answer.error().code == ErrorCode::downstream_timeout);
  CHECK(connections == 1);
}

TEST_CASE("what is not HTTP is an invalid response, and is not asked for again") {
  for (const auto* answer : {"SSH-2.0-server\r\n", "HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\n{}"}) {
    CAPTURE(answer);
    BreakingServer server(1, answer);
    const auto failed = client_of(server.url()).get(call(), nullptr);
    REQUIRE_FALSE(failed);
    CHECK(failed.error().code == ErrorCode::downstream_invalid);
    CHECK(failed.error().message == "stub returned an invalid response");
    CHECK(server.requests == 1);
  }
}

TEST_CASE("the next request does not use a connection on which one was rejected") {
  std::atomic<int> connections = 0;
  Acceptor replicas([&](int connection, std::size_t number) {
    ++connections;
    for (std::string request; replicas.receive(connection, request); request.clear()) {
      if (!request.empty()) replicas.send(connection, canned("{}", number == 0 ? "503 Service Unavailable" : "200 OK"));
    }
  });
  auto client = client_of(replicas.url());
  CHECK(client.get(call(), nullptr)->status == 503);
  CHECK(client.get(call(), nullptr)->status == 200);
  CHECK(client.get(call(), nullptr)->status == 200);
  CHECK(connections == 2);
}

TEST_CASE("both attempts together take no longer than the timeout") {
  // The first connection breaks late, the second never has an answer.
  Acceptor server([&](int connection, std::size_t number) {
    const auto start = steady_clock::now();
    for (std::string request; server.receive(connection, request);) {
      if (number == 0 && steady_clock::now() - start > std::chrono::milliseconds(200)) return;
    }
  });
  const auto start = steady_clock::now();
  const auto answer = client_of(server.url()).get(call(Seconds(0.5)), nullptr);
  const Seconds took = steady_clock::now() - start;
  REQUIRE_FALSE(answer);
  CHECK(answer.error().code == ErrorCode::downstream_timeout);
  CHECK(took >= Seconds(0.45));
  CHECK(took < Seconds(0.65 + 2));  // a busy machine
}

TEST_CASE("a port where nobody listens, and one that does not accept, are no connection") {
  auto url = std::string();
  {
    const Acceptor gone([](int, std::size_t) {});
    url = gone.url();
  }
  const auto refused = client_of(url).get(call(), nullptr);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::downstream_unavailable);

  // A backlog that is full drops further attempts without a word, as a machine that is gone does.
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const auto port = listen_at(listener, 0);
  REQUIRE(port != 0);
  const Connection fills(port);
  const auto start = steady_clock::now();
  const auto dropped = client_of("http://127.0.0.1:" + std::to_string(port)).get(call(), nullptr);
  const Seconds took = steady_clock::now() - start;
  ::close(listener);
  REQUIRE_FALSE(dropped);
  CHECK(dropped.error().code == ErrorCode::downstream_unavailable);
  CHECK(took >= Seconds(0.95));  // two attempts
  CHECK(took < Seconds(1.05 + 2));
}

TEST_CASE("a stop request ends the first attempt, and there is no second") {
  std::stop_source stop;
  std::atomic<int> requests = 0;
  Acceptor server([&](int connection, std::size_t) {
    std::string request;
    while (request.empty() && server.receive(connection, request)) continue;
    ++requests;
    stop.request_stop();  // and close
  });
  auto stopped = call();
  stopped.stop = stop.get_token();
  const auto answer = client_of(server.url()).get(stopped, nullptr);
  REQUIRE_FALSE(answer);
  CHECK(answer.error().code == ErrorCode::client_gone);
  CHECK(requests == 1);
}

TEST_CASE("the address replaces the host name, which stays in the request") {
  std::atomic<bool> named = false;
  Acceptor server([&](int connection, std::size_t) {
    for (std::string request; server.receive(connection, request); request.clear()) {
      if (request.empty()) continue;
      named = request.contains("Host: nowhere.invalid:");
      server.send(connection, canned("{}"));
    }
  });
  auto url = server.url();
  url.replace(url.find("127.0.0.1"), 9, "nowhere.invalid");
  Client client({.base_url = url, .name = "stub", .address = "127.0.0.1"});
  CHECK(client.get(call(), nullptr)->status == 200);
  CHECK(named);
  const RunningService dice(RunningService::Kind::die_service, quick());
  Client six({.base_url = "http://nowhere.invalid:" + std::to_string(dice.port()), .name = "stub", .address = "::1"});
  if (const auto answer = six.get({.path = "/healthz", .route = "/healthz"}, nullptr)) CHECK(answer->status == 200);
}

TEST_CASE("the host of a URL") {
  CHECK(host_of("http://name:8400") == "name");
  CHECK(host_of("https://10.0.0.1/path") == "10.0.0.1");
  CHECK(host_of("http://[::1]:80") == "::1");
  CHECK(host_of("nonsense://").empty());
}

TEST_CASE("a request sent again is one span, which says so") {
  const RunningService dice(RunningService::Kind::die_service, quick());
  std::atomic<int> connections = 0;
  Acceptor proxy([&](int connection, std::size_t) {
    for (std::string request; proxy.receive(connection, request);) {
      if (!request.contains("\r\n\r\n")) continue;
      if (connections++ == 0) return;
      const auto reply = [&] {
        Connection real(dice.port());
        real.send(request);
        return real.receive();
      }();
      proxy.send(connection, canned(reply.body));
      request.clear();
    }
  });
  const RunningService roller(RunningService::Kind::dice_roller, quick({{"DIE_SERVICE_URL", proxy.url()}}));
  const auto reply = get(roller.port(), "/roll?die=fair",
                         {{"traceparent", "00-" + std::string(32, 'a') + "-" + std::string(16, 'b') + "-01"}});
  CHECK(reply.status == 200);
  CHECK(connections == 2);
  const auto spans = get(roller.metrics_port(), "/debug/spans/" + std::string(32, 'a')).body;
  CHECK(spans.contains(R"("key":"http.request.resend_count","value":{"intValue":"1"})"));
  CHECK(roller.metric(R"(die_service_requests_total{identifier="fair",status="200"})") == 1);
}

}  // namespace
}  // namespace dice::test

// The table of RFC rules over sockets. unit/parser_test.cc tests the parser alone, with pieces of every size.
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/http.h"
#include "support/rfc_table.h"
#include "support/system.h"

namespace dice::test {
namespace {

TEST_CASE("the requirements of RFC 9110 and 9112, row by row") {
  const RunningService dice(RunningService::Kind::die_service, quick({{"FAULTS_ENABLED", "true"}}));
  for (const auto& row : rfc_table()) {
    const std::string paragraph = row.paragraph;
    const auto sent = row.sent.substr(0, 300);
    CAPTURE(paragraph);
    CAPTURE(sent);
    Connection connection(dice.metrics_port());
    connection.send(row.sent);
    if (row.ended) connection.end_input();
    std::vector<int> came;
    for (std::size_t i = 0; i < row.came.size(); ++i) {
      auto reply = connection.receive(row.head && i == 0);
      came.push_back(reply.status);
      CHECK(reply.headers.contains("date"));
      CHECK(reply.headers["x-content-type-options"] == "nosniff");
      CHECK(reply.headers.contains("content-type") == (reply.status != 204));
      CHECK(reply.headers.contains("allow") == (reply.status == 405 || reply.status == 204));
      CHECK((reply.headers["connection"] == "close") == (!row.kept && i + 1 == row.came.size()));
    }
    CHECK(came == row.came);
    if (row.kept) {
      connection.send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
      CHECK(connection.receive().status == 200);
    } else {
      CHECK(connection.closed());
    }
  }
  CHECK(get(dice.metrics_port(), "/healthz").status == 200);
}

TEST_CASE("a client that waits for 100 Continue gets it once, before it sends the body") {
  const RunningService dice(RunningService::Kind::die_service, quick({{"FAULTS_ENABLED", "true"}}));
  Connection connection(dice.metrics_port());
  for (int i = 0; i < 2; ++i) {
    connection.send("PUT /debug/faults HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    CHECK(connection.receive_line() == "HTTP/1.1 100 Continue");
    CHECK(connection.receive_line().empty());
    connection.send("{}");
    CHECK(connection.receive().status == 200);
  }
}

TEST_CASE("HEAD has the same response as GET, without the body") {
  const RunningService dice(RunningService::Kind::die_service, quick());
  for (const auto* path : {"/", "/dice", "/dice/fair", "/dice/none", "/nowhere", "/healthz", "/metrics"}) {
    CAPTURE(path);
    const auto whole = get(dice.port(), path);
    Connection connection(dice.port());
    connection.send("HEAD " + std::string(path) + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    auto head = connection.receive(true);
    CHECK(head.status == whole.status);
    CHECK(head.headers["x-content-type-options"] == "nosniff");
    CHECK(head.headers["content-type"] == whole.headers.at("content-type"));
    if (std::string(path) != "/metrics") CHECK(head.headers["content-length"] == whole.headers.at("content-length"));
    CHECK(connection.closed());
  }
}

/// Containers often have no IPv6.
bool machine_has_ipv6() {
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_addr = in6addr_loopback;
  const int descriptor = ::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const bool bound = ::bind(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  ::close(descriptor);
  return bound;
}

TEST_CASE("IPv6 and IPv4 use the same port") {
  const RunningService dice(RunningService::Kind::die_service, quick());
  CHECK(get(dice.port(), "/dice").status == 200);
  if (!machine_has_ipv6()) {
    MESSAGE("no IPv6 here");
    return;
  }
  Connection six(dice.port(), "::1");
  six.send("GET /dice HTTP/1.1\r\nHost: [::1]\r\n\r\n");
  CHECK(six.receive().status == 200);
}

}  // namespace
}  // namespace dice::test

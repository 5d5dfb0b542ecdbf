// The parser alone: every row of the RFC table, in pieces of every size.
#include "common/http/parser.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/rfc_table.h"

namespace dice {
namespace {

/// What a connection parses from `bytes` in pieces: "path body" of each request, and the error's name at the end, if
/// any.
std::vector<std::string> read(const std::string& bytes, const std::vector<std::size_t>& cuts) {
  std::vector<std::string> outcome;
  std::string input;
  auto parser = std::make_unique<RequestParser>(RequestParser::Limits{});
  std::size_t from = 0;
  for (std::size_t i = 0; i <= cuts.size(); ++i) {
    const auto to = i < cuts.size() ? cuts[i] : bytes.size();
    input.append(bytes, from, to - from);
    from = to;
    for (bool more = !input.empty(); more;) {
      const auto used = parser->feed(input);
      if (!used) {
        outcome.emplace_back(name_of(used.error().code));
        return outcome;
      }
      input.erase(0, *used);
      more = parser->done() && !input.empty();
      if (!parser->done()) continue;
      const auto request = parser->take();
      outcome.push_back(std::string(name_of(request.method)) + " " + request.path + " " + request.body);
      parser = std::make_unique<RequestParser>(RequestParser::Limits{});
    }
  }
  return outcome;
}

TEST_CASE("parser: a request is the same however its bytes are split") {
  for (const auto& row : test::rfc_table()) {
    const auto& bytes = row.sent;
    CAPTURE(bytes.substr(0, 200));
    const auto whole = read(bytes, {});
    if (bytes.size() > 1'000) {
      for (std::size_t at = 4096; at < bytes.size(); at += 4096) CHECK(read(bytes, {at}) == whole);
      continue;
    }
    std::vector<std::size_t> everywhere;
    for (std::size_t at = 1; at < bytes.size(); ++at) {
      everywhere.push_back(at);
      CHECK(read(bytes, {at}) == whole);
    }
    CHECK(read(bytes, everywhere) == whole);
  }
}

TEST_CASE("parser: the parts of a request") {
  RequestParser parser({});
  const std::string bytes =
      "PUT /a%20b?c=d?e&f HTTP/1.1\r\nHost: example.test:8400\r\nX-One: 1\r\nx-two:  2 \r\nX-One: 3\r\n"
      "Content-Length: 3\r\n\r\nxyzGET";
  CHECK(parser.feed(bytes).value() == bytes.size() - 3);
  REQUIRE(parser.done());
  const auto request = parser.take();
  CHECK(request.method == Method::put);
  CHECK(request.path == "/a%20b");
  CHECK(request.query_text == "c=d?e&f");
  CHECK(request.host == "example.test");
  CHECK(request.port == 8400);
  CHECK(request.header("x-one") == "1");
  CHECK(request.header("X-Two") == "2");
  CHECK(request.header("X-Three").empty());
  CHECK(request.body == "xyz");
  CHECK(request.keep_alive);
  CHECK_FALSE(request.http_1_0);
}

TEST_CASE("parser: the host of an absolute target takes precedence over the header") {
  RequestParser parser({});
  REQUIRE(parser.feed("GET http://target:1?q HTTP/1.1\r\nHost: header:2\r\n\r\n"));
  const auto request = parser.take();
  CHECK(request.host == "target");
  CHECK(request.port == 1);
  CHECK(request.path == "/");
  CHECK(request.query_text == "q");
}

TEST_CASE("parser: the limits are exact, in bytes and headers") {
  const RequestParser::Limits limits{.max_header_bytes = 1'000, .max_headers = 5, .max_body_bytes = 10};
  const auto outcome = [&](const std::string& bytes) {
    RequestParser parser(limits);
    const auto used = parser.feed(bytes);
    return used ? (parser.done() ? "done" : "more") : std::string(name_of(used.error().code));
  };
  const std::string start = "GET / HTTP/1.1\r\nHost: x\r\n";
  const auto padded = [&](std::size_t size) {
    return start + "X: " + std::string(size - start.size() - 7, 'x') + "\r\n\r\n";
  };
  CHECK(outcome(padded(1'000)) == "done");
  CHECK(outcome(padded(1'001)) == "headers_too_large");
  std::string four;
  for (int i = 0; i < 4; ++i) four += "X: 1\r\n";
  CHECK(outcome(start + four + "\r\n") == "done");
  CHECK(outcome(start + four + "X: 1\r\n\r\n") == "headers_too_large");
  CHECK(outcome(start + "Content-Length: 10\r\n\r\n0123456789") == "done");
  CHECK(outcome(start + "Content-Length: 11\r\n\r\n") == "payload_too_large");
  CHECK(outcome(start + "Transfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n5\r\n01234\r\n0\r\n\r\n") == "done");
  CHECK(outcome(start + "Transfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n6\r\n") == "payload_too_large");
}

TEST_CASE("parser: 100 Continue is sent once, and only if a body follows") {
  const auto expects = [](const std::string& lines) {
    RequestParser parser({});
    REQUIRE(parser.feed("PUT / HTTP/1.1\r\nHost: x\r\n" + lines + "\r\n"));
    REQUIRE(parser.has_headers());
    const bool first = parser.take_expectation();
    CHECK_FALSE(parser.take_expectation());
    return first;
  };
  CHECK(expects("Expect: 100-continue\r\nContent-Length: 2\r\n"));
  CHECK(expects("Expect: 100-Continue\r\nTransfer-Encoding: chunked\r\n"));
  CHECK_FALSE(expects("Expect: 100-continue\r\n"));
  CHECK_FALSE(expects("Expect: 100-continue\r\nContent-Length: 0\r\n"));
  CHECK_FALSE(expects("Expect: else\r\nContent-Length: 2\r\n"));
  CHECK_FALSE(expects("Content-Length: 2\r\n"));
}

/// "status body" of the response in pieces that end at `cuts`, followed by the end of the connection if `ends`;
/// otherwise why there is none.
std::string respond(const std::string& bytes, const std::vector<std::size_t>& cuts, bool ends = false) {
  using enum ResponseParser::State;
  ResponseParser parser(100);
  auto state = incomplete;
  std::size_t from = 0;
  for (std::size_t i = 0; i <= cuts.size() && state == incomplete; ++i) {
    const auto to = i < cuts.size() ? cuts[i] : bytes.size();
    state = parser.feed(std::string_view(bytes).substr(from, to - from));
    from = to;
  }
  if (state == incomplete && ends) state = parser.end();
  switch (state) {
    case incomplete: return "incomplete";
    case malformed: return "malformed";
    case too_large: return "too large";
    case complete: break;
  }
  const auto kept = parser.keep_alive() ? "" : " close";
  const auto response = parser.take();
  return std::to_string(response.status) + " " + response.body + kept;
}

TEST_CASE("parser: a response is the same however its bytes are split") {
  const std::string ok = "HTTP/1.1 200 OK\r\n";
  const std::string chunked = ok + "Transfer-Encoding: chunked\r\n\r\n";
  const std::vector<std::pair<std::string, std::string>> rows = {
      {ok + "Content-Length: 2\r\n\r\nhi", "200 hi"},
      {ok + "content-length: 0\r\n\r\n", "200 "},
      {ok + "Content-Length: 2\r\nConnection: close\r\n\r\nhi", "200 hi close"},
      {"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", "200 hi close"},
      {"HTTP/1.1 204 No Content\r\n\r\n", "204 "},
      {chunked + "2\r\nhi\r\n1;a=b\r\n!\r\n0\r\n\r\n", "200 hi!"},
      {chunked + "0\r\nTrailer: x\r\n\r\n", "200 "},
      {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + ok + "Content-Length: 2\r\n\r\nhi",
       "200 hi"},
      {ok + "Content-Length: 2\r\n\r\nh", "incomplete"},
      {chunked + "2\r\nhi\r\n", "incomplete"},
      {ok + "Content-Length: 101\r\n\r\n", "too large"},
      {chunked + "65\r\n" + std::string(101, 'x'), "too large"},
      {"secret\r\n\r\n", "malformed"},
      {ok + "Content-Length: 2\r\nContent-Length: 3\r\n\r\nhi", "malformed"},
      {chunked + "x\r\n", "malformed"},
      {"HTTP/2 200 OK\r\n\r\n", "malformed"},
  };
  for (const auto& [bytes, expected] : rows) {
    CAPTURE(bytes);
    CHECK(respond(bytes, {}) == expected);
    std::vector<std::size_t> everywhere;
    for (std::size_t at = 1; at < bytes.size(); ++at) {
      everywhere.push_back(at);
      CHECK(respond(bytes, {at}) == expected);
    }
    CHECK(respond(bytes, everywhere) == expected);
  }
}

TEST_CASE("parser: the end of the connection is the end of a response without a length only") {
  CHECK(respond("HTTP/1.1 200 OK\r\n\r\nall", {}, true) == "200 all close");
  CHECK(respond("HTTP/1.1 200 OK\r\n\r\nall", {}, false) == "incomplete");
  CHECK(respond("HTTP/1.1 200 OK\r\n\r\n" + std::string(101, 'x'), {}, true) == "too large");
  CHECK(respond("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nall", {}, true) == "incomplete");
  CHECK(respond("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nall\r\n", {}, true) == "incomplete");
  CHECK(respond("HTTP/1.1 200 OK\r\nX: y", {}, true) == "incomplete");
  CHECK(respond("", {}, true) == "incomplete");
}

TEST_CASE("parser: what follows a response is no other response") {
  CHECK(respond("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi!", {}) == "malformed");
  CHECK(respond("HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", {}) == "malformed");
}

TEST_CASE("parser: the head of a response is limited") {
  const std::string name = "HTTP/1.1 200 OK\r\nX-Long: ";
  CHECK(respond(name + std::string(60'000, 'x') + "\r\nContent-Length: 0\r\n\r\n", {}) == "200 ");
  CHECK(respond(name + std::string(70'000, 'x'), {}) == "malformed");
  std::vector<std::size_t> pieces;
  for (std::size_t at = 4096; at < 70'000; at += 4096) pieces.push_back(at);
  CHECK(respond(name + std::string(70'000, 'x'), pieces) == "malformed");
}

}  // namespace
}  // namespace dice

// An HTTP/1.1 server whose responses come from a function, and helpers to use it as a proxy.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "support/http.h"

namespace dice::test {

/// On a port of this machine, by default a free one; connections are kept open between requests.
class StubServer {
 public:
  /// Returns the response to a request without a body; `head` is the request line, the header lines and an empty line.
  /// Called on a thread per connection.
  using Handler = std::function<Reply(const std::string& head)>;

  explicit StubServer(Handler handler, const std::string& address = "127.0.0.1", std::uint16_t port = 0);

  std::string url() const { return acceptor_.url(); }
  std::uint16_t port() const { return acceptor_.port(); }

 private:
  const Handler handler_;
  Acceptor acceptor_;
};

/// "/roll?die=fair" for "GET /roll?die=fair HTTP/1.1…"
std::string target_of(const std::string& head);

/// Sends the request to the server at `port` and returns its response.
Reply forward(std::uint16_t port, const std::string& head);

}  // namespace dice::test

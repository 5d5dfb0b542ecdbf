// An HTTP/1.1 server that answers as a function says, and what makes a proxy of it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "support/http.h"

namespace dice::test {

/// On a free port of this machine; connections are kept open between requests.
class StubServer {
 public:
  /// From the head of a request without a body: request line, header lines, empty line. Called on a thread per
  /// connection.
  using Handler = std::function<Reply(const std::string& head)>;

  explicit StubServer(Handler handler);

  std::string url() const { return acceptor_.url(); }

 private:
  const Handler handler_;
  Acceptor acceptor_;
};

/// "/roll?die=fair" of "GET /roll?die=fair HTTP/1.1…"
std::string target_of(const std::string& head);

/// The reply of the server at `port` to this request.
Reply forward(std::uint16_t port, const std::string& head);

}  // namespace dice::test

// A client that sends exactly the bytes it is told to.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace dice::test {

struct Reply {
  /// 0 when the connection ended without an answer.
  int status = 0;
  /// Names in lower case.
  std::map<std::string, std::string> headers;
  std::string body;
};

/// One TCP connection to 127.0.0.1. Gives up after ten seconds without a byte.
class Connection {
 public:
  explicit Connection(std::uint16_t port);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void send(const std::string& bytes) const;
  Reply receive();
  /// Whether the other side has closed; waits for it.
  bool closed();

 private:
  bool fill();

  int descriptor_;
  std::string buffer_;
};

using Headers = std::vector<std::pair<std::string, std::string>>;

/// On a connection of its own.
Reply request(std::uint16_t port, const std::string& method, const std::string& path, const Headers& headers = {},
              const std::string& body = "");
Reply get(std::uint16_t port, const std::string& path, const Headers& headers = {});

}  // namespace dice::test

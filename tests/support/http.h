// A raw HTTP client that sends exactly the given bytes, and servers with canned responses.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace dice::test {

struct Reply {
  /// 0 if the connection ended without a response.
  int status = 0;
  /// Names in lower case.
  std::map<std::string, std::string> headers;
  std::string body;
};

/// A TCP connection to this machine. Times out after ten seconds without a byte.
class Connection {
 public:
  explicit Connection(std::uint16_t port, const std::string& address = "127.0.0.1");
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void send(const std::string& bytes) const;
  /// Half-closes, like a client that only reads from now on.
  void end_input() const;
  /// Resets the connection, like a client that crashes.
  void reset();
  /// From now on, the kernel buffers very little unread data.
  void shrink_window() const;
  /// Whether the other side has reset the connection.
  bool was_reset() const;
  /// The next response, ignoring 1xx. `head`: it is a response to HEAD.
  Reply receive(bool head = false);
  /// The next line, without its line end, for responses that are checked byte by byte.
  std::string receive_line();
  /// Waits for the other side to close, and returns whether it has.
  bool closed();

 private:
  bool fill();

  int descriptor_;
  std::string buffer_;
};

using Headers = std::vector<std::pair<std::string, std::string>>;

/// Sends a request on a new connection.
Reply request(std::uint16_t port, const std::string& method, const std::string& path, const Headers& headers = {},
              const std::string& body = "");
Reply get(std::uint16_t port, const std::string& path, const Headers& headers = {});

/// Makes a socket listen. Returns the port, by default a free one, or 0 if that fails.
std::uint16_t listen_at(int listener, int backlog, const std::string& address = "127.0.0.1", std::uint16_t port = 0);

/// A listening socket on a port of this machine, by default a free one, and a thread per connection.
class Acceptor {
 public:
  /// `serve` is called with each connection, which is closed when it returns, and its number. It must return if
  /// `receive` is false.
  explicit Acceptor(std::function<void(int connection, std::size_t number)> serve,
                    const std::string& address = "127.0.0.1", std::uint16_t port = 0);
  ~Acceptor();
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

  std::string url() const { return "http://" + address_ + ":" + std::to_string(port_); }
  std::uint16_t port() const { return port_; }
  /// Appends what arrives within 20 ms. False if the connection or this object ends.
  bool receive(int connection, std::string& buffer) const;
  void send(int connection, const std::string& bytes) const;

 private:
  const int listener_;
  const std::string address_;
  std::uint16_t port_ = 0;
  std::atomic<bool> stopping_ = false;
  std::jthread thread_;
};

/// A server with canned responses, whatever the request.
class CannedServer {
 public:
  /// Requests on the first connection get the first response, and so on; the last response is for all further
  /// connections. An empty response means that none is ever sent.
  explicit CannedServer(std::vector<std::string> answers);

  std::string url() const { return acceptor_.url(); }

 private:
  const std::vector<std::string> answers_;
  Acceptor acceptor_;
};

/// Different ports that were free a moment ago, for services that must know each other's before they start.
std::vector<std::uint16_t> free_ports(std::size_t count);

/// 200 with this body, or another status.
std::string canned(const std::string& body, const std::string& status = "200 OK", const std::string& lines = "");

}  // namespace dice::test

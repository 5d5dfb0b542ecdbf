// A client that sends exactly the bytes it is told to.
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
  /// 0 when the connection ended without an answer.
  int status = 0;
  /// Names in lower case.
  std::map<std::string, std::string> headers;
  std::string body;
};

/// One TCP connection to this machine. Gives up after ten seconds without a byte.
class Connection {
 public:
  explicit Connection(std::uint16_t port, const std::string& address = "127.0.0.1");
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void send(const std::string& bytes) const;
  /// As after the last byte of a client that goes on reading.
  void end_input() const;
  /// As a client that dies: the other side gets a reset.
  void reset();
  /// From now on the kernel keeps hardly anything that is not read.
  void shrink_window() const;
  /// Whether the other side has reset the connection, by now.
  bool was_reset() const;
  /// The next reply, those of 1xx passed over. `head`: it answers a HEAD.
  Reply receive(bool head = false);
  /// The next line, without its end; of an answer that is looked at byte by byte.
  std::string receive_line();
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

/// A listening socket on a free port of this machine, and a thread per connection.
class Acceptor {
 public:
  /// `serve` gets a connection, which is closed when it returns, and its number. It returns when `receive` is false.
  explicit Acceptor(std::function<void(int connection, std::size_t number)> serve);
  ~Acceptor();
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  /// Appends what arrives within 20 ms. False when the connection or this object ends.
  bool receive(int connection, std::string& buffer) const;
  void send(int connection, const std::string& bytes) const;

 private:
  const int listener_;
  std::uint16_t port_ = 0;
  std::atomic<bool> stopping_ = false;
  std::jthread thread_;
};

/// A neighbour that answers what it was told, whatever it is asked.
class CannedServer {
 public:
  /// Connection by connection: each request that comes over the first one gets the first answer, and so on; the last
  /// answer is for all further ones. An empty answer: none, ever.
  explicit CannedServer(std::vector<std::string> answers);

  std::string url() const { return acceptor_.url(); }

 private:
  const std::vector<std::string> answers_;
  Acceptor acceptor_;
};

/// 200 with this body, or another status.
std::string canned(const std::string& body, const std::string& status = "200 OK", const std::string& lines = "");

}  // namespace dice::test

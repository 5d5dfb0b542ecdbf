#include "support/http.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <stdexcept>
#include <utility>

namespace dice::test {

Connection::Connection(std::uint16_t port, const std::string& address)
    : descriptor_(::socket(address.contains(':') ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  const timeval timeout{10, 0};
  setsockopt(descriptor_, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
  const int yes = 1;
  setsockopt(descriptor_, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  int failed = 0;
  if (address.contains(':')) {
    sockaddr_in6 six{};
    six.sin6_family = AF_INET6;
    six.sin6_port = htons(port);
    ::inet_pton(AF_INET6, address.c_str(), &six.sin6_addr);
    failed = ::connect(descriptor_, reinterpret_cast<sockaddr*>(&six), sizeof six);
  } else {
    sockaddr_in four{};
    four.sin_family = AF_INET;
    four.sin_port = htons(port);
    ::inet_pton(AF_INET, address.c_str(), &four.sin_addr);
    failed = ::connect(descriptor_, reinterpret_cast<sockaddr*>(&four), sizeof four);
  }
  if (failed != 0) {
    ::close(descriptor_);
    throw std::runtime_error("cannot connect to port " + std::to_string(port));
  }
}

Connection::~Connection() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void Connection::send(const std::string& bytes) const {
  for (std::size_t sent = 0; sent < bytes.size();) {
    const auto count = ::send(descriptor_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (count <= 0) return;  // the other side has closed; its response may have arrived
    sent += static_cast<std::size_t>(count);
  }
}

void Connection::end_input() const { ::shutdown(descriptor_, SHUT_WR); }

void Connection::reset() {
  const linger now{1, 0};
  setsockopt(descriptor_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  ::close(std::exchange(descriptor_, -1));
}

void Connection::shrink_window() const {
  const int bytes = 4096;
  setsockopt(descriptor_, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
}

bool Connection::was_reset() const {
  pollfd socket{descriptor_, 0, 0};
  return ::poll(&socket, 1, 0) > 0 && (socket.revents & (POLLERR | POLLHUP)) != 0;
}

bool Connection::fill() {
  char chunk[16384];
  const auto count = ::recv(descriptor_, chunk, sizeof chunk, 0);
  if (count <= 0) return false;
  buffer_.append(chunk, static_cast<std::size_t>(count));
  return true;
}

Reply Connection::receive(bool head_only) {
  Reply reply;
  while (buffer_.find("\r\n\r\n") == std::string::npos) {
    if (!fill()) return reply;
  }
  const auto head = buffer_.substr(0, buffer_.find("\r\n\r\n") + 2);
  buffer_.erase(0, head.size() + 2);
  reply.status = std::stoi(head.substr(head.find(' ') + 1));
  for (auto at = head.find("\r\n") + 2; at < head.size();) {
    const auto end = head.find("\r\n", at);
    const auto colon = head.find(':', at);
    auto name = head.substr(at, colon - at);
    std::ranges::transform(name, name.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    reply.headers[name] = head.substr(std::min(colon + 2, end), end - std::min(colon + 2, end));
    at = end + 2;
  }
  if (reply.status / 100 == 1) return receive(head_only);
  const auto length =
      !head_only && reply.headers.contains("content-length") ? std::stoul(reply.headers["content-length"]) : 0;
  while (buffer_.size() < length) {
    if (!fill()) break;
  }
  reply.body = buffer_.substr(0, length);
  buffer_.erase(0, length);
  return reply;
}

std::string Connection::receive_line() {
  while (buffer_.find("\r\n") == std::string::npos) {
    if (!fill()) return buffer_;
  }
  const auto line = buffer_.substr(0, buffer_.find("\r\n"));
  buffer_.erase(0, line.size() + 2);
  return line;
}

bool Connection::closed() {
  char byte = 0;
  if (!buffer_.empty()) return false;
  const auto count = ::recv(descriptor_, &byte, 1, 0);
  return count == 0 || (count < 0 && errno == ECONNRESET);  // not a timeout
}

Reply request(std::uint16_t port, const std::string& method, const std::string& path, const Headers& headers,
              const std::string& body) {
  std::string text = method + " " + path + " HTTP/1.1\r\nHost: localhost:" + std::to_string(port) + "\r\n";
  for (const auto& [name, value] : headers) text += name + ": " + value + "\r\n";
  if (!body.empty()) text += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  Connection connection(port);
  connection.send(text + "\r\n" + body);
  return connection.receive();
}

Reply get(std::uint16_t port, const std::string& path, const Headers& headers) {
  return request(port, "GET", path, headers);
}

std::uint16_t listen_at(int listener, int backlog, const std::string& address, std::uint16_t port) {
  sockaddr_in bound{};
  bound.sin_family = AF_INET;
  bound.sin_port = htons(port);
  ::inet_pton(AF_INET, address.c_str(), &bound.sin_addr);
  socklen_t length = sizeof bound;
  auto* const generic = reinterpret_cast<sockaddr*>(&bound);
  if (::bind(listener, generic, length) != 0 || ::listen(listener, backlog) != 0 ||
      ::getsockname(listener, generic, &length) != 0) {
    return 0;
  }
  return ntohs(bound.sin_port);
}

Acceptor::Acceptor(std::function<void(int connection, std::size_t number)> serve, const std::string& address,
                   std::uint16_t port)
    : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)), address_(address) {
  const int yes = 1;
  setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  port_ = listen_at(listener_, 128, address, port);
  if (port_ == 0) {
    ::close(listener_);
    throw std::runtime_error("cannot listen");
  }
  thread_ = std::jthread([this, serve = std::move(serve)] {
    std::vector<std::jthread> connections;
    for (std::size_t number = 0;; ++number) {
      const int connection = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (connection < 0) return;
      const timeval tick{0, 20'000};
      setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &tick, sizeof tick);
      setsockopt(connection, SOL_SOCKET, SO_SNDTIMEO, &tick, sizeof tick);
      connections.emplace_back([&serve, connection, number] {
        serve(connection, number);
        ::close(connection);
      });
    }
  });
}

Acceptor::~Acceptor() {
  stopping_ = true;
  ::shutdown(listener_, SHUT_RDWR);
  thread_.join();
  ::close(listener_);
}

bool Acceptor::receive(int connection, std::string& buffer) const {
  char chunk[4096];
  const auto count = ::recv(connection, chunk, sizeof chunk, 0);
  if (count > 0) buffer.append(chunk, static_cast<std::size_t>(count));
  return !stopping_ && (count > 0 || (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)));
}

void Acceptor::send(int connection, const std::string& bytes) const {
  for (std::size_t sent = 0; sent < bytes.size() && !stopping_;) {
    const auto part = ::send(connection, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (part < 0 && errno != EAGAIN && errno != EWOULDBLOCK) break;
    if (part > 0) sent += static_cast<std::size_t>(part);
  }
}

CannedServer::CannedServer(std::vector<std::string> answers)
    : answers_(std::move(answers)), acceptor_([this](int connection, std::size_t number) {
        const auto& answer = answers_[std::min(number, answers_.size() - 1)];
        for (std::string request; acceptor_.receive(connection, request); request.clear()) {
          if (!request.empty()) acceptor_.send(connection, answer);
        }
      }) {}

std::vector<std::uint16_t> free_ports(std::size_t count) {
  // Not from the range from which the kernel takes ports for connections: one could take a port while it is closed.
  constexpr unsigned kFirst = 20'000;
  constexpr unsigned kCount = 12'000;
  static std::atomic<unsigned> next = static_cast<unsigned>(::getpid()) * 37;
  std::vector<std::uint16_t> ports;
  while (ports.size() < count) {
    const auto port = static_cast<std::uint16_t>(kFirst + next++ % kCount);
    try {
      const Acceptor free([](int, std::size_t) {}, "127.0.0.1", port);
      ports.push_back(port);
    } catch (const std::runtime_error&) {  // it is in use
    }
  }
  return ports;
}

std::string canned(const std::string& body, const std::string& status, const std::string& lines) {
  return "HTTP/1.1 " + status + "\r\n" + lines + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

}  // namespace dice::test

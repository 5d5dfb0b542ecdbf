#include "support/http.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <stdexcept>

namespace dice::test {

Connection::Connection(std::uint16_t port) : descriptor_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  const timeval patience{10, 0};
  setsockopt(descriptor_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(descriptor_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    ::close(descriptor_);
    throw std::runtime_error("cannot connect to port " + std::to_string(port));
  }
}

Connection::~Connection() { ::close(descriptor_); }

void Connection::send(const std::string& bytes) const {
  for (std::size_t sent = 0; sent < bytes.size();) {
    const auto count = ::send(descriptor_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (count <= 0) return;  // the other side has had enough; its answer may be there
    sent += static_cast<std::size_t>(count);
  }
}

bool Connection::fill() {
  char chunk[16384];
  const auto count = ::recv(descriptor_, chunk, sizeof chunk, 0);
  if (count <= 0) return false;
  buffer_.append(chunk, static_cast<std::size_t>(count));
  return true;
}

Reply Connection::receive() {
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
  const auto length = reply.headers.contains("content-length") ? std::stoul(reply.headers["content-length"]) : 0;
  while (buffer_.size() < length) {
    if (!fill()) break;
  }
  reply.body = buffer_.substr(0, length);
  buffer_.erase(0, length);
  return reply;
}

bool Connection::closed() { return buffer_.empty() && !fill(); }

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

}  // namespace dice::test

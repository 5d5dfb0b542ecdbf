// bench-sink PORT: a minimal collector that discards everything, so that only the sender is measured.
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

namespace {

/// Reads each request of a connection, discards its body and responds.
void serve(int connection) {
  std::vector<char> buffer(1UL << 20U);
  std::string head;
  for (;;) {
    const auto end = head.find("\r\n\r\n");
    if (end == std::string::npos) {
      const auto count = ::recv(connection, buffer.data(), buffer.size(), 0);
      if (count <= 0) break;
      head.append(buffer.data(), static_cast<std::size_t>(count));
      continue;
    }
    const auto at = head.find("Content-Length: ");
    const std::size_t length = at < end ? std::stoul(head.substr(at + 16)) : 0;
    const std::size_t here = std::min(head.size() - end - 4, length);
    head.erase(0, end + 4 + here);
    for (std::size_t left = length - here; left > 0;) {
      const auto count = ::recv(connection, buffer.data(), std::min(left, buffer.size()), 0);
      if (count <= 0) return void(::close(connection));
      left -= static_cast<std::size_t>(count);
    }
    const std::string answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    (void)::send(connection, answer.data(), answer.size(), MSG_NOSIGNAL);
  }
  ::close(connection);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(std::atoi(argv[1])));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 || ::listen(listener, 16) != 0)
    return 1;
  for (;;) {
    const int connection = ::accept(listener, nullptr, nullptr);
    if (connection >= 0) std::thread(serve, connection).detach();
  }
}

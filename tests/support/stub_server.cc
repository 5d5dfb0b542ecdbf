#include "support/stub_server.h"

#include <utility>

namespace dice::test {

StubServer::StubServer(Handler handler, const std::string& address, std::uint16_t port)
    : handler_(std::move(handler)),
      acceptor_(
          [this](int connection, std::size_t /*number*/) {
            for (std::string buffer; acceptor_.receive(connection, buffer);) {
              const auto end = buffer.find("\r\n\r\n");
              if (end == std::string::npos) continue;
              const auto reply = handler_(buffer.substr(0, end + 4));
              buffer.erase(0, end + 4);
              std::string lines;
              for (const auto& [name, value] : reply.headers) {
                if (name != "content-length" && name != "connection") lines += name + ": " + value + "\r\n";
              }
              acceptor_.send(connection, canned(reply.body, std::to_string(reply.status) + " Status", lines));
            }
          },
          address, port) {}

std::string target_of(const std::string& head) {
  const auto begin = head.find(' ') + 1;
  return head.substr(begin, head.find(' ', begin) - begin);
}

Reply forward(std::uint16_t port, const std::string& head) {
  Connection connection(port);
  connection.send(head);
  return connection.receive();
}

}  // namespace dice::test

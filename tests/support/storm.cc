#include "support/storm.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <optional>
#include <random>
#include <string_view>
#include <thread>
#include <utility>

namespace dice::test {
namespace {

constexpr std::size_t kMaxBurst = 64;
constexpr int kTimeoutSeconds = 20;

/// Several loopback addresses, so that recently closed connections do not use up the ports of one.
in_addr_t source_address(std::mt19937_64& random) {
  const auto byte = [&random] { return static_cast<in_addr_t>(1 + random() % 250); };
  return htonl(0x7F000000U | byte() << 8U | byte());
}

int connect_to(std::uint16_t port, std::mt19937_64& random) {
  const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const timeval timeout{kTimeoutSeconds, 0};
  const int yes = 1;
  ::setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
  ::setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  ::setsockopt(descriptor, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof yes);
  sockaddr_in source{};
  source.sin_family = AF_INET;
  source.sin_addr.s_addr = source_address(random);
  sockaddr_in target{};
  target.sin_family = AF_INET;
  target.sin_port = htons(port);
  target.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::bind(descriptor, reinterpret_cast<sockaddr*>(&source), sizeof source) == 0 &&
      ::connect(descriptor, reinterpret_cast<sockaddr*>(&target), sizeof target) == 0) {
    return descriptor;
  }
  ::close(descriptor);
  return -1;
}

std::string request_for(const std::string& path, const std::string& trace_id) {
  return "GET " + path + " HTTP/1.1\r\nHost: x\r\ntraceparent: 00-" + trace_id + "-00f067aa0ba902b7-01\r\n\r\n";
}

std::string random_id(std::mt19937_64& random) {
  char text[33];
  std::snprintf(text, sizeof text, "%016llx%016llx", static_cast<unsigned long long>(random() | 1U),
                static_cast<unsigned long long>(random()));
  return text;
}

class Thread {
 public:
  Thread(const StormOptions& options, std::size_t number) : options_(options), random_(options.seed * 1000 + number) {}
  ~Thread() {
    if (kept_ >= 0) ::close(kept_);
  }
  Thread(const Thread&) = delete;
  Thread& operator=(const Thread&) = delete;

  StormResult run(std::size_t leavers) {
    while (result_.left < leavers) {
      const auto burst = std::min<std::size_t>(1 + random_() % kMaxBurst, leavers - result_.left);
      abandon(burst);
      for (std::size_t i = 0; i < burst; ++i) honest_request();
    }
    return result_;
  }

 private:
  void abandon(std::size_t burst) {
    std::vector<int> clients;
    for (std::size_t i = 0; i < burst; ++i) {
      const int client = connect_to(options_.port, random_);
      ++result_.left;
      if (client < 0) continue;
      std::string bytes;
      for (auto requests = 1 + random_() % 3; requests > 0; --requests) {
        bytes += request_for(options_.abandoned[random_() % options_.abandoned.size()], random_id(random_));
      }
      if (random_() % 4 == 0) bytes.resize(random_() % bytes.size());
      (void)!::send(client, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      clients.push_back(client);
    }
    std::ranges::shuffle(clients, random_);
    for (const int client : clients) {
      const auto way = random_() % 4;
      if (way == 0) {
        const linger reset{1, 0};
        ::setsockopt(client, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
      } else if (way == 1) {
        ::shutdown(client, SHUT_WR);
      } else if (way == 2) {  // in the middle of the response
        char some[64];
        (void)!::recv(client, some, sizeof some, MSG_DONTWAIT);
      }
      ::close(client);
    }
  }

  void honest_request() {
    if (kept_ < 0 || random_() % 8 == 0) {
      if (kept_ >= 0) ::close(kept_);
      kept_ = connect_to(options_.port, random_);
    }
    ++result_.honest;
    pollfd early{kept_, POLLIN, 0};
    if (kept_ >= 0 && ::poll(&early, 1, 0) > 0) {
      char some[1];
      if (::recv(kept_, some, sizeof some, MSG_PEEK | MSG_DONTWAIT) > 0) ++result_.unsolicited;
    }
    const auto& path = options_.honest[random_() % options_.honest.size()];
    const auto id = random_id(random_);
    const auto bytes = request_for(path, id);
    std::string answer;
    if (kept_ < 0 || ::send(kept_, bytes.data(), bytes.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(bytes.size()) ||
        !receive(answer)) {
      ++result_.lost;
      if (kept_ >= 0) ::close(std::exchange(kept_, -1));
      return;
    }
    const auto body = answer.substr(answer.find("\r\n\r\n") + 4);
    const bool own = answer.find("\r\ntraceresponse: 00-" + id + "-") != std::string::npos;
    if (!own || (options_.check && !options_.check(path, body))) ++result_.foreign;
  }

  /// Reads one complete response.
  bool receive(std::string& answer) {
    std::size_t wanted = std::string::npos;
    while (answer.size() < wanted) {
      char some[16384];
      const auto count = ::recv(kept_, some, sizeof some, 0);
      if (count <= 0) return false;
      answer.append(some, static_cast<std::size_t>(count));
      const auto end = answer.find("\r\n\r\n");
      if (end == std::string::npos || wanted != std::string::npos) continue;
      const auto length = answer.find("\r\nContent-Length: ");
      if (length == std::string::npos || length > end) return false;
      wanted = end + 4 + std::stoul(answer.substr(length + 18, 20));
    }
    if (answer.size() > wanted) ++result_.unsolicited;
    return true;
  }

  const StormOptions& options_;
  std::mt19937_64 random_;
  int kept_ = -1;
  StormResult result_;
};

}  // namespace

StormResult storm(const StormOptions& options) {
  std::vector<StormResult> results(options.threads);
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < options.threads; ++i) {
      threads.emplace_back([&, i] { results[i] = Thread(options, i).run(options.leavers / options.threads); });
    }
  }
  StormResult sum;
  for (const auto& one : results) {
    sum.left += one.left;
    sum.honest += one.honest;
    sum.foreign += one.foreign;
    sum.unsolicited += one.unsolicited;
    sum.lost += one.lost;
  }
  return sum;
}

}  // namespace dice::test

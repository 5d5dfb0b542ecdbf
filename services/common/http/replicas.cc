#include "common/http/replicas.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <set>
#include <system_error>
#include <thread>
#include <tuple>
#include <utility>

#include "common/concurrency/mutex.h"

namespace dice {
namespace {

using std::chrono::steady_clock;
using Addresses = std::vector<std::string>;

bool is_address(const std::string& host) {
  in6_addr parsed{};
  return ::inet_pton(AF_INET, host.c_str(), &parsed) == 1 || ::inet_pton(AF_INET6, host.c_str(), &parsed) == 1;
}

/// A host name and its addresses. Shared with the thread that resolves it, which may outlive everything else.
class Host {
 public:
  Host(std::string name, Resolver resolve) : name_(std::move(name)), resolve_(std::move(resolve)) {
    if (!is_address(name_)) return;
    addresses_ = {name_};
    renew_at_ = TimePoint::max();
  }

  /// Starts to resolve the name if its addresses are older than `max_age`.
  static void renew(const std::shared_ptr<Host>& host, Seconds max_age) {
    const Lock lock(host->mutex_);
    const auto now = steady_clock::now();
    if (host->resolving_ || now < host->renew_at_) return;
    host->resolving_ = true;
    host->started_ = now;
    try {
      std::thread([host, max_age] {
        auto found = host->resolve_(host->name_);
        const Lock end(host->mutex_);
        if (found) host->addresses_ = std::move(*found);
        host->resolving_ = false;
        host->renew_at_ = steady_clock::now() + to_steady(max_age);
        host->ended_.notify_all();
      }).detach();
    } catch (const std::system_error&) {  // no thread: the next caller tries again
      host->resolving_ = false;
    }
  }

  /// Waits until the name is resolved, until `deadline`, or until resolving it has taken `patience`.
  Addresses addresses(TimePoint deadline, Seconds patience, const std::stop_token& stop) {
    const std::stop_callback wake(stop, [this] {
      const Lock lock(mutex_);
      ended_.notify_all();
    });
    const Lock lock(mutex_);
    const auto end = std::min(deadline, started_ + to_steady(patience));
    while (resolving_ && !stop.stop_requested() && ended_.wait_until(mutex_, end)) {
    }
    return addresses_;
  }

 private:
  const std::string name_;
  const Resolver resolve_;
  Mutex mutex_;
  Condition ended_;
  bool resolving_ GUARDED_BY(mutex_) = false;
  TimePoint started_ GUARDED_BY(mutex_){};
  TimePoint renew_at_ GUARDED_BY(mutex_){};
  Addresses addresses_ GUARDED_BY(mutex_);
};

}  // namespace

std::optional<Addresses> resolve_host(const std::string& host) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  const int error = ::getaddrinfo(host.c_str(), nullptr, &hints, &list);
  if (error == EAI_NONAME || error == EAI_NODATA) return Addresses{};
  if (error != 0) return std::nullopt;
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(list, ::freeaddrinfo);
  std::set<std::string> v4;
  std::set<std::string> v6;
  for (const auto* one = list; one != nullptr; one = one->ai_next) {
    char text[NI_MAXHOST];
    if (::getnameinfo(one->ai_addr, one->ai_addrlen, text, sizeof text, nullptr, 0, NI_NUMERICHOST) != 0) continue;
    (one->ai_family == AF_INET ? v4 : v6).insert(text);
  }
  const auto& found = v4.empty() ? v6 : v4;
  return Addresses(found.begin(), found.end());
}

struct Replicas::Implementation {
  explicit Implementation(Options given) : options(std::move(given)) {}

  struct Source {
    std::string base_url;
    std::shared_ptr<Host> host;
  };
  using Key = std::pair<std::string, std::string>;

  const Options options;
  std::vector<Source> sources;
  Mutex mutex;
  /// By URL and address.
  std::map<Key, std::shared_ptr<Replica>> replicas GUARDED_BY(mutex);
};

Replicas::Replicas(Options options) : implementation_(std::make_unique<Implementation>(std::move(options))) {
  std::map<std::string, std::shared_ptr<Host>> hosts;
  for (const auto& url : implementation_->options.base_urls) {
    const auto name = host_of(url);
    auto& host = hosts[name];
    if (!host) host = std::make_shared<Host>(name, implementation_->options.resolve);
    implementation_->sources.push_back({url, host});
  }
}

Replicas::~Replicas() = default;

std::vector<std::shared_ptr<Replica>> Replicas::find(Seconds timeout, const std::stop_token& stop) {
  auto& all = *implementation_;
  const auto& options = all.options;
  const auto deadline = steady_clock::now() + to_steady(timeout);
  for (const auto& source : all.sources) Host::renew(source.host, options.max_age);
  std::vector<Implementation::Key> keys;
  for (const auto& [url, host] : all.sources) {
    for (auto& address : host->addresses(deadline, options.patience, stop)) keys.emplace_back(url, std::move(address));
  }
  std::vector<std::shared_ptr<Replica>> found;
  std::map<Implementation::Key, std::shared_ptr<Replica>> current;
  const Lock lock(all.mutex);
  for (const auto& key : keys) {
    auto& replica = current[key];
    if (replica) continue;
    if (const auto known = all.replicas.find(key); known != all.replicas.end()) {
      replica = known->second;
    } else {
      auto client = options.client;
      std::tie(client.base_url, client.address) = key;
      replica = std::make_shared<Replica>(client, options.pause);
    }
    found.push_back(replica);
  }
  if (!stop.stop_requested()) all.replicas = std::move(current);
  return found;
}

}  // namespace dice

#include "common/http/listener.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pistache/reactor.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <list>
#include <ranges>
#include <system_error>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

namespace dice {
namespace {

namespace px = Pistache;
using std::chrono::steady_clock;

constexpr int kBacklog = 1024;
constexpr int kMaxAccepts = 64;
/// Additional connections beyond the limit, for probes; after that, new ones wait in the backlog.
constexpr std::size_t kReserve = 32;
/// Connections that were active more recently are not closed to make room.
constexpr Seconds kMinIdle{0.25};
/// Interval at which deadlines are checked.
constexpr long kTickNanoseconds = 100'000'000;

/// Kernel send buffer per connection: enough for a whole reply, but limited, so that clients that do not read cannot
/// fill megabytes.
constexpr int kSendBuffer = 64 << 10;
/// Minimum interval between log lines about connections not being accepted.
constexpr Seconds kLogInterval{10};

/// Sources of events. Each connection has a unique number, so that a late event finds no connection.
constexpr std::uint64_t kAccept = 1ULL << 40U;
constexpr std::uint64_t kTick = kAccept + 1;
constexpr std::uint64_t kWake = kAccept + 2;
constexpr std::uint64_t kFirstConnection = 1ULL << 41U;

std::string error_text(int error) { return std::generic_category().message(error); }

/// Opens a non-blocking socket on all addresses; only IPv4 if there is no IPv6. The error is an errno.
std::expected<int, int> listen_on(std::uint16_t port) {
  const auto open = [port](int family) -> std::expected<int, int> {
    const int descriptor = ::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return std::unexpected(errno);
    const int yes = 1;
    const int no = 0;
    (void)::setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    int bound = 0;
    if (family == AF_INET6) {
      (void)::setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof no);
      sockaddr_in6 address{};
      address.sin6_family = AF_INET6;
      address.sin6_port = htons(port);
      bound = ::bind(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address);
    } else {
      sockaddr_in address{};
      address.sin_family = AF_INET;
      address.sin_port = htons(port);
      bound = ::bind(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address);
    }
    if (bound == 0 && ::listen(descriptor, kBacklog) == 0) return descriptor;
    const int error = errno;
    ::close(descriptor);
    return std::unexpected(error);
  };
  auto descriptor = open(AF_INET6);
  if (!descriptor && (descriptor.error() == EAFNOSUPPORT || descriptor.error() == EADDRNOTAVAIL)) {
    descriptor = open(AF_INET);
  }
  return descriptor;
}

std::uint16_t port_of(int descriptor) {
  sockaddr_in6 address{};  // the port has the same offset in sockaddr_in
  socklen_t length = sizeof address;
  (void)::getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &length);
  return ntohs(address.sin6_port);
}

px::Polling::NotifyOn to_pistache(Connection::Interest interest) {
  switch (interest) {
    case Connection::Interest::read: return px::Polling::NotifyOn::Read;
    case Connection::Interest::write: return px::Polling::NotifyOn::Write;
    case Connection::Interest::end_of_input: return px::Polling::NotifyOn::Shutdown;
    case Connection::Interest::none: break;
  }
  return px::Polling::NotifyOn::None;
}

}  // namespace

struct Listener::Shared {
  const Options options;
  Connection::Owner& owner;
  const Logger log;
  int descriptor = -1;
  /// Connections that are accepted and not yet closed.
  std::atomic<std::size_t> connections = 0;
  std::atomic<std::size_t> buffered = 0;
  std::vector<std::shared_ptr<Loop>> loops{};
};

/// One I/O thread with its own reactor. The first one also accepts connections.
class Listener::Loop final : public px::Aio::Handler, public Connection::Loop {
 public:
  using Task = std::move_only_function<void()>;

  Loop(Shared& shared, bool accepts) : shared_(shared), accepts_(accepts), reactor_(px::Aio::Reactor::create()) {
    reactor_->init(px::Aio::SyncContext());
  }
  ~Loop() override {
    if (timer_ >= 0) ::close(timer_);
    if (wake_ >= 0) ::close(wake_);
  }
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  /// `self` is this object, which the reactor keeps until `stop`. Throws if the system has no descriptors left.
  void start(const std::shared_ptr<Loop>& self) {
    reactor_->addHandler(self);
    timer_ = ::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    wake_ = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    reactor_->registerFd(key(), timer_, px::Polling::NotifyOn::Read, px::Polling::Tag(kTick));
    reactor_->registerFd(key(), wake_, px::Polling::NotifyOn::Read, px::Polling::Tag(kWake));
    if (accepts_) {
      reactor_->registerFd(key(), shared_.descriptor, px::Polling::NotifyOn::Read, px::Polling::Tag(kAccept));
    }
    thread_ = std::thread([reactor = reactor_] {
      LogSink::never_wait_on_this_thread();
      reactor->run();
    });
  }

  void stop() {
    if (thread_.joinable()) {
      post([this] {
        stopping_ = true;
        for (const auto& connection : by_activity_) connection->close(false);
        reactor_->shutdown();
      });
      thread_.join();
    }
    reactor_.reset();
  }

  /// `task` runs on this thread, soon.
  void post(Task task) {
    const Lock lock(mutex_);
    posted_.push_back(std::move(task));
    if (posted_.size() == 1) (void)::eventfd_write(wake_, 1);
  }

  std::size_t connections() const { return connections_; }
  void count_new_connection() { ++connections_; }

  void adopt(int descriptor, std::uint64_t id) {
    const bool over_limit = by_activity_.size() >= share() && !make_room();
    const auto connection = std::make_shared<Connection>(descriptor, id, shared_.options.connection, *this,
                                                         shared_.owner, shared_.buffered, over_limit);
    by_id_.emplace(id, by_activity_.insert(by_activity_.end(), connection));
    try {
      reactor_->registerFd(key(), descriptor, px::Polling::NotifyOn::Read, px::Polling::Tag(id));
    } catch (const std::exception&) {  // for example, the kernel is out of memory
      connection->close(true);
      remove(id);
      return;
    }
    if (stopping_) connection->close(false);
    if (by_activity_.size() == 1) tick_every(kTickNanoseconds);
  }

  void cancel(Connection::Reason reason) {
    for (const auto& connection : by_activity_) connection->cancel(reason);
  }

  // --- Connection::Loop ---

  void watch(const Connection& connection, Connection::Interest interest) override {
    try {
      reactor_->modifyFd(key(), connection.descriptor(), to_pistache(interest), px::Polling::Tag(connection.id()));
    } catch (const std::exception&) {  // the kernel no longer knows the descriptor; the connection's deadline ends it
    }
  }

  void wake(std::shared_ptr<Connection> connection) override {
    post([this, connection = std::move(connection)] { ready(connection->id()); });
  }

 private:
  // --- px::Aio::Handler ---

  std::shared_ptr<px::Aio::Handler> clone() const override {
    return nullptr;
  }  // never called: there is only one thread
  void registerPoller(px::Polling::Epoll& /*poller*/) override {}

  void onReady(const px::Aio::FdSet& events) override {
    for (const auto& event : events) {
      const auto tag = event.getTag().value();
      if (tag == kAccept) accept();
      else if (tag == kTick) tick();
      else if (tag == kWake) run_posted();
      else ready(tag);
    }
  }

  void run_posted() {
    std::vector<Task> tasks;
    {
      const Lock lock(mutex_);
      eventfd_t times = 0;
      (void)::eventfd_read(wake_, &times);
      std::swap(tasks, posted_);
    }
    for (auto& task : tasks) task();
  }

  // --- connections ---

  /// This thread's share of the maximum number of connections.
  std::size_t share() const { return std::max<std::size_t>(shared_.options.max_connections / shared_.loops.size(), 1); }

  void ready(std::uint64_t id) {
    const auto found = by_id_.find(id);
    if (found == by_id_.end()) return;
    by_activity_.splice(by_activity_.end(), by_activity_, found->second);
    const auto connection = *found->second;
    try {
      if (!connection->on_ready()) remove(id);
    } catch (const std::exception& error) {  // such as out of memory: ends this connection, not the thread
      shared_.log.log(LogMessage::connection_aborted, nullptr, {{"error", std::string_view(error.what())}});
      connection->close(true);
      remove(id);
    }
    while (shared_.buffered > shared_.options.max_buffered_bytes && make_room()) {
    }
  }

  void remove(std::uint64_t id) {
    const auto found = by_id_.find(id);
    if (found == by_id_.end()) return;
    by_activity_.erase(found->second);
    by_id_.erase(found);
    --connections_;
    --shared_.connections;
    if (by_activity_.empty() && !paused_) tick_every(0);
  }

  /// Closes the connection that has been idle the longest. False if none has been idle long enough.
  bool make_room() {
    const auto now = steady_clock::now();
    for (std::size_t checked = 0; checked < by_activity_.size() && checked < kMaxAccepts; ++checked) {
      const auto connection = by_activity_.front();
      if (connection->is_idle(now, kMinIdle)) {
        connection->close(true);
        remove(connection->id());
        return true;
      }
      by_activity_.splice(by_activity_.end(), by_activity_, by_activity_.begin());
    }
    return false;
  }

  void tick() {
    std::uint64_t times = 0;
    (void)!::read(timer_, &times, sizeof times);
    const auto now = steady_clock::now();
    std::vector<std::uint64_t> ended;
    for (const auto& connection : by_activity_) {
      if (!connection->on_tick(now)) ended.push_back(connection->id());
    }
    for (const auto id : ended) remove(id);
    while (by_activity_.size() > share() && make_room()) {
    }
    if (paused_) pause_accepting(false);
  }

  /// 0 = never.
  void tick_every(long nanoseconds) {
    const itimerspec every{{0, nanoseconds}, {0, nanoseconds}};
    (void)::timerfd_settime(timer_, 0, &every, nullptr);
  }

  // --- accepting, on the first loop ---

  void accept() {
    for (int i = 0; i < kMaxAccepts; ++i) {
      if (shared_.connections >= shared_.options.max_connections + kReserve) {
        return stop_accepting("the maximum number of connections is reached");
      }
      const int descriptor = ::accept4(shared_.descriptor, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (descriptor < 0) {
        if (errno == EAGAIN || errno == EWOULDBLOCK) return;
        if (errno == ECONNABORTED || errno == EINTR) continue;
        return stop_accepting(error_text(errno));
      }
      const int yes = 1;
      (void)::setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
      (void)::setsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, &kSendBuffer, sizeof kSendBuffer);
      // The write timeout for data in the kernel's buffers.
      const auto timeout = static_cast<unsigned>(shared_.options.connection.write_timeout.count() * 1000);
      (void)::setsockopt(descriptor, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, sizeof timeout);
      const auto& loop =
          *std::ranges::min_element(shared_.loops, {}, [](const auto& one) { return one->connections(); });
      loop->count_new_connection();
      ++shared_.connections;
      const auto id = next_id_++;
      if (loop.get() == this) adopt(descriptor, id);
      else loop->post([loop = loop.get(), descriptor, id] { loop->adopt(descriptor, id); });
    }
  }

  /// Pauses accepting until the next tick; new connections wait in the backlog.
  void stop_accepting(const std::string& reason) {
    const auto now = steady_clock::now();
    if (now >= next_log_) {
      next_log_ = now + to_steady(kLogInterval);
      shared_.log.log(LogMessage::connections_limited, nullptr,
                      {{"reason", std::string_view(reason)},
                       {"connections", static_cast<std::int64_t>(shared_.connections.load())}});
    }
    pause_accepting(true);
  }

  void pause_accepting(bool pause) {
    using px::Polling::NotifyOn;
    paused_ = pause;
    reactor_->modifyFd(key(), shared_.descriptor, pause ? NotifyOn::None : NotifyOn::Read, px::Polling::Tag(kAccept));
    tick_every(pause || !by_activity_.empty() ? kTickNanoseconds : 0);
  }

  Shared& shared_;
  const bool accepts_;
  std::shared_ptr<px::Aio::Reactor> reactor_;
  std::thread thread_;
  int timer_ = -1;
  int wake_ = -1;
  /// Including those being handed over to this thread.
  std::atomic<std::size_t> connections_ = 0;
  Mutex mutex_;
  std::vector<Task> posted_ GUARDED_BY(mutex_);

  // Used only by this thread.
  /// Ordered by last activity, the most recent at the end.
  std::list<std::shared_ptr<Connection>> by_activity_;
  std::unordered_map<std::uint64_t, std::list<std::shared_ptr<Connection>>::iterator> by_id_;
  std::uint64_t next_id_ = kFirstConnection;
  bool paused_ = false;
  bool stopping_ = false;
  TimePoint next_log_{};
};

Listener::Listener(const Options& options, Connection::Owner& owner, const Logger& log)
    : shared_(new Shared{.options = options, .owner = owner, .log = log}) {}

Listener::~Listener() { stop(); }

std::expected<std::uint16_t, std::string> Listener::start() {
  const auto failed = [this](const std::string& reason) {
    stop();
    return std::unexpected("port " + std::to_string(shared_->options.port) + ": " + reason);
  };
  const auto descriptor = listen_on(shared_->options.port);
  if (!descriptor) return failed(error_text(descriptor.error()));
  shared_->descriptor = *descriptor;
  try {
    for (int i = 0; i < shared_->options.threads; ++i) {
      shared_->loops.push_back(std::make_shared<Loop>(*shared_, i == 0));
    }
    // Start the accepting thread last: it hands connections to the others.
    for (const auto& loop : std::views::reverse(shared_->loops)) loop->start(loop);
  } catch (const std::exception& error) {
    return failed(error.what());
  }
  return port_of(*descriptor);
}

void Listener::cancel(Connection::Reason reason) {
  for (const auto& loop : shared_->loops) {
    loop->post([loop = loop.get(), reason] { loop->cancel(reason); });
  }
}

void Listener::stop() {
  for (const auto& loop : shared_->loops) loop->stop();  // the accepting one first
  shared_->loops.clear();
  if (shared_->descriptor >= 0) ::close(std::exchange(shared_->descriptor, -1));
}

}  // namespace dice

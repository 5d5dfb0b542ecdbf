#include "common/http/client.h"

#include <curl/curl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <limits>
#include <mutex>
#include <span>
#include <utility>
#include <vector>

#include "common/base/json_view.h"
#include "common/base/utf8.h"
#include "common/concurrency/mutex.h"
#include "common/http/message.h"
#include "common/http/parser.h"
#include "contract/names.h"

namespace dice {
namespace {

using std::chrono::steady_clock;

struct FreeEasy {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
};
struct FreeMulti {
  void operator()(CURLM* handle) const { curl_multi_cleanup(handle); }
};
struct FreeList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

/// A Kubernetes Service chooses a pod per connection, so a connection kept forever would never reach new pods.
constexpr std::chrono::seconds kMaxConnectionAge{30};
/// Most responses are smaller.
constexpr std::size_t kReadBytes = 4096;
constexpr int kServiceUnavailable = 503;

/// Maximum bytes of another service's error message that are passed on.
constexpr std::size_t kMaxMessage = 256;
/// One day; larger values are ignored.
constexpr int kMaxRetryAfterSeconds = 86'400;

long milliseconds(Seconds seconds) { return static_cast<long>(seconds.count() * 1000) + 1; }

/// RFC 9110, section 10.2.3; only a number of seconds.
std::optional<int> parse_retry_after(std::string_view text) {
  int seconds = 0;
  const auto* const end = std::to_address(text.end());
  const auto parsed = std::from_chars(std::to_address(text.begin()), end, seconds);
  if (parsed.ec != std::errc() || parsed.ptr != end || seconds < 0 || seconds > kMaxRetryAfterSeconds) return {};
  return seconds;
}

/// What became of a request that was sent once.
struct Attempt {
  /// `broken`: the connection ended before the response began; `cut`: before it was complete.
  enum class Outcome { answered, unconnected, broken, cut, timed_out, too_large, malformed, cancelled };

  Outcome outcome = Outcome::unconnected;
  ClientResponse response = {};

  /// Whether the request got no connection, or lost it before the response began.
  bool lost() const { return outcome == Outcome::unconnected || outcome == Outcome::broken; }
};
using Outcome = Attempt::Outcome;

/// Rounded up; at least 1 if `deadline` has not passed, otherwise 0.
int milliseconds_until(TimePoint deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - steady_clock::now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, std::numeric_limits<int>::max()));
}

std::string part_of(const std::string& url, CURLUPart part) {
  std::string text;
  const std::unique_ptr<CURLU, void (*)(CURLU*)> parsed(curl_url(), curl_url_cleanup);
  char* found = nullptr;
  if (curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(), 0) == CURLUE_OK &&
      curl_url_get(parsed.get(), part, &found, CURLU_DEFAULT_PORT) == CURLUE_OK) {
    text = found;
  }
  curl_free(found);
  return text;
}

/// Sets how long the kernel waits for acknowledgements, also of the probes that it sends while a response is awaited.
int prepare_socket(void* unacknowledged_milliseconds, curl_socket_t socket, curlsocktype /*purpose*/) {
  (void)::setsockopt(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, unacknowledged_milliseconds, sizeof(unsigned));
  return CURL_SOCKOPT_OK;
}

/// Closes the sockets of attempts that failed, but not the one to keep.
int close_socket(void* kept, curl_socket_t socket) {
  return socket == *static_cast<const curl_socket_t*>(kept) ? 0 : ::close(socket);
}

/// A connection, made by curl, which remains only where it encrypts: its structures take 20 KiB, and its own way of
/// sending a few hundred bytes costs more than all the rest of a call.
class Connection {
 public:
  Connection() = default;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() {
    if (!easy_ && socket_ >= 0) ::close(socket_);
  }

  /// Null if there is no connection by `deadline` or when `stop` is requested.
  /// `address` replaces the host of the URL; it may be null.
  static std::unique_ptr<Connection> open(const Client::Options& options, curl_slist* address, TimePoint deadline,
                                          const std::stop_token& stop) {
    auto made = std::make_unique<Connection>();
    return made->connect(options, address, deadline, stop) ? std::move(made) : nullptr;
  }

  Attempt exchange(const std::string& request, std::size_t max_body_bytes, TimePoint deadline,
                   const std::stop_token& stop) {
    const std::stop_callback end(stop, [this] { (void)::shutdown(socket_, SHUT_RDWR); });
    Attempt attempt;
    ResponseParser parser(max_body_bytes);
    keep_alive_ = false;
    attempt.outcome = send(request, deadline);
    if (attempt.outcome == Outcome::answered) attempt.outcome = receive(parser, deadline);
    if (attempt.outcome == Outcome::answered) {
      keep_alive_ = parser.keep_alive();
      attempt.response = parser.take();
    } else if (stop.stop_requested()) {
      attempt.outcome = Outcome::cancelled;
    }
    return attempt;
  }

  /// Whether the server keeps it open after the last response.
  bool keep_alive() const { return keep_alive_; }

  /// Whether a kept one can still be used: nothing is to be read, not even its end.
  bool alive() const {
    pollfd idle{socket_, POLLIN, 0};
    return steady_clock::now() - made_ < kMaxConnectionAge && ::poll(&idle, 1, 0) == 0;
  }

 private:
  bool connect(const Client::Options& options, curl_slist* address, TimePoint deadline, const std::stop_token& stop) {
    // Used when the handles are destroyed.
    curl_socket_t kept = CURL_SOCKET_BAD;
    std::unique_ptr<CURLM, FreeMulti> multi(curl_multi_init());
    std::unique_ptr<CURL, FreeEasy> easy(curl_easy_init());
    auto* const curl = easy.get();
    const auto limit = std::clamp<long>(milliseconds_until(deadline), 1, milliseconds(options.connect_timeout));
    auto unacknowledged = static_cast<unsigned>(milliseconds(options.unacknowledged));
    curl_easy_setopt(curl, CURLOPT_URL, options.base_url.c_str());
    curl_easy_setopt(curl, CURLOPT_CONNECT_ONLY, 1L);
    curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    curl_easy_setopt(curl, CURLOPT_CONNECT_TO, address);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, limit);
    curl_easy_setopt(curl, CURLOPT_SOCKOPTFUNCTION, prepare_socket);
    curl_easy_setopt(curl, CURLOPT_SOCKOPTDATA, &unacknowledged);
    curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(curl, CURLOPT_TCP_KEEPIDLE, 1L);
    curl_easy_setopt(curl, CURLOPT_TCP_KEEPINTVL, 1L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L);  // do not wait for a pending name resolution
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    const bool encrypted = options.base_url.starts_with("https:");
    if (!encrypted) {
      curl_easy_setopt(curl, CURLOPT_CLOSESOCKETFUNCTION, close_socket);
      curl_easy_setopt(curl, CURLOPT_CLOSESOCKETDATA, &kept);
    }
    {
      const std::stop_callback wake(stop, [&multi] { curl_multi_wakeup(multi.get()); });
      curl_multi_add_handle(multi.get(), curl);
      for (int running = 1; running > 0 && !stop.stop_requested();) {
        if (curl_multi_perform(multi.get(), &running) != CURLM_OK) return false;
        if (running > 0) curl_multi_poll(multi.get(), nullptr, 0, static_cast<int>(limit), nullptr);
      }
    }
    int left = 0;
    const auto* const message = curl_multi_info_read(multi.get(), &left);
    if (message == nullptr || message->data.result != CURLE_OK ||
        curl_easy_getinfo(curl, CURLINFO_ACTIVESOCKET, &socket_) != CURLE_OK) {
      return false;
    }
    kept = socket_;
    if (!encrypted) return true;
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, 0L);
    multi_ = std::move(multi);
    easy_ = std::move(easy);
    return true;
  }

  /// CURLE_AGAIN: wait for the socket. `count` bytes were sent; the socket does not block.
  CURLcode write(std::string_view bytes, std::size_t& count) const {
    if (easy_) return curl_easy_send(easy_.get(), bytes.data(), bytes.size(), &count);
    return judge(::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL), count);
  }

  CURLcode read(std::span<char> buffer, std::size_t& count) const {
    if (easy_) return curl_easy_recv(easy_.get(), buffer.data(), buffer.size(), &count);
    return judge(::recv(socket_, buffer.data(), buffer.size(), 0), count);
  }

  static CURLcode judge(ssize_t done, std::size_t& count) {
    count = done < 0 ? 0 : static_cast<std::size_t>(done);
    if (done >= 0) return CURLE_OK;
    return errno == EAGAIN || errno == EINTR ? CURLE_AGAIN : CURLE_RECV_ERROR;
  }

  /// `answered` if all was sent.
  Outcome send(std::string_view bytes, TimePoint deadline) {
    while (!bytes.empty()) {
      std::size_t count = 0;
      const auto code = write(bytes, count);
      if (code != CURLE_OK && code != CURLE_AGAIN) return Outcome::broken;
      bytes.remove_prefix(count);
      if (code == CURLE_AGAIN && !wait_for(POLLOUT, deadline)) return Outcome::timed_out;
    }
    return Outcome::answered;
  }

  Outcome receive(ResponseParser& parser, TimePoint deadline) {
    std::unique_ptr<char[]> buffer;  // not on the stack, of which every thread would keep a page for it
    auto state = ResponseParser::State::incomplete;
    // What was encrypted may have been received already: only a read that finds nothing makes it wait again.
    for (bool wait = true; state == ResponseParser::State::incomplete;) {
      if (wait && !wait_for(POLLIN, deadline)) return Outcome::timed_out;
      if (!buffer) buffer = std::make_unique_for_overwrite<char[]>(kReadBytes);
      std::size_t count = 0;
      const auto code = read({buffer.get(), kReadBytes}, count);
      wait = code == CURLE_AGAIN;
      if (wait) continue;
      if (code != CURLE_OK || count == 0) {
        if (code == CURLE_OK && parser.end() == ResponseParser::State::complete) return Outcome::answered;
        return parser.begun() ? Outcome::cut : Outcome::broken;
      }
      if (steady_clock::now() >= deadline) return Outcome::timed_out;
      state = parser.feed({buffer.get(), count});
    }
    switch (state) {
      case ResponseParser::State::too_large: return Outcome::too_large;
      case ResponseParser::State::malformed: return Outcome::malformed;
      default: return Outcome::answered;
    }
  }

  /// False if `deadline` has passed.
  bool wait_for(short events, TimePoint deadline) const {
    pollfd socket{socket_, events, 0};
    for (;;) {
      const auto found = ::poll(&socket, 1, milliseconds_until(deadline));
      if (found == 0) return false;
      if (found > 0 || errno != EINTR) return true;
    }
  }

  // Null unless it is encrypted; then, they own the socket. Destroyed in reverse order.
  std::unique_ptr<CURLM, FreeMulti> multi_;
  std::unique_ptr<CURL, FreeEasy> easy_;
  curl_socket_t socket_ = CURL_SOCKET_BAD;
  bool keep_alive_ = false;
  const TimePoint made_ = steady_clock::now();
};

}  // namespace

struct Client::Implementation {
  explicit Implementation(Options given) : options(std::move(given)), host(part_of(options.base_url, CURLUPART_HOST)) {
    static std::once_flag once;
    std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
    const auto text = part_of(options.base_url, CURLUPART_PORT);
    std::from_chars(text.data(), text.data() + text.size(), port);
    prefix = part_of(options.base_url, CURLUPART_PATH);
    while (prefix.ends_with('/')) prefix.pop_back();
    const bool default_port = port == (options.base_url.starts_with("https") ? 443 : 80);
    head = " HTTP/1.1\r\nHost: " + host + (default_port ? "" : ":" + text) + "\r\n";
    const auto& address = options.address;
    if (address.empty()) return;
    connect_to.reset(
        curl_slist_append(nullptr, (address.contains(':') ? "::[" + address + "]:" : "::" + address + ":").c_str()));
  }

  /// Sends the request once; if `fresh`, on a new connection.
  Attempt perform(const std::string& request, TimePoint deadline, const std::stop_token& stop, bool fresh) {
    auto connection = fresh ? nullptr : take();
    if (!connection) connection = Connection::open(options, connect_to.get(), deadline, stop);
    if (!connection) return {stop.stop_requested() ? Outcome::cancelled : Outcome::unconnected};
    auto attempt = connection->exchange(request, options.max_body_bytes, deadline, stop);
    // The connection used last is used next, and a replica that rejects is the first to answer. It would get every
    // request that the others, which are at work, could take.
    if (connection->keep_alive() && attempt.response.status != kServiceUnavailable) {
      give_back(std::move(connection));
    }
    return attempt;
  }

  /// The connection returned last, if it can be used; null if there is none.
  std::unique_ptr<Connection> take() {
    for (;;) {
      std::unique_ptr<Connection> connection;
      {
        const Lock lock(mutex);
        if (idle.empty()) return nullptr;
        connection = std::move(idle.back());
        idle.pop_back();
      }
      if (connection->alive()) return connection;
    }
  }

  void give_back(std::unique_ptr<Connection> connection) {
    const Lock lock(mutex);
    if (idle.size() < options.idle_connections) idle.push_back(std::move(connection));
  }

  void drop_connections() {
    std::vector<std::unique_ptr<Connection>> dropped;
    const Lock lock(mutex);
    std::swap(dropped, idle);
  }

  const Options options;
  const std::string host;
  std::int64_t port = 0;
  /// Comes before each path.
  std::string prefix;
  /// What follows the path in each request.
  std::string head;
  /// The address, for any host and port of the URL.
  std::unique_ptr<curl_slist, FreeList> connect_to;
  Mutex mutex;
  std::vector<std::unique_ptr<Connection>> idle GUARDED_BY(mutex);
};

Client::Client(Options options) : implementation_(std::make_unique<Implementation>(std::move(options))) {}
Client::~Client() = default;

const std::string& Client::name() const { return implementation_->options.name; }

std::expected<ClientResponse, Error> Client::send(const std::string& method, const Call& call, Tracing* tracing) {
  auto& self = *implementation_;
  const auto& options = self.options;
  Span span;
  std::string request;
  request.reserve(512);
  request.append(method).append(" ").append(self.prefix).append(call.path).append(self.head);
  const auto add = [&request](std::string_view name, std::string_view value) {
    if (!value.empty()) request.append(name).append(": ").append(value).append("\r\n");
  };
  if (tracing != nullptr && call.parent != nullptr && call.parent->valid()) {
    const auto url = options.base_url + call.path;
    span = tracing->start(method + " " + call.route, SpanKind::client, *call.parent,
                          {{attribute::kMethod, method},
                           {"url.full", url},
                           {"url.template", call.route},
                           {"server.address", self.host},
                           {"server.port", self.port}});
    add("traceparent", to_traceparent(span.context()));
    add("tracestate", span.context().state);
    add("baggage", span.context().baggage);
  }
  for (const auto& [name, value] : call.headers) add(name, value);
  if (!call.body.empty()) {
    add("Content-Type", "application/json");
    add("Content-Length", std::to_string(call.body.size()));
  }
  request.append("\r\n").append(call.body);

  const auto deadline = steady_clock::now() + to_steady(call.timeout);
  auto attempt = self.perform(request, deadline, call.stop, false);
  if (options.retry && method == "GET" && attempt.lost() && steady_clock::now() < deadline) {
    // The others may lead to the same vanished peer.
    if (attempt.outcome == Outcome::broken) self.drop_connections();
    span.set(attribute::kResendCount, std::int64_t{1});
    attempt = self.perform(request, deadline, call.stop, true);
  }

  if (attempt.outcome == Outcome::answered) {
    const auto status = attempt.response.status;
    span.set(attribute::kStatus, std::int64_t{status});
    if (status >= 400) span.fail(std::to_string(status));
    return std::move(attempt.response);
  }
  if (call.stop.stop_requested()) {
    span.set(attribute::kErrorType, std::string_view("cancelled"));
    return cancelled();
  }
  Error error{ErrorCode::downstream_unavailable, "no connection to " + options.name};
  if (attempt.outcome == Outcome::timed_out)
    error = {ErrorCode::downstream_timeout, options.name + " did not respond in time"};
  if (attempt.outcome == Outcome::too_large)
    error = {ErrorCode::downstream_invalid, "the response of " + options.name + " is too large"};
  if (attempt.outcome == Outcome::malformed)
    error = {ErrorCode::downstream_invalid, options.name + " returned an invalid response"};
  span.fail(name_of(error.code));
  return std::unexpected(std::move(error));
}

std::expected<std::string, Error> Client::send_for_body(const std::string& method, const Call& call, Tracing* tracing,
                                                        int* status) {
  if (status != nullptr) *status = 0;
  auto response = send(method, call, tracing);
  if (!response) return std::unexpected(std::move(response.error()));
  if (status != nullptr) *status = response->status;
  if (response->status >= 200 && response->status < 300) return std::move(response->body);
  if (auto error = parse_error(*response)) {
    // Our own client has not disconnected.
    if (error->code == ErrorCode::client_gone) error->code = ErrorCode::downstream_unavailable;
    error->message = shortened(error->message, kMaxMessage);
    return std::unexpected(std::move(*error));
  }
  // The response may come from another program that used this address before the service.
  implementation_->drop_connections();
  return std::unexpected(Error{ErrorCode::downstream_invalid, name() + " returned an invalid response"});
}

std::string host_of(const std::string& url) {
  auto host = part_of(url, CURLUPART_HOST);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  return host;
}

std::optional<Error> parse_error(const ClientResponse& response) {
  const auto document = parse_json(response.body);
  if (!document) return std::nullopt;
  const auto error = JsonView(*document)["error"];
  const auto known = parse_error_code(error["code"].text().value_or(""));
  if (!known || status_of(*known) != response.status) return std::nullopt;
  return Error{*known, std::string(error["message"].text().value_or("")), parse_retry_after(response.retry_after)};
}

}  // namespace dice

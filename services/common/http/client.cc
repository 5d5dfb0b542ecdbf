#include "common/http/client.h"

#include <curl/curl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <charconv>
#include <chrono>
#include <mutex>
#include <utility>
#include <vector>

#include "common/base/json_view.h"
#include "common/base/utf8.h"
#include "common/concurrency/mutex.h"
#include "common/http/message.h"
#include "contract/names.h"

namespace dice {
namespace {

struct FreeEasy {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
};
struct FreeMulti {
  void operator()(CURLM* handle) const { curl_multi_cleanup(handle); }
};

/// Runs one call at a time, like `curl_easy_perform`, but can be woken up.
class Handle {
 public:
  CURL* easy() const { return easy_.get(); }

  /// CURLE_ABORTED_BY_CALLBACK if `stop` was requested before the end; the connection is then closed.
  CURLcode perform(const std::stop_token& stop) const {
    auto* const multi = multi_.get();
    const std::stop_callback wake(stop, [multi] { curl_multi_wakeup(multi); });
    curl_multi_add_handle(multi, easy());
    auto result = CURLE_ABORTED_BY_CALLBACK;
    for (int running = 1; running > 0 && !stop.stop_requested();) {
      if (curl_multi_perform(multi, &running) != CURLM_OK) break;
      if (running > 0) curl_multi_poll(multi, nullptr, 0, kPollMilliseconds, nullptr);
    }
    int left = 0;
    while (const auto* message = curl_multi_info_read(multi, &left)) {
      if (message->msg == CURLMSG_DONE) result = message->data.result;
    }
    curl_multi_remove_handle(multi, easy());
    return result;
  }

 private:
  /// curl enforces the deadlines: it shortens the poll to the nearest one.
  static constexpr int kPollMilliseconds = 60'000;

  // Destroyed in reverse order: the connections belong to the multi handle.
  std::unique_ptr<CURLM, FreeMulti> multi_{curl_multi_init()};
  std::unique_ptr<CURL, FreeEasy> easy_{curl_easy_init()};
};

struct FreeList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

/// Of headers, or of other texts. curl_slist_append returns the whole list.
class List {
 public:
  void add(const std::string& name, const std::string& value) {
    if (!value.empty()) append(name + ": " + value);
  }
  void append(const std::string& text) { list_.reset(curl_slist_append(list_.release(), text.c_str())); }
  curl_slist* get() const { return list_.get(); }

 private:
  std::unique_ptr<curl_slist, FreeList> list_;
};

struct Sink {
  ClientResponse& response;
  std::size_t limit;
};

std::size_t receive_body(char* data, std::size_t size, std::size_t count, void* target) {
  auto& sink = *static_cast<Sink*>(target);
  if (sink.response.body.size() + size * count > sink.limit) return 0;  // ends the transfer
  sink.response.body.append(data, size * count);
  return size * count;
}

std::string header_of(CURL* curl, const char* name) {
  curl_header* header = nullptr;
  return curl_easy_header(curl, name, 0, CURLH_HEADER, -1, &header) == CURLHE_OK ? header->value : "";
}

/// A Kubernetes Service chooses a pod per connection, so a connection kept forever would never reach new pods.
constexpr long kMaxConnectionSeconds = 30;
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
  CURLcode code = CURLE_OK;
  /// Whether there was a connection, in the end, on which the request was sent, at least in part.
  bool sent = false;
  ClientResponse response = {};
  bool response_begun = false;

  /// Whether the request got no connection, or lost it before the response began.
  bool lost() const {
    switch (code) {
      case CURLE_COULDNT_RESOLVE_HOST:
      case CURLE_COULDNT_CONNECT:
      case CURLE_SSL_CONNECT_ERROR:
      case CURLE_SEND_ERROR:
      case CURLE_RECV_ERROR:
      case CURLE_GOT_NOTHING: return !response_begun;
      case CURLE_OPERATION_TIMEDOUT: return !sent;
      default: return false;
    }
  }
};

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

}  // namespace

struct Client::Implementation {
  explicit Implementation(Options given) : options(std::move(given)), host(part_of(options.base_url, CURLUPART_HOST)) {
    static std::once_flag once;
    std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
    const auto text = part_of(options.base_url, CURLUPART_PORT);
    std::from_chars(text.data(), text.data() + text.size(), port);
    const auto& address = options.address;
    if (address.empty()) return;
    connect_to.append(address.contains(':') ? "::[" + address + "]:" : "::" + address + ":");
  }

  /// Sends the request once; if `fresh`, on a new connection.
  Attempt perform(const std::string& method, const std::string& url, const Call& call, Seconds timeout,
                  const List& headers, bool fresh);

  /// Each handle has its connection; the handle returned last is used first.
  std::unique_ptr<Handle> take() {
    {
      const Lock lock(mutex);
      if (!idle.empty()) {
        auto handle = std::move(idle.back());
        idle.pop_back();
        return handle;
      }
    }
    return std::make_unique<Handle>();
  }

  void give_back(std::unique_ptr<Handle> handle) {
    const Lock lock(mutex);
    if (idle.size() < options.idle_connections) idle.push_back(std::move(handle));
  }

  void drop_connections() {
    const Lock lock(mutex);
    idle.clear();
  }

  const Options options;
  const std::string host;
  int port = 0;
  /// The address, for any host and port of the URL.
  List connect_to;
  Mutex mutex;
  std::vector<std::unique_ptr<Handle>> idle GUARDED_BY(mutex);
};

Attempt Client::Implementation::perform(const std::string& method, const std::string& url, const Call& call,
                                        Seconds timeout, const List& headers, bool fresh) {
  Attempt attempt;
  auto& response = attempt.response;
  Sink sink{response, options.max_body_bytes};
  auto unacknowledged = static_cast<unsigned>(milliseconds(options.unacknowledged));
  auto handle = take();
  CURL* curl = handle->easy();
  curl_easy_reset(curl);  // keeps the connections
  curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method.c_str());
  if (!call.body.empty()) {
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(call.body.size()));
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, call.body.c_str());
  }
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(curl, CURLOPT_CONNECT_TO, connect_to.get());
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, milliseconds(timeout));
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, milliseconds(options.connect_timeout));
  curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, fresh ? 1L : 0L);
  curl_easy_setopt(curl, CURLOPT_MAXLIFETIME_CONN, kMaxConnectionSeconds);
  curl_easy_setopt(curl, CURLOPT_SOCKOPTFUNCTION, prepare_socket);
  curl_easy_setopt(curl, CURLOPT_SOCKOPTDATA, &unacknowledged);
  curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L);
  curl_easy_setopt(curl, CURLOPT_TCP_KEEPIDLE, 1L);
  curl_easy_setopt(curl, CURLOPT_TCP_KEEPINTVL, 1L);
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
  curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L);  // do not wait for a pending name resolution
  curl_easy_setopt(curl, CURLOPT_PROXY, "");
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, receive_body);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &sink);
  const auto start = std::chrono::steady_clock::now();
  attempt.code = handle->perform(call.stop);
  long size = 0;
  curl_easy_getinfo(curl, CURLINFO_REQUEST_SIZE, &size);
  // If a kept connection proves dead, curl makes a new one by itself. When that fails, time is left.
  const bool connecting =
      attempt.code == CURLE_OPERATION_TIMEDOUT && Seconds(std::chrono::steady_clock::now() - start) < timeout;
  attempt.sent = size > 0 && !connecting;
  curl_easy_getinfo(curl, CURLINFO_HEADER_SIZE, &size);
  attempt.response_begun = size > 0 || !response.body.empty();
  if (attempt.code == CURLE_OK) {
    long status = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    response.status = static_cast<int>(status);
    response.retry_after = header_of(curl, "Retry-After");
    response.allow = header_of(curl, "Allow");
    response.traceresponse = header_of(curl, "traceresponse");
  }
  // The connection used last is used next, and a replica that rejects is the first to answer. It would get every
  // request that the others, which are at work, could take.
  if (response.status != kServiceUnavailable) give_back(std::move(handle));
  return attempt;
}

Client::Client(Options options) : implementation_(std::make_unique<Implementation>(std::move(options))) {}
Client::~Client() = default;

const std::string& Client::name() const { return implementation_->options.name; }

std::expected<ClientResponse, Error> Client::send(const std::string& method, const Call& call, Tracing* tracing) {
  const auto& options = implementation_->options;
  const auto url = options.base_url + call.path;
  Span span;
  List headers;
  if (tracing != nullptr && call.parent != nullptr && call.parent->valid()) {
    span = tracing->start(method + " " + call.route, SpanKind::client, *call.parent,
                          {{attribute::kMethod, method},
                           {"url.full", url},
                           {"url.template", call.route},
                           {"server.address", implementation_->host},
                           {"server.port", std::int64_t{implementation_->port}}});
    headers.add("traceparent", to_traceparent(span.context()));
    headers.add("tracestate", span.context().state);
    headers.add("baggage", span.context().baggage);
  }
  for (const auto& [name, value] : call.headers) headers.add(name, value);
  if (!call.body.empty()) headers.add("Content-Type", "application/json");

  const auto deadline = std::chrono::steady_clock::now() + to_steady(call.timeout);
  auto attempt = implementation_->perform(method, url, call, call.timeout, headers, false);
  const Seconds left = deadline - std::chrono::steady_clock::now();
  if (options.retry && method == "GET" && attempt.lost() && !call.stop.stop_requested() && left.count() > 0) {
    // The others may lead to the same vanished peer.
    if (attempt.sent) implementation_->drop_connections();
    span.set(attribute::kResendCount, std::int64_t{1});
    attempt = implementation_->perform(method, url, call, left, headers, true);
  }
  const auto outcome = attempt.code;
  auto& response = attempt.response;

  if (outcome == CURLE_OK) {
    span.set(attribute::kStatus, static_cast<std::int64_t>(response.status));
    if (response.status >= 400) span.fail(std::to_string(response.status));
    return response;
  }
  if (call.stop.stop_requested()) {
    span.set(attribute::kErrorType, std::string_view("cancelled"));
    return cancelled();
  }
  Error error{ErrorCode::downstream_unavailable, "no connection to " + options.name};
  if (outcome == CURLE_OPERATION_TIMEDOUT && attempt.sent)
    error = {ErrorCode::downstream_timeout, options.name + " did not respond in time"};
  if (outcome == CURLE_WRITE_ERROR)
    error = {ErrorCode::downstream_invalid, "the response of " + options.name + " is too large"};
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

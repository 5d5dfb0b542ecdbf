// A connection from the client's bytes to the replies, through parser, router, middleware and handlers.
//
// The client sends the pieces of the input one by one, then closes its side; with an empty last piece, it waits instead
// until the server has had enough. What it gets must be the same if all bytes come at once and each reply immediately,
// except the reason of the last reply if that is a refusal: more bytes may show another error.
#include "common/http/connection.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <deque>

#include "common/base/json.h"
#include "common/base/utf8.h"
#include "common/http/fault_routes.h"
#include "common/http/server.h"
#include "contract/roll.h"
#include "fuzz/targets.h"

namespace dice::fuzz {
namespace {

constexpr Connection::Limits kLimits{.request = {.max_header_bytes = 512, .max_headers = 8, .max_body_bytes = 128},
                                     .max_pipelined_bytes = 64};
/// A reply larger than what the socket holds.
constexpr std::size_t kLargeBytes = 20'000;

Response json(std::string_view name, std::string_view value) {
  return {.body = json_object([&](JsonWriter& writer) { write_member(writer, name, to_utf8(value)); })};
}

struct House {
  LogSink sink{::open("/dev/null", O_WRONLY | O_CLOEXEC)};
  Telemetry telemetry{sink, {}, {.service = "fuzz", .exporter = "none", .memory = {.entries = 0}}};
  HttpMetrics metrics{telemetry.metrics};
  SteadyClock clock;
  ThreadPool workers{{.max_threads = 1}};
  Server server{{}, {telemetry, metrics, clock, workers, workers, nullptr}};

  House() {
    server.add({.path = "/healthz", .handler = [](const Request&) { return Response{}; }, .uninstrumented = true});
    server.add({.path = "/dice/{identifier}", .handler = [](const Request& request) {
                  return json("identifier", request.path_parameters.at("identifier"));
                }});
    server.add({.path = "/roll-async", .handler = [](const Request& request) -> Answer {
                  const auto batch = parse_batch(request.query, 20);
                  if (!batch) return std::unexpected(batch.error());
                  return json("path", batch->path());
                }});
    server.add({.method = Method::put, .path = "/debug/faults", .handler = [](const Request& request) -> Answer {
                  const auto setting = parse_faults(request.body);
                  if (!setting) return std::unexpected(setting.error());
                  return json("body", request.body);
                }});
    server.add({.path = "/large",
                .handler = [](const Request&) { return json("text", std::string(kLargeBytes, 'x')); },
                .accepts_trace_id = true});
  }
};

Server& server() {
  static auto& house = *new House;  // its threads run until the end
  return house.server;
}

struct Reply {
  int status = 0;
  bool close = false;
  std::string text;

  bool operator==(const Reply&) const = default;
};

/// Replaces what differs each time.
void blank(std::string& text, std::string_view before, std::size_t length) {
  const auto at = text.find(before);
  if (at == std::string::npos) return;
  require(at + before.size() + length <= text.size(), "a value is too short");
  text.replace(at + before.size(), length, "…");
}

/// Takes the reply at the start of `bytes`; `head`: to a HEAD request.
Reply take_reply(std::string_view& bytes, bool head) {
  const auto end = bytes.find("\r\n\r\n");
  require(end != std::string_view::npos, "a head is incomplete");
  Reply reply{.text = std::string(bytes.substr(0, end))};
  bytes.remove_prefix(end + 4);
  std::size_t length = 0;
  const auto lines = parts(reply.text, '\n');
  require(lines.front().starts_with("HTTP/1.1 ") && lines.front().size() > 13, "no status line");
  std::from_chars(&lines.front()[9], &lines.front()[12], reply.status);
  require(reply.status >= 200 && reply.status < 600, "status");
  bool has_length = false;
  for (std::size_t i = 1; i < lines.size(); ++i) {
    auto line = lines[i];
    if (i + 1 < lines.size()) {
      require(line.ends_with('\r'), "a line does not end with CR LF");
      line.remove_suffix(1);
    }
    require(is_one_line(line) && line.find(": ") != std::string_view::npos, "not a header");
    if (line == "Connection: close") reply.close = true;
    if (!line.starts_with("Content-Length: ")) continue;
    require(!std::exchange(has_length, true), "two lengths");
    std::from_chars(&line[16], line.data() + line.size(), length);
  }
  require(has_length == (reply.status != 204), "length");
  if (!head) {
    require(bytes.size() >= length, "a body is incomplete");
    if (length > 0) require(parse_json(bytes.substr(0, length)).has_value(), "a body is not JSON");
    reply.text += bytes.substr(0, length);
    bytes.remove_prefix(length);
  }
  blank(reply.text, "\r\nDate: ", 29);
  blank(reply.text, "\r\ntraceresponse: ", 55);
  blank(reply.text, R"("trace_id":")", 32);
  return reply;
}

class Talk final : public Connection::Loop, public Connection::Owner {
 public:
  /// `later`: a request is answered after the next piece has arrived.
  explicit Talk(bool later) : later_(later) {
    std::array<int, 2> sockets{};
    require(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sockets.data()) == 0, "socketpair");
    client_ = sockets[0];
    const int small = 1;
    (void)::setsockopt(sockets[1], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    connection_ = std::make_shared<Connection>(sockets[1], 1, kLimits, *this, *this, buffered_, false);
  }
  ~Talk() override {
    connection_->close(false);
    ::close(client_);
  }

  std::vector<Reply> run(const std::vector<std::string_view>& pieces) {
    for (const auto piece : pieces) {
      // The server has closed if this fails.
      (void)::send(client_, piece.data(), piece.size(), MSG_NOSIGNAL);
      step();
      require(buffered_ <= kLimits.request.max_header_bytes + kLimits.request.max_body_bytes + 64 * 1024 + kLargeBytes,
              "too much memory");
      answer_one();
    }
    finish();
    if (pieces.back().empty()) {
      const auto late = std::chrono::steady_clock::now() + std::chrono::hours(1);
      for (int i = 0; i < 2 && open_; ++i) {  // 408, and the time to read it
        open_ = connection_->on_tick(late);
        finish();
      }
    } else {
      ::shutdown(client_, SHUT_WR);
      finish();
    }
    require(!open_, "the connection stays open");
    require(buffered_ == 0, "memory of a closed connection is counted");
    return replies();
  }

 private:
  void watch(const Connection& /*connection*/, Connection::Interest /*interest*/) override {}
  void wake(std::shared_ptr<Connection> /*connection*/) override { woken_ = true; }

  void on_request(std::shared_ptr<Connection> connection, Request request) override {
    add(std::move(connection), std::move(request), std::nullopt);
  }
  void on_refusal(std::shared_ptr<Connection> connection, Request request, Error why) override {
    add(std::move(connection), std::move(request), std::move(why));
  }

  struct Pending {
    std::shared_ptr<Connection> connection;
    Request request;
    std::optional<Error> refusal;
  };

  void add(std::shared_ptr<Connection> connection, Request request, std::optional<Error> refusal) {
    require(pending_.empty(), "a request before the reply to the previous one");
    require(!refused_, "a request after an error");
    refused_ = refusal.has_value();
    heads_.push_back(request.method == Method::head);
    pending_.push_back({std::move(connection), std::move(request), std::move(refusal)});
    if (!later_) answer_one();
  }

  void answer_one() {
    if (pending_.empty()) return;
    auto one = std::move(pending_.front());
    pending_.pop_front();
    Connection::Owner& owner = server();
    if (one.refusal) owner.on_refusal(std::move(one.connection), std::move(one.request), std::move(*one.refusal));
    else owner.on_request(std::move(one.connection), std::move(one.request));
  }

  void receive() {
    std::array<char, 4096> buffer;
    for (;;) {
      const auto count = ::recv(client_, buffer.data(), buffer.size(), 0);
      if (count <= 0) return;
      received_.append(buffer.data(), static_cast<std::size_t>(count));
    }
  }

  /// One turn of the event loop, and more if the connection asks for them.
  void step() {
    do {
      woken_ = false;
      if (open_) open_ = connection_->on_ready();
      receive();
    } while (woken_ && open_);
  }

  void finish() {
    std::size_t before = 0;
    do {
      before = received_.size() + heads_.size();
      answer_one();
      step();
    } while (!pending_.empty() || received_.size() + heads_.size() > before);
  }

  std::vector<Reply> replies() const {
    constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
    std::vector<Reply> all;
    std::string_view left = received_;
    for (const bool head : heads_) {
      while (left.starts_with(kContinue)) left.remove_prefix(kContinue.size());
      require(all.empty() || !all.back().close, "a reply after the last one");
      all.push_back(take_reply(left, head));
    }
    while (left.starts_with(kContinue)) left.remove_prefix(kContinue.size());
    require(left.empty(), "more replies than requests");
    if (!refused_) return all;
    require(all.back().close && all.back().status >= 400, "no close after an error");
    all.back() = {};
    return all;
  }

  const bool later_;
  int client_ = -1;
  std::atomic<std::size_t> buffered_ = 0;
  std::shared_ptr<Connection> connection_;
  bool open_ = true;
  bool woken_ = false;
  bool refused_ = false;
  std::deque<Pending> pending_;
  std::vector<bool> heads_;
  std::string received_;
};

}  // namespace

void connection(std::string_view input) {
  const auto pieces = parts(input);
  std::string bytes;
  for (const auto piece : pieces) bytes += piece;
  std::vector<std::string_view> whole = {bytes};
  if (pieces.back().empty()) whole.emplace_back();
  require(Talk(true).run(pieces) == Talk(false).run(whole), "other replies if the bytes come in pieces");
}

}  // namespace dice::fuzz

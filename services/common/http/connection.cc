#include "common/http/connection.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <ctime>
#include <string_view>

namespace dice {
namespace {

using std::chrono::steady_clock;

constexpr std::size_t kReadBytes = 64UL << 10U;
/// Maximum requests of one connection processed before the thread's other connections get their turn.
constexpr int kMaxRequestsPerTurn = 16;
/// Time for the client to read the last reply and close.
constexpr Seconds kLinger{2};
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

bool would_block(int error) { return error == EAGAIN || error == EWOULDBLOCK; }

/// RFC 9110, section 5.6.7; updated once per second.
std::string_view date() {
  thread_local std::time_t last = -1;
  thread_local std::array<char, 32> text;
  const auto now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  if (now != last) {
    constexpr std::array kDays = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    constexpr std::array kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    std::tm utc{};
    gmtime_r(&now, &utc);
    // The names must not depend on the locale.
    std::string format = std::string(kDays[static_cast<std::size_t>(utc.tm_wday)]) + ", %d " +
                         kMonths[static_cast<std::size_t>(utc.tm_mon)] + " %Y %H:%M:%S GMT";
    (void)std::strftime(text.data(), text.size(), format.c_str(), &utc);
    last = now;
  }
  return text.data();
}

std::string peer_of(int descriptor) {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  if (::getpeername(descriptor, reinterpret_cast<sockaddr*>(&address), &length) != 0) return {};
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (address.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    ::inet_ntop(AF_INET, &v4.sin_addr, text.data(), text.size());
  } else if (address.ss_family == AF_INET6) {
    const auto& bytes = reinterpret_cast<const sockaddr_in6&>(address).sin6_addr;
    if (IN6_IS_ADDR_V4MAPPED(&bytes)) ::inet_ntop(AF_INET, &bytes.s6_addr[12], text.data(), text.size());
    else ::inet_ntop(AF_INET6, &bytes, text.data(), text.size());
  }
  return text.data();
}

}  // namespace

Connection::Connection(int descriptor, std::uint64_t id, const Limits& limits, Loop& loop, Owner& owner,
                       std::atomic<std::size_t>& buffered, bool over_limit)
    : id_(id),
      limits_(limits),
      loop_(loop),
      owner_(owner),
      buffered_(buffered),
      over_limit_(over_limit),
      client_address_(peer_of(descriptor)),
      descriptor_(descriptor),
      deadline_(steady_clock::now() + to_steady(limits.idle_timeout)),
      last_byte_(steady_clock::now()) {}

Connection::~Connection() { close(false); }

Connection::State Connection::state() const {
  const Lock lock(mutex_);
  return state_;
}

bool Connection::closed() const {
  const auto now = state();
  return now == State::closed || now == State::broken;
}

bool Connection::is_idle(TimePoint now, Seconds age) const {
  const Lock lock(mutex_);
  return state_ != State::answering && now - last_byte_ >= to_steady(age);
}

// --- on the I/O thread -----------------------------------------------------------------------------------------------

bool Connection::on_ready() {
  switch (state()) {
    case State::reading:
      if (!receive(kReadBytes)) close(true);
      break;
    case State::answering: watch_for_end(); break;
    case State::writing: {
      const Lock lock(mutex_);
      if (state_ == State::writing) write();
      break;
    }
    case State::lingering:
      if (!discard()) close(false);
      break;
    case State::broken:
    case State::closed: break;
  }
  process();
  count_input();
  return state() != State::closed;
}

bool Connection::on_tick(TimePoint now) {
  State state{};
  {
    const Lock lock(mutex_);
    state = state_;
    if (state == State::answering || now < deadline_) return state != State::closed;
  }
  if (state == State::reading && parser_) {
    refuse({ErrorCode::request_timeout, "the request did not arrive in time"});
    process();
    return this->state() != State::closed;
  }
  close(state == State::writing);
  return false;
}

/// Appends to `input_` until it has `limit` unparsed bytes. False if the connection is broken.
bool Connection::receive(std::size_t limit) {
  std::array<char, kReadBytes> buffer;  // not initialised, nor per thread: every thread would get pages for it
  while (!input_ended_ && input_.size() - parsed_ < limit) {
    const auto size = std::min(buffer.size(), limit - (input_.size() - parsed_));
    const auto count = ::recv(descriptor_, buffer.data(), size, 0);
    if (count == 0) input_ended_ = true;
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return would_block(errno);
    input_.erase(0, std::exchange(parsed_, 0));
    input_.append(buffer.data(), static_cast<std::size_t>(count));
    if (static_cast<std::size_t>(count) < size) break;  // nothing more for now; the next call detects the end of input
  }
  const Lock lock(mutex_);
  last_byte_ = steady_clock::now();
  client_ended_ = client_ended_ || input_ended_;
  return true;
}

/// While a response is pending: reads ahead and detects whether the client has disconnected.
void Connection::watch_for_end() {
  bool ended = input_ended_;
  if (!input_ended_ && input_.size() - parsed_ < limits_.max_pipelined_bytes) {
    if (!receive(limits_.max_pipelined_bytes)) return close(true);
    ended = input_ended_;
  } else {
    pollfd socket{descriptor_, POLLRDHUP, 0};
    if (::poll(&socket, 1, 0) > 0) {
      if ((socket.revents & (POLLERR | POLLHUP)) != 0) return close(true);
      ended = ended || (socket.revents & POLLRDHUP) != 0;
    }
  }
  {
    const Lock lock(mutex_);
    client_ended_ = client_ended_ || ended;
    more_input_ = input_.size() > parsed_ || (ended && !input_ended_);
    if (state_ == State::answering) {
      const bool full = input_.size() - parsed_ >= limits_.max_pipelined_bytes;
      watch(ended ? Interest::none : full ? Interest::end_of_input : Interest::read);
    }
  }
  if (ended) cancel(Reason::client_gone);
}

/// While lingering. False at the end of the input.
bool Connection::discard() {
  std::array<char, kReadBytes> buffer;  // not initialised, nor per thread: every thread would get pages for it
  for (int i = 0; i < kMaxRequestsPerTurn; ++i) {
    const auto count = ::recv(descriptor_, buffer.data(), buffer.size(), 0);
    if (count == 0) return false;
    if (count < 0) return would_block(errno) || errno == EINTR;
  }
  return true;
}

void Connection::process() {
  for (int handed_on = 0;; ++handed_on) {
    {
      const Lock lock(mutex_);
      processing_ = state_ == State::reading && handed_on < kMaxRequestsPerTurn;
      more_input_ = input_.size() > parsed_;
      if (!processing_) {
        if (state_ == State::reading) loop_.wake(shared_from_this());
        if (state_ != State::broken) return;
      }
    }
    if (state() == State::broken) return close(true);

    if (input_.size() == parsed_) {
      input_ = {};
      parsed_ = 0;
      if (!parser_ && input_ended_) return close(false);
    }
    if (!parser_) {
      if (input_.empty()) break;
      parser_ = std::make_unique<RequestParser>(limits_.request);
      const Lock lock(mutex_);
      deadline_ = steady_clock::now() + to_steady(limits_.header_timeout);
    }
    const bool had_headers = parser_->has_headers();
    const auto used = parser_->feed(std::string_view(input_).substr(parsed_));
    if (!used) {
      refuse(used.error());
      continue;
    }
    parsed_ += *used;
    if (parser_->done()) {
      auto request = parser_->take();
      parser_.reset();
      hand_on(std::move(request), std::nullopt);
      continue;
    }
    if (input_ended_) {
      refuse({ErrorCode::malformed_request, "the request is incomplete"});
      continue;
    }
    const Lock lock(mutex_);
    if (parser_->has_headers() && !had_headers) {
      deadline_ = steady_clock::now() + to_steady(limits_.body_timeout);
      if (parser_->take_expectation() && input_.size() == parsed_ &&
          ::send(descriptor_, kContinue.data(), kContinue.size(), MSG_NOSIGNAL) !=
              static_cast<ssize_t>(kContinue.size())) {
        state_ = State::broken;  // the socket's buffer is empty, so this is not for lack of space
        continue;
      }
    }
    break;
  }
  const Lock lock(mutex_);
  processing_ = false;
}

/// Rejects the current request; the rest of the connection's input is meaningless.
void Connection::refuse(Error why) {
  auto request = parser_->take();
  request.keep_alive = false;
  parser_.reset();
  input_ = {};
  parsed_ = 0;
  hand_on(std::move(request), std::move(why));
}

void Connection::hand_on(Request request, std::optional<Error> refusal) {
  {
    const Lock lock(mutex_);
    state_ = State::answering;
    head_only_ = request.method == Method::head;
    keep_alive_ = request.keep_alive;
    http_1_0_ = request.http_1_0;
    more_input_ = input_.size() > parsed_;
    cancelled_ = client_ended_ ? std::optional(Reason::client_gone) : std::nullopt;
    stop_.reset();
  }
  if (refusal) return owner_.on_refusal(shared_from_this(), std::move(request), std::move(*refusal));
  owner_.on_request(shared_from_this(), std::move(request));
}

void Connection::count_input() {
  const auto bytes = input_.size() + (parser_ ? parser_->body_bytes() : 0);
  buffered_ += bytes - std::exchange(input_counted_, bytes);
}

void Connection::close(bool abort) {
  std::optional<std::stop_source> stop;
  {
    const Lock lock(mutex_);
    if (state_ == State::closed) return;
    if (abort) {
      const linger reset{1, 0};
      (void)::setsockopt(descriptor_, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    }
    ::close(descriptor_);
    descriptor_ = -1;
    if (state_ == State::answering && !cancelled_) cancelled_ = Reason::client_gone;
    state_ = State::closed;
    buffered_ -= std::exchange(output_counted_, 0);
    output_.reset();
    stop = stop_;
  }
  input_ = {};
  parsed_ = 0;
  parser_.reset();
  count_input();
  if (stop) stop->request_stop();
}

// --- from any thread -------------------------------------------------------------------------------------------------

std::stop_token Connection::stop_token() {
  const Lock lock(mutex_);
  if (!stop_) stop_.emplace();
  if (cancelled_) stop_->request_stop();  // the token is not in use yet, so no callback runs
  return stop_->get_token();
}

void Connection::cancel(Reason reason) {
  std::optional<std::stop_source> stop;
  {
    const Lock lock(mutex_);
    if (state_ != State::answering || cancelled_) return;
    cancelled_ = reason;
    stop = stop_;
  }
  if (stop) stop->request_stop();  // not under the mutex, because it runs other code's callbacks
}

std::optional<Connection::Reason> Connection::cancelled() const {
  const Lock lock(mutex_);
  return cancelled_;
}

void Connection::reply(Reply reply) {
  const Lock lock(mutex_);
  if (state_ != State::answering) return;
  if (reply.unanswered) {
    state_ = State::broken;
    if (!processing_) loop_.wake(shared_from_this());
    return;
  }
  const bool close = reply.close || !keep_alive_ || (client_ended_ && !more_input_);
  keep_alive_ = !close;
  auto head = head_of(reply.response);
  if (head_only_) reply.response.body.clear();
  output_.emplace(Output{std::move(head), std::move(reply.response.body), 0, close, std::move(reply.in_flight)});
  state_ = State::writing;
  deadline_ = steady_clock::now() + to_steady(limits_.write_timeout);
  write();
}

std::string Connection::head_of(const Response& response) const {
  std::string head = "HTTP/1.1 ";
  head.reserve(512);
  head.append(std::to_string(response.status)).append(" ").append(reason_phrase(response.status));
  head.append("\r\nX-Content-Type-Options: nosniff\r\nDate: ").append(date());
  if (response.status != 204 && response.status != 304) {  // they have no body (RFC 9110, section 8.6)
    head.append("\r\nContent-Type: ").append(response.content_type);
    head.append("\r\nContent-Length: ").append(std::to_string(response.body.size()));
  }
  if (!keep_alive_) head.append("\r\nConnection: close");
  if (keep_alive_ && http_1_0_) head.append("\r\nConnection: keep-alive");
  for (const auto& [name, value] : response.headers) head.append("\r\n").append(name).append(": ").append(value);
  return head.append("\r\n\r\n");
}

void Connection::write() {
  auto& output = *output_;
  const auto total = output.head.size() + output.body.size();
  while (output.sent < total) {
    std::array<iovec, 2> parts{};
    const auto in_head = std::min(output.sent, output.head.size());
    const auto in_body = output.sent - in_head;
    parts[0] = {output.head.data() + in_head, output.head.size() - in_head};
    parts[1] = {output.body.data() + in_body, output.body.size() - in_body};
    msghdr message{};
    message.msg_iov = parts.data();
    message.msg_iovlen = parts.size();
    const auto count = ::sendmsg(descriptor_, &message, MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && would_block(errno)) {
      const auto left = total - output.sent;
      buffered_ += left - std::exchange(output_counted_, left);
      return watch(Interest::write);
    }
    if (count < 0) {
      state_ = State::broken;
      break;
    }
    output.sent += static_cast<std::size_t>(count);
    last_byte_ = steady_clock::now();
    deadline_ = last_byte_ + to_steady(limits_.write_timeout);
  }
  written();
}

/// Called when the reply has been written, or cannot be.
void Connection::written() {
  const bool close = output_->close;
  output_.reset();
  buffered_ -= std::exchange(output_counted_, 0);
  if (state_ != State::broken) {
    deadline_ = steady_clock::now() + to_steady(close ? kLinger : limits_.idle_timeout);
    state_ = close ? State::lingering : State::reading;
    if (close) ::shutdown(descriptor_, SHUT_WR);
    watch(client_ended_ ? Interest::none : Interest::read);
  }
  if (!processing_ && (state_ == State::broken || (state_ == State::reading && (more_input_ || client_ended_)))) {
    loop_.wake(shared_from_this());
  }
}

void Connection::watch(Interest interest) {
  if (std::exchange(interest_, interest) != interest) loop_.watch(*this, interest);
}

}  // namespace dice

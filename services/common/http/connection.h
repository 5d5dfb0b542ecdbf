// One client connection: delivers requests one at a time, sends replies in order, and enforces the timeouts.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>

#include "common/concurrency/clock.h"
#include "common/concurrency/mutex.h"
#include "common/http/message.h"
#include "common/http/parser.h"

namespace dice {

/// Increments a count for its lifetime.
class Counted {
 public:
  explicit Counted(std::atomic<std::size_t>& count) : count_(&count) { count.fetch_add(1); }
  Counted(Counted&& other) noexcept : count_(std::exchange(other.count_, nullptr)) {}
  Counted& operator=(Counted&&) = delete;
  ~Counted() {
    if (count_ != nullptr) count_->fetch_sub(1);
  }

 private:
  std::atomic<std::size_t>* count_;
};

/// The next request of a connection is delivered only after the reply to the previous one has been sent: replies keep
/// the order of the requests, and if a client does not read, the service stops reading from it.
///
/// The descriptor belongs only to this object. It is used under the mutex or on the I/O thread that also closes it, so
/// no byte reaches another connection with the same number. Events of the I/O thread are only hints: the result of a
/// read or write counts.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  struct Limits {
    RequestParser::Limits request{};
    /// From a request's first byte to the end of its headers, and from then on to the end of its body.
    Seconds header_timeout{10};
    Seconds body_timeout{10};
    /// Idle time between two requests.
    Seconds idle_timeout{75};
    /// Time without the client reading any byte of a reply.
    Seconds write_timeout{10};
    /// Maximum bytes read ahead while a response is pending; the rest waits in the network.
    std::size_t max_pipelined_bytes = 16UL << 10U;
  };

  enum class Interest { none, read, write, end_of_input };

  /// The I/O thread that a connection belongs to. Both calls from any thread.
  class Loop {
   public:
    virtual ~Loop() = default;
    virtual void watch(const Connection& connection, Interest interest) = 0;
    /// `on_ready` is called soon, whether or not the socket is ready.
    virtual void wake(std::shared_ptr<Connection> connection) = 0;
  };

  /// Handles requests; called on the I/O thread. Each call requires one call of `reply`, immediately or later.
  class Owner {
   public:
    virtual ~Owner() = default;
    virtual void on_request(std::shared_ptr<Connection> connection, Request request) = 0;
    /// `request` is what could be parsed. The reply closes the connection.
    virtual void on_refusal(std::shared_ptr<Connection> connection, Request request, Error why) = 0;
  };

  /// Takes over `descriptor`, which must not block. `buffered` counts the bytes that connections hold in memory. What
  /// is passed in outlives the connection until it is closed. `over_limit`: only probes are answered.
  Connection(int descriptor, std::uint64_t id, const Limits& limits, Loop& loop, Owner& owner,
             std::atomic<std::size_t>& buffered, bool over_limit);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  std::uint64_t id() const { return id_; }
  int descriptor() const { return descriptor_; }
  bool over_limit() const { return over_limit_; }
  /// The client's IP address as text; empty if unknown.
  const std::string& client_address() const { return client_address_; }

  // --- on the I/O thread; the bool results say whether the connection is still open ---

  bool on_ready();
  bool on_tick(TimePoint now);
  /// With `abort`, the client gets a reset and loses data that it has not read.
  void close(bool abort);
  /// Whether no response is pending and no byte was transferred for `age`.
  bool is_idle(TimePoint now, Seconds age) const;

  // --- from any thread ---

  struct Reply {
    Response response;
    /// Close the connection after this reply.
    bool close = false;
    /// Close it instead of replying.
    bool unanswered = false;
    /// Released when the last byte has been written, or can no longer be written.
    Counted in_flight;
  };
  /// Writes as much as the socket accepts; the I/O thread writes the rest. Does nothing if the connection is closed.
  void reply(Reply reply);

  enum class Reason { client_gone, stopping };

  /// For blocking work: a stop is requested if the client disconnects or `cancel` is called before the reply.
  std::stop_token stop_token();
  void cancel(Reason reason);
  /// Why the current request was cancelled; empty if it was not.
  std::optional<Reason> cancelled() const;
  /// Whether nothing can be written any more.
  bool closed() const;

 private:
  enum class State {
    reading,    // no current request
    answering,  // the reply to the current request is pending
    writing,    // the reply does not fit into the socket
    lingering,  // everything is written and our side is closed: further client input is discarded (RFC 9112, 9.6)
    broken,     // a write failed, or there shall be none; the I/O thread closes
    closed,
  };

  State state() const;
  bool receive(std::size_t limit);
  bool discard();
  void watch_for_end();
  /// Parses `input_` and passes on its requests.
  void process();
  void refuse(Error why);
  void hand_on(Request request, std::optional<Error> refusal);
  void count_input();

  std::string head_of(const Response& response) const REQUIRES(mutex_);
  void write() REQUIRES(mutex_);
  void written() REQUIRES(mutex_);
  void watch(Interest interest) REQUIRES(mutex_);

  const std::uint64_t id_;
  const Limits& limits_;
  Loop& loop_;
  Owner& owner_;
  std::atomic<std::size_t>& buffered_;
  const bool over_limit_;
  const std::string client_address_;

  // Used only by the I/O thread.
  std::string input_;
  /// Number of bytes of `input_` already parsed.
  std::size_t parsed_ = 0;
  std::size_t input_counted_ = 0;
  std::unique_ptr<RequestParser> parser_;
  bool input_ended_ = false;

  mutable Mutex mutex_;
  /// Written under the mutex and by the I/O thread only.
  int descriptor_;
  State state_ GUARDED_BY(mutex_) = State::reading;
  Interest interest_ GUARDED_BY(mutex_) = Interest::read;
  TimePoint deadline_ GUARDED_BY(mutex_);
  TimePoint last_byte_ GUARDED_BY(mutex_);
  /// The I/O thread is in `process` and will notice a change of state.
  bool processing_ GUARDED_BY(mutex_) = false;
  /// There is input after the current request.
  bool more_input_ GUARDED_BY(mutex_) = false;
  /// The client has closed its side or the whole connection.
  bool client_ended_ GUARDED_BY(mutex_) = false;
  bool head_only_ GUARDED_BY(mutex_) = false;
  bool keep_alive_ GUARDED_BY(mutex_) = true;
  bool http_1_0_ GUARDED_BY(mutex_) = false;
  std::optional<Reason> cancelled_ GUARDED_BY(mutex_);
  std::optional<std::stop_source> stop_ GUARDED_BY(mutex_);

  struct Output {
    std::string head;
    std::string body;
    std::size_t sent = 0;
    bool close;
    Counted in_flight;
  };
  std::optional<Output> output_ GUARDED_BY(mutex_);
  std::size_t output_counted_ GUARDED_BY(mutex_) = 0;
};

}  // namespace dice

// One socket: bytes in, requests out one at a time, replies in the order asked, and a deadline for every wait.
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

/// Adds one to a count for as long as it lives.
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

/// A request is handed on, and no other one of this connection before its reply is on the wire: so replies keep the
/// order of the requests, and a client that does not read is not read either.
///
/// The descriptor belongs to this object alone. Every use of it is under the mutex or on the I/O thread that also
/// closes it, so no byte goes to whoever gets the same number next. Events of the I/O thread are hints only: what a
/// read or write returns is what counts.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  struct Limits {
    RequestParser::Limits request{};
    /// From a request's first byte to the end of its headers, and from there to the end of its body.
    Seconds header_timeout{10};
    Seconds body_timeout{10};
    /// Without a byte between two requests.
    Seconds idle_timeout{75};
    /// Without a byte of a reply taken by the client.
    Seconds write_timeout{10};
    /// Read while an answer is owed; what is past them waits in the network.
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

  /// Who answers; called on the I/O thread. To each call belongs one call of `reply`, now or later.
  class Owner {
   public:
    virtual ~Owner() = default;
    virtual void on_request(std::shared_ptr<Connection> connection, Request request) = 0;
    /// `request` holds what was understood of it. The reply closes the connection.
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
  /// The client's IP address as text; empty when it is not known.
  const std::string& client_address() const { return client_address_; }

  // --- on the I/O thread; each says whether the connection is still open ---

  bool on_ready();
  bool on_tick(TimePoint now);
  /// With `abort` the client gets a reset, and what it has not read yet is lost.
  void close(bool abort);
  /// Owes no answer and has not moved a byte for `age`.
  bool is_idle(TimePoint now, Seconds age) const;

  // --- from any thread ---

  struct Reply {
    Response response;
    /// After this reply.
    bool close = false;
    /// Given up when the last byte is written, or can't be.
    Counted in_flight;
  };
  /// Writes as much as the socket takes; the I/O thread writes the rest. Nothing when the connection is closed.
  void reply(Reply reply);

  enum class Reason { client_gone, stopping };

  /// For work that waits: requested when the client leaves, or `cancel` is called, before the request is answered.
  std::stop_token stop_token();
  void cancel(Reason reason);
  /// Why the request in hand was cancelled; nothing when it was not.
  std::optional<Reason> cancelled() const;
  /// Nothing can be written any more.
  bool closed() const;

 private:
  enum class State {
    reading,    // no request is in hand
    answering,  // one is, and its reply is not here yet
    writing,    // the reply does not fit into the socket
    lingering,  // all is written and our side is closed: what the client still sends is thrown away (RFC 9112, 9.6)
    broken,     // a write failed; the I/O thread closes
    closed,
  };

  State state() const;
  bool receive(std::size_t limit);
  bool discard();
  void watch_for_end();
  /// Parses and hands on what is in `input_`.
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

  // The I/O thread's alone.
  std::string input_;
  /// Of `input_`, parsed already.
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
  /// The I/O thread is in `process`, and will see a change of state by itself.
  bool processing_ GUARDED_BY(mutex_) = false;
  /// There is input behind the request in hand.
  bool more_input_ GUARDED_BY(mutex_) = false;
  /// The client has closed its half, or all.
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

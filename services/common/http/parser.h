// Parses HTTP requests and responses as defined in RFC 9112. Only parser.cc includes Boost.Beast.
#pragma once

#include <cstddef>
#include <expected>
#include <memory>
#include <string_view>

#include "common/http/message.h"
#include "contract/error.h"

namespace dice {

/// Parses one request from pieces of any size. Stricter than required where leniency has allowed request smuggling past
/// a proxy: an ambiguous request is an error. Not thread-safe.
class RequestParser {
 public:
  struct Limits {
    /// Limit for the request line and the headers together.
    std::size_t max_header_bytes = 32UL << 10U;
    std::size_t max_headers = 100;
    std::size_t max_body_bytes = 64UL << 10U;
  };

  explicit RequestParser(const Limits& limits);
  ~RequestParser();

  /// Reads from `bytes` and returns how many were consumed. The others must be passed again, followed by more. Bytes
  /// after the end of the request are not consumed. After an error, it must not be called again, and the rest of the
  /// connection's input is meaningless.
  std::expected<std::size_t, Error> feed(std::string_view bytes);

  /// Whether the request line and all headers have been read.
  bool has_headers() const;
  /// Whether the client waits for `100 Continue` before it sends the body. True only once.
  bool take_expectation();
  bool done() const;
  /// Bytes of the body stored so far.
  std::size_t body_bytes() const;
  /// Takes the request, or what is known of it if it is incomplete. Call once.
  Request take();

 private:
  struct Implementation;
  std::unique_ptr<Implementation> implementation_;
};

/// Parses one response to a GET, PUT, POST or DELETE from pieces of any size; interim ones (1xx) are skipped. Not
/// thread-safe.
class ResponseParser {
 public:
  enum class State { incomplete, complete, malformed, too_large };

  explicit ResponseParser(std::size_t max_body_bytes);
  ~ResponseParser();

  /// Appends what was received; bytes after the end of the response make it malformed. Call only while incomplete.
  State feed(std::string_view bytes);
  /// The server has closed the connection, which may be the end of the response.
  State end();
  /// Whether anything was received.
  bool begun() const;
  /// Whether the connection may be used for another request. Requires `complete`.
  bool keep_alive() const;
  /// Requires `complete`. Call once.
  ClientResponse take();

 private:
  struct Implementation;
  std::unique_ptr<Implementation> implementation_;
};

/// The reason phrase, such as "Not Found" for 404; "<unknown-status>" if no RFC defines the status.
std::string_view reason_phrase(int status);

}  // namespace dice

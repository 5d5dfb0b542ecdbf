// One request from bytes, by RFC 9112. The only place that includes Boost.Beast is parser.cc.
#pragma once

#include <cstddef>
#include <expected>
#include <memory>
#include <string_view>

#include "common/http/message.h"
#include "contract/error.h"

namespace dice {

/// Takes the bytes of one request in pieces of any size. Stricter than it must be where leniency has been a way to
/// smuggle a request past a proxy: one that two readers could understand differently is an error. Not thread-safe.
class RequestParser {
 public:
  struct Limits {
    /// Of the request line and the headers together.
    std::size_t max_header_bytes = 32UL << 10U;
    std::size_t max_headers = 100;
    std::size_t max_body_bytes = 64UL << 10U;
  };

  explicit RequestParser(const Limits& limits);
  ~RequestParser();

  /// Reads from `bytes` and gives how many of them it is done with. The others must come again, with more behind them;
  /// bytes after the request's end are left alone. After an error it must not be called again, and what follows on the
  /// connection has no meaning.
  std::expected<std::size_t, Error> feed(std::string_view bytes);

  /// The request line and all headers are there.
  bool has_headers() const;
  /// The client waits for `100 Continue` before it sends the body. True once.
  bool take_expectation();
  bool done() const;
  /// Bytes of the body that are kept so far.
  std::size_t body_bytes() const;
  /// The request; once, and whatever is known of it before it is done.
  Request take();

 private:
  struct Implementation;
  std::unique_ptr<Implementation> implementation_;
};

/// "Not Found", for 404; "<unknown-status>" for one that is in no RFC.
std::string_view reason_phrase(int status);

}  // namespace dice

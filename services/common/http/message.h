// A request and its answer, as handlers see them: no socket and no HTTP library in sight.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <initializer_list>
#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "common/telemetry/tracing.h"
#include "contract/error.h"
#include "contract/parameters.h"

namespace dice {

/// ASCII letters of either case are the same.
bool equal_ignoring_case(std::string_view left, std::string_view right);

/// RFC 9110, section 9, and PATCH; `other` is any other token.
enum class Method { get, head, post, put, del, patch, options, trace, connect, other };

/// As on the wire. `other` is "_OTHER", as OpenTelemetry's semantic conventions have it.
std::string_view name_of(Method method);
/// Methods are case-sensitive.
Method parse_method(std::string_view name);

using Header = std::pair<std::string, std::string>;

/// What the parser fills in is ASCII, but for `headers` and `body`, which may hold any bytes.
struct Request {
  Method method = Method::get;
  /// Without the query; not decoded.
  std::string path;
  /// What follows the `?`; not decoded.
  std::string query_text;
  /// Of the header Host, or of the target when that names one; without the port.
  std::string host;
  /// 0 when none was named.
  std::uint16_t port = 0;
  std::vector<Header> headers;
  std::string body;
  /// HTTP/1.1 without `Connection: close`, or HTTP/1.0 with `Connection: keep-alive`.
  bool keep_alive = true;
  bool http_1_0 = false;

  /// Decoded; set before a handler is called.
  QueryParameters query;
  /// What stands for `{name}` in the route's template; decoded.
  std::map<std::string, std::string> path_parameters;
  /// The server span of this request; never null in a handler, valid until the reply is sent.
  Span* span = nullptr;
  /// Requested when nobody waits for the answer any more, or the service ends. Only for `Work`: a handler itself is
  /// quicker than that.
  std::stop_token stop;

  const TraceContext& trace() const { return span->context(); }
  /// The value of the first header of that name, without regard to case; empty when there is none.
  std::string_view header(std::string_view name) const;
  /// The values of all headers of that name, with commas between them: one list (RFC 9110, section 5.3).
  std::string header_list(std::string_view name) const;
};

struct Response {
  int status = 200;
  std::string body = {};
  std::string content_type = "application/json";
  std::vector<Header> headers = {};
};

using Result = std::expected<Response, Error>;
/// Gives the answer on a thread of its own, where it may wait. What it captures of the request outlives it.
using Work = std::move_only_function<Result()>;

/// What a handler returns: the answer, or the work that leads to it.
struct Answer : std::variant<Result, Work> {
  using variant::variant;
  Answer(Response response) : variant(Result(std::move(response))) {}
  Answer(std::unexpected<Error> error) : variant(Result(std::move(error))) {}
};

/// Is called on an I/O thread and must not wait there.
using Handler = std::function<Answer(const Request&)>;

/// For work that ends because `Request::stop` was requested. What the client is told depends on why that was.
std::unexpected<Error> cancelled();

}  // namespace dice

// Requests and responses as seen by handlers, independent of sockets and HTTP libraries.
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

/// Compares ASCII letters case-insensitively.
bool equal_ignoring_case(std::string_view left, std::string_view right);
/// Without spaces and tabs at both ends.
std::string_view trimmed(std::string_view text);
/// The members of a comma-separated header; empty ones are skipped (RFC 9110, section 5.6.1).
std::vector<std::string_view> list_members(std::string_view text);

/// RFC 9110, section 9, and PATCH; `other` is any other token.
enum class Method { get, head, post, put, del, patch, options, trace, connect, other };

/// As sent in requests. `other` is "_OTHER", as in OpenTelemetry's semantic conventions.
std::string_view name_of(Method method);
/// Methods are case-sensitive.
Method parse_method(std::string_view name);

using Header = std::pair<std::string, std::string>;

/// Filled in by the parser. All text is ASCII, except `headers` and `body`, which may contain any bytes.
struct Request {
  Method method = Method::get;
  /// Without the query; not decoded.
  std::string path;
  /// What follows the `?`; not decoded.
  std::string query_text;
  /// From the header Host, or from the target if it has a host; without the port.
  std::string host;
  /// 0 if there was none.
  std::uint16_t port = 0;
  std::vector<Header> headers;
  std::string body;
  /// HTTP/1.1 without `Connection: close`, or HTTP/1.0 with `Connection: keep-alive`.
  bool keep_alive = true;
  bool http_1_0 = false;

  /// Decoded; set before a handler is called.
  QueryParameters query;
  /// Values of `{name}` in the route's template; decoded.
  std::map<std::string, std::string> path_parameters;
  /// The server span of this request; never null in a handler, valid until the reply is sent.
  Span* span = nullptr;
  /// Requested if the client disconnects or the service stops. Only for `Work`: handlers return too quickly to need it.
  std::stop_token stop;

  const TraceContext& trace() const { return span->context(); }
  /// The value of the first header with this name, case-insensitive; empty if there is none.
  std::string_view header(std::string_view name) const;
  /// The values of all headers with this name, comma-separated, as one list (RFC 9110, section 5.3).
  std::string header_list(std::string_view name) const;
};

struct Response {
  int status = 200;
  std::string body = {};
  std::string content_type = "application/json";
  std::vector<Header> headers = {};
};

using Result = std::expected<Response, Error>;
/// Produces the response on a separate thread, where it may block. The request outlives it.
using Work = std::move_only_function<Result()>;

/// What a handler returns: the response, or the work that produces it.
struct Answer : std::variant<Result, Work> {
  using variant::variant;
  Answer(Response response) : variant(Result(std::move(response))) {}
  Answer(std::unexpected<Error> error) : variant(Result(std::move(error))) {}
};

/// Called on an I/O thread; must not block.
using Handler = std::function<Answer(const Request&)>;

/// The result of work that ended because `Request::stop` was requested. The error that the client gets depends on the
/// reason.
std::unexpected<Error> cancelled();

/// Of another service.
struct ClientResponse {
  int status = 0;
  std::string body;
  std::string retry_after;
  std::string allow;
  std::string traceresponse;
};

}  // namespace dice

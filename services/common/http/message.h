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

#include "common/http/error.h"
#include "common/telemetry/tracing.h"

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
  std::map<std::string, std::string> query;
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

/// Percent-decoded; `+` is a space when `plus`. Nothing when a `%` is not followed by two hex digits, or the outcome is
/// not UTF-8.
std::optional<std::string> percent_decode(std::string_view text, bool plus);

/// For one segment of a path, or a value of a query.
std::string percent_encode(std::string_view text);

/// name=value pairs between `&`, decoded; of two with one name the first counts. The error names the parameter.
std::expected<std::map<std::string, std::string>, Error> parse_query(std::string_view text);

/// Bytes of the longest value that a parameter may have, and of the longest text that an error repeats.
constexpr std::size_t kLongestParameter = 128;

/// What a client sent, for an error's message: in quotes, and cut after `kLongestParameter` bytes.
std::string in_quotes(std::string_view text);

/// Reads the parameters of a query one by one; the first mistake is kept.
class Parameters {
 public:
  /// `allowed` names every parameter that the route knows: another one is a mistake.
  Parameters(const Request& request, std::initializer_list<std::string_view> allowed);

  /// Present, not empty and at most `kLongestParameter` bytes.
  std::string required(const std::string& name);
  std::optional<int> integer(const std::string& name, int min, int max);
  std::optional<std::string> choice(const std::string& name, std::initializer_list<std::string_view> allowed);

  void fail(const std::string& name, const std::string& message);
  const std::optional<Error>& error() const { return error_; }

 private:
  const std::string* find(const std::string& name) const;

  const Request& request_;
  std::optional<Error> error_;
};

}  // namespace dice

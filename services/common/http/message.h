// A request and an answer, as handlers see them: no HTTP library in sight.
#pragma once

#include <cstddef>
#include <expected>
#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/http/error.h"
#include "common/telemetry/tracing.h"

namespace dice {

enum class Method { get, post, put };

/// All text is UTF-8 and percent-decoded.
struct Request {
  Method method = Method::get;
  std::string path;
  /// What stands for `{name}` in the route's template.
  std::map<std::string, std::string> path_parameters;
  std::map<std::string, std::string> query;
  std::string accept;
  std::string body;
  /// The server span of this request; never null, valid until the reply is sent.
  Span* span = nullptr;

  const TraceContext& trace() const { return span->context(); }
};

struct Response {
  int status = 200;
  std::string body = {};
  std::string content_type = "application/json";
  std::vector<std::pair<std::string, std::string>> headers = {};
};

using Result = std::expected<Response, Error>;

/// Percent-decoded; `+` is a space when `plus`. Nothing when a `%` is not followed by two hex digits, or the outcome is
/// not UTF-8.
std::optional<std::string> percent_decode(std::string_view text, bool plus);

/// For one segment of a path, or a value of a query.
std::string percent_encode(std::string_view text);

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

// Query parameters: percent-encoding, and validation with errors that name the parameter.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "contract/error.h"

namespace dice {

/// With `plus`, `+` is a space. Empty if a `%` is not followed by two hex digits, or the result is not UTF-8.
std::optional<std::string> percent_decode(std::string_view text, bool plus);

/// For a path segment or a query value.
std::string percent_encode(std::string_view text);

/// Decoded values by name.
using QueryParameters = std::map<std::string, std::string>;

/// Parses and decodes name=value pairs separated by `&`. If a name is repeated, the first value counts. The error names
/// the parameter.
std::expected<QueryParameters, Error> parse_query(std::string_view text);

/// Maximum bytes of a parameter's value, and of client input quoted in an error.
constexpr std::size_t kMaxParameterBytes = 128;

/// Client input for an error message: in quotes, truncated to `kMaxParameterBytes` bytes.
std::string in_quotes(std::string_view text);

/// Reads the parameters of a query one by one and keeps the first error.
class Parameters {
 public:
  /// Any parameter that is not in `allowed` is an error. `query` must outlive this object.
  Parameters(const QueryParameters& query, std::span<const std::string_view> allowed);

  /// The value must have 1 to `kMaxParameterBytes` bytes.
  std::string required(const std::string& name);
  /// In decimal digits, with a minus sign if negative.
  template <std::signed_integral Integer>
  std::optional<Integer> integer(const std::string& name, Integer min, Integer max) {
    return whole_number(name, min, max).transform([](std::int64_t value) { return static_cast<Integer>(value); });
  }
  int required_integer(const std::string& name, int min, int max);
  std::optional<std::string> choice(const std::string& name, std::span<const std::string_view> allowed);

  /// `name` is an error unless `other` is there, too.
  void only_with(const std::string& name, const std::string& other);

  const std::optional<Error>& error() const { return error_; }

 private:
  const std::string* find(const std::string& name) const;
  std::optional<std::int64_t> whole_number(const std::string& name, std::int64_t min, std::int64_t max);
  void fail(const std::string& name, const std::string& message);

  const QueryParameters& query_;
  std::optional<Error> error_;
};

}  // namespace dice

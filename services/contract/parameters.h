// The parameters of a query: percent-encoding, and reading them one by one with errors that name them.
#pragma once

#include <cstddef>
#include <expected>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "contract/error.h"

namespace dice {

/// Percent-decoded; `+` is a space when `plus`. Nothing when a `%` is not followed by two hex digits, or the outcome is
/// not UTF-8.
std::optional<std::string> percent_decode(std::string_view text, bool plus);

/// For one segment of a path, or a value of a query.
std::string percent_encode(std::string_view text);

/// Decoded, by name.
using QueryParameters = std::map<std::string, std::string>;

/// name=value pairs between `&`, decoded; of two with one name the first counts. The error names the parameter.
std::expected<QueryParameters, Error> parse_query(std::string_view text);

/// Maximum bytes of a parameter's value, and of the text from a client that an error repeats.
constexpr std::size_t kMaxParameterBytes = 128;

/// What a client sent, for an error's message: in quotes, and cut after `kMaxParameterBytes` bytes.
std::string in_quotes(std::string_view text);

/// Reads the parameters of a query one by one; the first error is kept.
class Parameters {
 public:
  /// `allowed` names every parameter that the route knows; another one is an error. `query` outlives this.
  Parameters(const QueryParameters& query, std::span<const std::string_view> allowed);

  /// Present, not empty and at most `kMaxParameterBytes` bytes.
  std::string required(const std::string& name);
  std::optional<int> integer(const std::string& name, int min, int max);
  int required_integer(const std::string& name, int min, int max);
  std::optional<std::string> choice(const std::string& name, std::span<const std::string_view> allowed);

  const std::optional<Error>& error() const { return error_; }

 private:
  const std::string* find(const std::string& name) const;
  void fail(const std::string& name, const std::string& message);

  const QueryParameters& query_;
  std::optional<Error> error_;
};

}  // namespace dice

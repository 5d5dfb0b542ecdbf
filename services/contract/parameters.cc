#include "contract/parameters.h"

#include <algorithm>
#include <charconv>

#include "common/base/joined.h"
#include "common/base/utf8.h"

namespace dice {
namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

std::optional<std::string> percent_decode(std::string_view text, bool plus) {
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded += plus && text[i] == '+' ? ' ' : text[i];
      continue;
    }
    if (i + 2 >= text.size()) return std::nullopt;
    const int high = hex_digit(text[i + 1]);
    const int low = hex_digit(text[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    decoded += static_cast<char>(high << 4 | low);
    i += 2;
  }
  if (!is_utf8(decoded)) return std::nullopt;
  return decoded;
}

std::string percent_encode(std::string_view text) {
  constexpr std::string_view kUnreserved = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string encoded;
  for (const char c : text) {
    if (kUnreserved.find(c) != std::string_view::npos) {
      encoded += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      encoded += {'%', kHex[byte >> 4U], kHex[byte & 0xFU]};
    }
  }
  return encoded;
}

std::expected<QueryParameters, Error> parse_query(std::string_view text) {
  QueryParameters query;
  while (!text.empty()) {
    const auto pair = text.substr(0, text.find('&'));
    text.remove_prefix(std::min(pair.size() + 1, text.size()));
    const auto equals = std::min(pair.find('='), pair.size());
    const auto name = percent_decode(pair.substr(0, equals), true);
    const auto value = percent_decode(pair.substr(std::min(equals + 1, pair.size())), true);
    if (!name || !value) {
      return std::unexpected(Error{ErrorCode::invalid_parameter,
                                   "parameter " + in_quotes(pair.substr(0, equals)) + " is not percent-encoded UTF-8"});
    }
    if (!name->empty()) query.emplace(*name, *value);
  }
  return query;
}

std::string in_quotes(std::string_view text) { return "'" + std::string(utf8_prefix(text, kMaxParameterBytes)) + "'"; }

Parameters::Parameters(const QueryParameters& query, std::span<const std::string_view> allowed) : query_(query) {
  for (const auto& [name, value] : query) {
    if (std::ranges::find(allowed, name) == allowed.end()) {
      fail(name, allowed.empty() ? "is not a parameter; none are allowed"
                                 : "is not a parameter; allowed: " + joined(allowed, ", "));
    }
  }
}

void Parameters::fail(const std::string& name, const std::string& message) {
  if (!error_) error_ = Error{ErrorCode::invalid_parameter, "parameter " + in_quotes(name) + " " + message};
}

const std::string* Parameters::find(const std::string& name) const {
  const auto found = query_.find(name);
  return found == query_.end() ? nullptr : &found->second;
}

std::string Parameters::required(const std::string& name) {
  const auto* value = find(name);
  if (value == nullptr || value->empty()) {
    fail(name, "is required");
  } else if (value->size() > kMaxParameterBytes) {
    fail(name, "is too long; allowed: at most " + std::to_string(kMaxParameterBytes) + " bytes");
  } else {
    return *value;
  }
  return {};
}

std::optional<std::int64_t> Parameters::whole_number(const std::string& name, std::int64_t min, std::int64_t max) {
  const auto* text = find(name);
  if (text == nullptr) return std::nullopt;
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (error == std::errc() && end == text->data() + text->size() && value >= min && value <= max) return value;
  fail(name, "must be a whole number from " + std::to_string(min) + " to " + std::to_string(max));
  return std::nullopt;
}

int Parameters::required_integer(const std::string& name, int min, int max) {
  if (find(name) == nullptr) fail(name, "is required");
  return integer(name, min, max).value_or(min);
}

void Parameters::only_with(const std::string& name, const std::string& other) {
  if (find(name) != nullptr && find(other) == nullptr) fail(name, "is only allowed with " + in_quotes(other));
}

std::optional<std::string> Parameters::choice(const std::string& name, std::span<const std::string_view> allowed) {
  const auto* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (std::ranges::find(allowed, *value) != allowed.end()) return *value;
  fail(name, "must be one of: " + joined(allowed, ", "));
  return std::nullopt;
}

}  // namespace dice

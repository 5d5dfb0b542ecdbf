// Text from outside may be any bytes; logs, JSON and OTLP must be UTF-8.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace dice {

/// As RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF.
bool is_utf8(std::string_view text);

/// The longest beginning of well-formed `text` that has at most `bytes` and ends with a whole character.
std::string_view utf8_prefix(std::string_view text, std::size_t bytes);

/// The same of any length, with "…" behind it when it was cut.
std::string shortened(std::string_view text, std::size_t bytes);

/// Each byte that is not part of a well-formed sequence becomes U+FFFD.
std::string to_utf8(std::string_view text);

}  // namespace dice

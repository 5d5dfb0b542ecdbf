// Text from outside may be any bytes; logs, JSON and OTLP must be UTF-8.
#pragma once

#include <string>
#include <string_view>

namespace dice {

/// As RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF.
bool is_utf8(std::string_view text);

/// Each byte that is not part of a well-formed sequence becomes U+FFFD.
std::string to_utf8(std::string_view text);

}  // namespace dice

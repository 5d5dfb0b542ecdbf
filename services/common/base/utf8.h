// UTF-8 validation and repair: external text may be any bytes; logs, JSON and OTLP require UTF-8.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace dice {

/// Whether `text` is valid by RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF.
bool is_utf8(std::string_view text);

/// The longest prefix of well-formed `text` that has at most `bytes` and ends with a complete character.
std::string_view utf8_prefix(std::string_view text, std::size_t bytes);

/// `text`, truncated to `bytes` and followed by "…" if it is longer.
std::string shortened(std::string_view text, std::size_t bytes);

/// Replaces each byte that is not part of a well-formed sequence with U+FFFD.
std::string to_utf8(std::string_view text);

/// For text from outside in an error message: to_utf8, control characters and other line breaks replaced as well, and
/// shortened to 200 bytes.
std::string printable(std::string_view text);

}  // namespace dice

// Appends fields of a protobuf message: https://protobuf.dev/programming-guides/encoding/
// Spans are encoded directly: as message objects, they would cost several times as much.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace dice::wire {

enum class Type : unsigned { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

inline void append_varint(std::string& to, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7U) to += static_cast<char>(value | 0x80U);
  to += static_cast<char>(value);
}

inline std::size_t varint_bytes(std::uint64_t value) {
  std::size_t bytes = 1;
  for (; value >= 0x80; value >>= 7U) ++bytes;
  return bytes;
}

inline void append_tag(std::string& to, unsigned field, Type type) {
  append_varint(to, field << 3U | static_cast<unsigned>(type));
}

/// Unsigned and not-negative integers, booleans and enumerations; negative integers as their two's complement.
inline void append_integer(std::string& to, unsigned field, std::uint64_t value) {
  append_tag(to, field, Type::varint);
  append_varint(to, value);
}

template <typename Fixed>
void append_fixed(std::string& to, unsigned field, Fixed value) {
  append_tag(to, field, sizeof value == 8 ? Type::fixed64 : Type::fixed32);
  for (std::size_t i = 0; i < sizeof value; ++i) to += static_cast<char>(value >> (8 * i));
}

/// The beginning of a string or message, of which `length` bytes must follow.
inline void append_length(std::string& to, unsigned field, std::size_t length) {
  append_tag(to, field, Type::bytes);
  append_varint(to, length);
}

/// Strings, bytes and encoded messages.
inline void append_bytes(std::string& to, unsigned field, std::string_view value) {
  append_length(to, field, value.size());
  to += value;
}

/// The size of such a field with a number up to 15.
inline std::size_t field_bytes(std::size_t length) { return 1 + varint_bytes(length) + length; }

/// A message in a field: `write` appends what it contains.
template <typename Write>
void append_message(std::string& to, unsigned field, Write write) {
  append_tag(to, field, Type::bytes);
  const auto begin = to.size() + 1;
  to += '\0';  // its length, which takes one byte if it is below 128
  write();
  const auto length = to.size() - begin;
  if (length < 0x80) {
    to[begin - 1] = static_cast<char>(length);
    return;
  }
  std::string prefix;
  append_varint(prefix, length);
  to.replace(begin - 1, 1, prefix);
}

}  // namespace dice::wire

// Appends and reads the fields of a protobuf message: https://protobuf.dev/programming-guides/encoding/
// Spans are encoded directly: as message objects, they would cost several times as much, and each process 2 MB.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace dice::wire {

enum class Type : unsigned { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

/// Memory that is large enough, as an alternative to a string that grows.
struct Memory {
  char* end;
  void operator+=(char c) { *end++ = c; }
  void operator+=(std::string_view text) { end = std::copy(text.begin(), text.end(), end); }
};

/// Counts what would be appended.
struct Size {
  std::size_t bytes = 0;
  void operator+=(char /*c*/) { ++bytes; }
  void operator+=(std::string_view text) { bytes += text.size(); }
};

template <typename To>
void append_varint(To& to, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7U) to += static_cast<char>(value | 0x80U);
  to += static_cast<char>(value);
}

inline std::size_t varint_bytes(std::uint64_t value) {
  std::size_t bytes = 1;
  for (; value >= 0x80; value >>= 7U) ++bytes;
  return bytes;
}

template <typename To>
void append_tag(To& to, unsigned field, Type type) {
  append_varint(to, field << 3U | static_cast<unsigned>(type));
}

/// Unsigned and not-negative integers, booleans and enumerations; negative integers as their two's complement.
template <typename To>
void append_integer(To& to, unsigned field, std::uint64_t value) {
  append_tag(to, field, Type::varint);
  append_varint(to, value);
}

template <typename To, typename Fixed>
void append_fixed(To& to, unsigned field, Fixed value) {
  append_tag(to, field, sizeof value == 8 ? Type::fixed64 : Type::fixed32);
  for (std::size_t i = 0; i < sizeof value; ++i) to += static_cast<char>(value >> (8 * i));
}

/// The beginning of a string or message, of which `length` bytes must follow.
template <typename To>
void append_length(To& to, unsigned field, std::size_t length) {
  append_tag(to, field, Type::bytes);
  append_varint(to, length);
}

/// Strings, bytes and encoded messages.
template <typename To>
void append_bytes(To& to, unsigned field, std::string_view value) {
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

struct Field {
  unsigned number = 0;
  /// Of a number: as it is encoded.
  std::uint64_t value = 0;
  /// Of a string or message.
  std::string_view bytes = {};
};

/// The fields of a message, which must outlive it and what it returns.
class Reader {
 public:
  explicit Reader(std::string_view message) : rest_(message) {}

  /// Empty at the end, and at what is not a field.
  std::optional<Field> next() {
    const auto tag = varint();
    if (!tag || *tag >> 3U == 0 || *tag >> 32U != 0) return std::nullopt;
    Field field{.number = static_cast<unsigned>(*tag >> 3U)};
    switch (static_cast<Type>(*tag & 7U)) {
      case Type::varint:
        if (const auto value = varint()) field.value = *value;
        else return std::nullopt;
        return field;
      case Type::fixed64: return fixed(field, 8);
      case Type::fixed32: return fixed(field, 4);
      case Type::bytes: break;
      default: return std::nullopt;
    }
    const auto length = varint();
    if (!length || *length > rest_.size()) return std::nullopt;
    field.bytes = take(*length);
    return field;
  }

  /// Whether all was read.
  bool at_end() const { return rest_.empty(); }

 private:
  std::string_view take(std::size_t count) {
    const auto taken = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return taken;
  }

  std::optional<std::uint64_t> varint() {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < std::min<std::size_t>(rest_.size(), 10); ++i) {
      const auto byte = static_cast<unsigned char>(rest_[i]);
      value |= std::uint64_t{byte & 0x7FU} << (7 * i);
      if (byte >= 0x80) continue;
      rest_.remove_prefix(i + 1);
      return value;
    }
    return std::nullopt;
  }

  std::optional<Field> fixed(Field field, std::size_t size) {
    if (rest_.size() < size) return std::nullopt;
    const auto bytes = take(size);
    for (std::size_t i = 0; i < size; ++i) {
      field.value |= std::uint64_t{static_cast<unsigned char>(bytes[i])} << (8 * i);
    }
    return field;
  }

  std::string_view rest_;
};

}  // namespace dice::wire

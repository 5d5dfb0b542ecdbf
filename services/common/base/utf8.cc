#include "common/base/utf8.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace dice {
namespace {

constexpr std::size_t kMaxPrintable = 200;
constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

/// Length of the well-formed sequence at the start of `text`, 0 if there is none (Unicode 15, table 3-7).
std::size_t sequence(std::string_view text) {
  const auto byte = [&text](std::size_t at) { return static_cast<unsigned char>(text[at]); };
  const auto follows = [&](std::size_t at, unsigned low = 0x80, unsigned high = 0xBF) {
    return at < text.size() && byte(at) >= low && byte(at) <= high;
  };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return follows(1) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    const unsigned low = first == 0xE0 ? 0xA0 : 0x80;
    const unsigned high = first == 0xED ? 0x9F : 0xBF;
    return follows(1, low, high) && follows(2) ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    const unsigned low = first == 0xF0 ? 0x90 : 0x80;
    const unsigned high = first == 0xF4 ? 0x8F : 0xBF;
    return follows(1, low, high) && follows(2) && follows(3) ? 4 : 0;
  }
  return 0;
}

/// Of one well-formed sequence: C0, DEL, C1, line and paragraph separators, changes of direction.
bool is_control(std::string_view one) {
  if (one.size() == 1) return one < " " || one == "\x7F";
  return (one >= "\xC2\x80" && one <= "\xC2\x9F") || (one >= "\xE2\x80\xA8" && one <= "\xE2\x80\xAE");
}

std::string cleaned(std::string_view text, bool keep_control) {
  std::string clean;
  clean.reserve(text.size());
  while (!text.empty()) {
    const auto length = sequence(text);
    const auto one = text.substr(0, length);
    clean += length == 0 || (!keep_control && is_control(one)) ? kReplacement : one;
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return clean;
}

}  // namespace

bool is_utf8(std::string_view text) {
  // Nearly all text is ASCII: check eight bytes at a time.
  while (text.size() >= sizeof(std::uint64_t)) {
    std::uint64_t word = 0;
    std::memcpy(&word, text.data(), sizeof word);
    if ((word & 0x8080808080808080U) != 0) break;
    text.remove_prefix(sizeof word);
  }
  while (!text.empty()) {
    const auto length = sequence(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

std::string_view utf8_prefix(std::string_view text, std::size_t bytes) {
  if (text.size() <= bytes) return text;
  while (bytes > 0 && (static_cast<unsigned char>(text[bytes]) & 0xC0U) == 0x80U) --bytes;
  return text.substr(0, bytes);
}

std::string shortened(std::string_view text, std::size_t bytes) {
  std::string result(utf8_prefix(text, bytes));
  if (result.size() < text.size()) result += "\xE2\x80\xA6";
  return result;
}

std::string to_utf8(std::string_view text) { return cleaned(text, true); }

std::string printable(std::string_view text) { return shortened(cleaned(text, false), kMaxPrintable); }

}  // namespace dice

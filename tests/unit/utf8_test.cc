#include "common/base/utf8.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <string>

namespace dice {
namespace {

using namespace std::string_literals;

const std::string kReplacement = "\xEF\xBF\xBD";

std::string encoded(std::uint32_t point) {
  const auto byte = [](std::uint32_t value) { return static_cast<char>(value); };
  if (point < 0x80) return {byte(point)};
  if (point < 0x800) return {byte(0xC0 | point >> 6), byte(0x80 | (point & 0x3F))};
  if (point < 0x10000) return {byte(0xE0 | point >> 12), byte(0x80 | (point >> 6 & 0x3F)), byte(0x80 | (point & 0x3F))};
  return {byte(0xF0 | point >> 18), byte(0x80 | (point >> 12 & 0x3F)), byte(0x80 | (point >> 6 & 0x3F)),
          byte(0x80 | (point & 0x3F))};
}

TEST_CASE("UTF-8: exactly the code points of Unicode are well-formed, except surrogates") {
  std::uint32_t wrong = 0;
  for (std::uint32_t point = 0; point < 0x1FFFFF; ++point) {
    const bool scalar = point <= 0x10FFFF && (point < 0xD800 || point > 0xDFFF);
    wrong += is_utf8(encoded(point)) == scalar ? 0 : 1;
  }
  CHECK(wrong == 0);
}

TEST_CASE("UTF-8: exactly the one- and two-byte sequences of RFC 3629 are well-formed") {
  for (unsigned first = 0; first < 256; ++first) {
    CHECK(is_utf8(std::string{static_cast<char>(first)}) == (first < 0x80));
    for (unsigned second = 0; second < 256; ++second) {
      const bool two = first >= 0xC2 && first <= 0xDF && second >= 0x80 && second <= 0xBF;
      const std::string text = {static_cast<char>(first), static_cast<char>(second)};
      if (is_utf8(text) != (two || (first < 0x80 && second < 0x80))) FAIL_CHECK(first, " ", second);
    }
  }
}

TEST_CASE("UTF-8: well-formed text is unchanged") {
  for (const auto& text :
       {""s, "fair"s, "nul\0nul"s, "Würfel \xF0\x9F\x8E\xB2 骰子"s, "\xEF\xBB\xBF"s, "\xEF\xBF\xBF"s}) {
    CHECK(is_utf8(text));
    CHECK(to_utf8(text) == text);
  }
}

TEST_CASE(
    "UTF-8: overlong forms, surrogates, incomplete sequences and stray bytes are replaced, and the rest is unchanged") {
  const std::pair<std::string, int> cases[] = {{"\x80", 1},
                                               {"\xBF", 1},
                                               {"\xFE", 1},
                                               {"\xFF\xFF", 2},
                                               {"\xC3", 1},
                                               {"\xC0\x80", 2},
                                               {"\xC1\xBF", 2},
                                               {"\xE0\x80\xAF", 3},
                                               {"\xE0\x9F\xBF", 3},
                                               {"\xE2\x82", 2},
                                               {"\xED\xA0\x80", 3},
                                               {"\xED\xBF\xBF", 3},
                                               {"\xF0\x9F\x8E", 3},
                                               {"\xF0\x8F\xBF\xBF", 4},
                                               {"\xF4\x90\x80\x80", 4},
                                               {"\xF5\x80\x80\x80", 4}};
  for (const auto& [bytes, replaced] : cases) {
    std::string expected;
    for (int i = 0; i < replaced; ++i) expected += kReplacement;
    CHECK_FALSE(is_utf8(bytes));
    CHECK_FALSE(is_utf8("a" + bytes + "z"));
    CHECK(to_utf8(bytes) == expected);
    CHECK(to_utf8("\xC3\xA9" + bytes + "z") == "\xC3\xA9" + expected + "z");
  }
}

TEST_CASE("UTF-8: an incomplete sequence does not consume the quote or line end after it") {
  CHECK(to_utf8("\xE2\x82\"") == kReplacement + kReplacement + "\"");
  CHECK(to_utf8("\xF0\n") == kReplacement + "\n");
}

TEST_CASE("UTF-8: printable text is one line without control characters, and is shortened") {
  CHECK(printable("die \xE2\x82\xAC\xC2\xA0\xF0\x9F\x8E\xB2 ~") == "die \xE2\x82\xAC\xC2\xA0\xF0\x9F\x8E\xB2 ~");
  for (const auto* control : {"\n", "\r", "\t", "\x01", "\x1B", "\x7F", "\xC2\x80", "\xC2\x9B", "\xC2\x9F",
                              "\xE2\x80\xA8", "\xE2\x80\xA9", "\xE2\x80\xAE", "\xFF"}) {
    CHECK(printable("a" + std::string(control) + "b") == "a" + kReplacement + "b");
  }
  CHECK(printable(std::string("a\0b", 3)) == "a" + kReplacement + "b");
  CHECK(printable(std::string(200, 'x')) == std::string(200, 'x'));
  CHECK(printable(std::string(201, 'x')) == std::string(200, 'x') + "\xE2\x80\xA6");
}

TEST_CASE("UTF-8: the output is always UTF-8") {
  std::uint32_t state = 1;
  for (int round = 0; round < 2000; ++round) {
    std::string bytes;
    for (int i = 0; i < 20; ++i) {
      state = state * 1664525 + 1013904223;
      // Mostly bytes of multi-byte sequences.
      bytes += static_cast<char>((state >> 28U) < 4 ? state >> 16U : 0x80 | state >> 16U);
    }
    const auto clean = to_utf8(bytes);
    REQUIRE(is_utf8(clean));
    REQUIRE(to_utf8(clean) == clean);
    REQUIRE((clean == bytes) == is_utf8(bytes));
  }
}

}  // namespace
}  // namespace dice

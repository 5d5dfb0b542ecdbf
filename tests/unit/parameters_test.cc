#include "contract/parameters.h"

#include <doctest/doctest.h>

#include <string>

#include "common/base/utf8.h"

namespace dice {
namespace {

using namespace std::string_literals;
using Names = std::vector<std::string_view>;

std::string message_of(const Parameters& parameters) {
  REQUIRE(parameters.error());
  CHECK(parameters.error()->code == ErrorCode::invalid_parameter);
  return parameters.error()->message;
}

/// The error of `integer("times", 1, 20)` for a value.
std::string times_error(const std::string& value) {
  const auto query = QueryParameters({{"times", value}});
  Parameters parameters(query, Names{"times"});
  CHECK_FALSE(parameters.integer("times", 1, 20));
  return message_of(parameters);
}

TEST_CASE("percent encoding: any text survives encoding and decoding, in a path and in a query") {
  for (const auto& text : {""s, "fair"s, "a b"s, "a+b"s, "100%"s, "%41"s, "/../?&=#;"s, "\xC3\xA9\xF0\x9F\x8E\xB2"s,
                           "nul\0nul"s, "\n\x7F"s}) {
    CAPTURE(text);
    CHECK(percent_decode(percent_encode(text), false) == text);
    CHECK(percent_decode(percent_encode(text), true) == text);
  }
}

TEST_CASE("percent encoding: unreserved characters are unchanged, all others are encoded in upper case") {
  CHECK(percent_encode("AZaz09-._~") == "AZaz09-._~");
  CHECK(percent_encode("a/b?c=d&e+f %\xC3\xA9") == "a%2Fb%3Fc%3Dd%26e%2Bf%20%25%C3%A9");
}

TEST_CASE("percent decoding: a plus is a space in a query only; digits may be of either case") {
  CHECK(percent_decode("a+b", true) == "a b");
  CHECK(percent_decode("a+b", false) == "a+b");
  CHECK(percent_decode("%2B", true) == "+");
  CHECK(percent_decode("%c3%A9", false) == "\xC3\xA9");
  CHECK(percent_decode("%2525", false) == "%25");  // once, not twice
}

TEST_CASE("percent decoding: malformed input and invalid UTF-8 are rejected") {
  for (const auto* text : {"%", "%4", "a%", "a%4", "%%41", "%G0", "%0G", "% 1", "%-1", "%0x", "%FF", "%C3", "%C0%AF",
                           "%ED%A0%80", "\xFF", "\xC3%41"}) {
    CAPTURE(text);
    CHECK_FALSE(percent_decode(text, false));
    CHECK_FALSE(percent_decode(text, true));
  }
}

TEST_CASE("percent decoding: does not read past the end") {
  CHECK_FALSE(percent_decode(std::string_view("%41", 2), false));
  CHECK_FALSE(percent_decode(std::string_view("a%41", 2), false));
}

TEST_CASE("parameters: valid ones cause no error") {
  const auto query = QueryParameters({{"die", "fair"}, {"times", "20"}, {"strategy", "best-effort"}});
  Parameters parameters(query, Names{"die", "times", "strategy", "concurrency"});
  CHECK(parameters.required("die") == "fair");
  CHECK(parameters.integer("times", 1, 20) == 20);
  CHECK(parameters.choice("strategy", Names{"all-or-nothing", "best-effort"}) == "best-effort");
  CHECK_FALSE(parameters.integer("concurrency", 1, 20));
  CHECK_FALSE(parameters.choice("other", Names{"x"}));
  CHECK_FALSE(parameters.error());
}

TEST_CASE("parameters: the error for an unknown one lists the allowed ones") {
  const auto query = QueryParameters({{"die", "fair"}, {"tmies", "5"}});
  const Parameters parameters(query, Names{"die", "times"});
  CHECK(message_of(parameters) == "parameter 'tmies' is not a parameter; allowed: die, times");
}

TEST_CASE("parameters: a required one must have 1 to 128 bytes") {
  const auto error = [](const QueryParameters& query) {
    Parameters parameters(query, Names{"die"});
    CHECK(parameters.required("die").empty());
    return message_of(parameters);
  };
  CHECK(error({}) == "parameter 'die' is required");
  CHECK(error({{"die", ""}}) == "parameter 'die' is required");
  CHECK(error({{"die", std::string(129, 'x')}}) == "parameter 'die' is too long; allowed: at most 128 bytes");
  const auto query = QueryParameters({{"die", std::string(128, 'x')}});
  Parameters parameters(query, Names{"die"});
  CHECK(parameters.required("die").size() == 128);
  CHECK_FALSE(parameters.error());
}

TEST_CASE("parameters: an invalid number is rejected with the allowed range") {
  for (const auto* value :
       {"0", "21", "-1", "", " 5", "5 ", "+5", "5.0", "1e1", "0x5", "five", "5;", "99999999999999999999", "\xD9\xA5"}) {
    CAPTURE(value);
    CHECK(times_error(value) == "parameter 'times' must be a whole number from 1 to 20");
  }
  CHECK(times_error("5\0"s) == "parameter 'times' must be a whole number from 1 to 20");
  for (const auto* value : {"1", "20"}) {
    const auto query = QueryParameters({{"times", value}});
    Parameters parameters(query, Names{"times"});
    CHECK(parameters.integer("times", 1, 20) == std::stoi(value));
  }
}

TEST_CASE("parameters: numbers of 64 bits, up to both ends of the range") {
  constexpr std::int64_t kMax = (1LL << 53U) - 1;
  const auto number = [](const std::string& value) {
    const auto query = QueryParameters({{"seed", value}});
    Parameters parameters(query, Names{"seed"});
    const auto found = parameters.integer("seed", std::int64_t{0}, kMax);
    CHECK(found.has_value() != parameters.error().has_value());
    if (!found) CHECK(message_of(parameters) == "parameter 'seed' must be a whole number from 0 to 9007199254740991");
    return found;
  };
  CHECK(number("0") == 0);
  CHECK(number("4294967296") == 4'294'967'296);
  CHECK(number("9007199254740991") == kMax);
  for (const auto* value : {"-1", "9007199254740992", "9223372036854775808", "18446744073709551616", "", "+1", " 1",
                            "1 ", "1e3", "1.0", "0x1", "1,2", "-"}) {
    CAPTURE(value);
    CHECK_FALSE(number(value));
  }
}

TEST_CASE("parameters: one that needs another") {
  const auto error = [](const QueryParameters& query) {
    Parameters parameters(query, Names{"seed", "index"});
    parameters.only_with("index", "seed");
    return parameters.error() ? message_of(parameters) : "";
  };
  CHECK(error({{"index", "1"}}) == "parameter 'index' is only allowed with 'seed'");
  CHECK(error({{"index", "1"}, {"seed", "2"}}).empty());
  CHECK(error({{"seed", "2"}}).empty());
  CHECK(error({}).empty());
}

TEST_CASE("parameters: an unknown choice is rejected with the list") {
  for (const auto* value : {"", "Best-Effort", "best-effort ", "all"}) {
    const auto query = QueryParameters({{"strategy", value}});
    Parameters parameters(query, Names{"strategy"});
    CHECK_FALSE(parameters.choice("strategy", Names{"all-or-nothing", "best-effort"}));
    CHECK(message_of(parameters) == "parameter 'strategy' must be one of: all-or-nothing, best-effort");
  }
}

TEST_CASE("parameters: only the first error is reported") {
  const auto query = QueryParameters({{"times", "many"}});
  Parameters parameters(query, Names{"die", "times"});
  (void)parameters.required("die");
  (void)parameters.integer("times", 1, 20);
  CHECK(message_of(parameters) == "parameter 'die' is required");
}

TEST_CASE("parameters: a required number must be present") {
  const QueryParameters query;
  Parameters parameters(query, Names{"times"});
  CHECK(parameters.required_integer("times", 1, 20) == 1);
  CHECK(message_of(parameters) == "parameter 'times' is required");
}

TEST_CASE("parameters: the error for a name of any length is short and UTF-8") {
  for (const std::size_t shift : {0UL, 1UL, 2UL}) {
    std::string name(shift, 'x');
    for (int i = 0; i < 1000; ++i) name += "\xE2\x82\xAC";
    const auto query = QueryParameters({{name, ""}});
    const Parameters parameters(query, Names{"die"});
    CHECK(message_of(parameters).size() < 300);
    CHECK(is_utf8(message_of(parameters)));
  }
}

}  // namespace
}  // namespace dice

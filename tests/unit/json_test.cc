#include <doctest/doctest.h>

#include <string>

#include "common/base/json_view.h"

namespace dice {
namespace {

TEST_CASE("JSON: at most 64 levels are read; brackets in strings do not count") {
  const auto nested = [](std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  CHECK(parse_json(nested(64)));
  CHECK_FALSE(parse_json(nested(65)));
  CHECK_FALSE(parse_json(nested(1'000'000)));
  CHECK(parse_json(R"({"a":"\"\\)" + nested(100) + R"("})"));
  CHECK(parse_json("[" + nested(63) + "," + nested(63) + "]"));
}

TEST_CASE("JSON: half a surrogate pair is not UTF-8") {
  CHECK(JsonView(*parse_json(R"(["\ud83c\udFB2\uD83C\uDFB2"])")).elements()[0].text() == "🎲🎲");
  for (const auto* text : {R"("\udfb2")", R"("\uDC00x")", R"("\ud83c")", R"("\ud83cx")", R"("\ud83c\n")",
                           R"("\ud83c\ud83c")", R"("\ud83c\udfb2\udfb2")", R"({"\udfb2":1})"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_json(text));
  }
  CHECK(JsonView(*parse_json(R"(["\\udfb2"])")).elements()[0].text() == "\\udfb2");
  CHECK(parse_json(R"("\ud7ff\ue000")"));
}

}  // namespace
}  // namespace dice

#include "common/telemetry/trace_context.h"

#include <doctest/doctest.h>

#include <string>

namespace dice {
namespace {

const std::string kTrace = "0af7651916cd43dd8448eb211c80319c";
const std::string kSpan = "b7ad6b7169203331";
const std::string kParent = "00-" + kTrace + "-" + kSpan + "-01";

TEST_CASE("trace context: the specification's example is read and written") {
  const auto context = parse_traceparent(kParent);
  REQUIRE(context);
  CHECK(to_hex(context->trace_id) == kTrace);
  CHECK(to_hex(context->span_id) == kSpan);
  CHECK(context->trace_id[0] == 0x0A);
  CHECK(context->span_id[7] == 0x31);
  CHECK(context->sampled);
  CHECK(context->valid());
  CHECK(to_traceparent(*context) == kParent);
}

TEST_CASE("trace context: sampled is the last bit of the flags; other bits are ignored and not handed on") {
  for (const auto& [flags, sampled] :
       {std::pair("00", false), {"01", true}, {"02", false}, {"03", true}, {"fe", false}, {"ff", true}}) {
    const auto context = parse_traceparent(kParent.substr(0, 53) + flags);
    REQUIRE(context);
    CHECK(context->sampled == sampled);
    CHECK(to_traceparent(*context) == kParent.substr(0, 53) + (sampled ? "01" : "00"));
  }
}

TEST_CASE("trace context: a later version may have more at its end, version 00 may not") {
  const auto rest = kParent.substr(2);
  CHECK(parse_traceparent("01" + rest));
  CHECK(parse_traceparent("cc" + rest + "-what-the-future-will-be-like"));
  CHECK(parse_traceparent("fe" + rest + "-"));
  CHECK(to_traceparent(*parse_traceparent("cc" + rest + "-x")) == kParent);
  CHECK_FALSE(parse_traceparent("cc" + rest + "x"));
  CHECK_FALSE(parse_traceparent("cc" + rest + "."));
  CHECK_FALSE(parse_traceparent(kParent + "-"));
  CHECK_FALSE(parse_traceparent(kParent + "-01"));
  CHECK_FALSE(parse_traceparent(kParent + " "));
}

TEST_CASE("trace context: what is malformed is no context") {
  const auto of = [](const std::string& version, const std::string& trace, const std::string& span,
                     const std::string& flags) { return version + "-" + trace + "-" + span + "-" + flags; };
  for (const auto& header : {
           std::string(),
           std::string("00"),
           std::string("00-"),
           of("ff", kTrace, kSpan, "01"),
           of("ff", kTrace, kSpan, "01") + "-x",
           of("0", kTrace, kSpan, "01"),
           of("0x", kTrace, kSpan, "01"),
           of("", kTrace, kSpan, "01"),
           of("00", std::string(32, '0'), kSpan, "01"),
           of("00", kTrace, std::string(16, '0'), "01"),
           of("00", "0AF7651916CD43DD8448EB211C80319C", kSpan, "01"),
           of("00", kTrace, "B7AD6B7169203331", "01"),
           of("00", kTrace, kSpan, "0A"),
           of("CC", kTrace, kSpan, "01"),
           of("00", kTrace.substr(1), kSpan, "01"),
           of("00", kTrace + "0", kSpan, "01"),
           of("00", kTrace, kSpan.substr(1), "01"),
           of("00", kTrace, kSpan + "0", "01"),
           of("00", kTrace, kSpan, "1"),
           of("00", kTrace, kSpan, ""),
           of("00", kTrace, kSpan, "0g"),
           of("00", "g" + kTrace.substr(1), kSpan, "01"),
           of("00", kTrace, "." + kSpan.substr(1), "01"),
           "00_" + kTrace + "-" + kSpan + "-01",
           "00-" + kTrace + "_" + kSpan + "-01",
           "00-" + kTrace + "-" + kSpan + "_01",
           " " + kParent,
           std::string(55, '-'),
           std::string(55, '\0'),
           std::string(10'000, '0'),
       }) {
    CAPTURE(header);
    CHECK_FALSE(parse_traceparent(header));
  }
}

TEST_CASE("trace context: a trace id is 32 lower-case hex digits, not all zero") {
  REQUIRE(parse_trace_id(kTrace));
  CHECK(to_hex(*parse_trace_id(kTrace)) == kTrace);
  CHECK(parse_trace_id("00000000000000000000000000000001"));
  for (const auto& text : {std::string(), std::string(32, '0'), kTrace.substr(1), kTrace + "0", kSpan,
                           std::string("0AF7651916CD43DD8448EB211C80319C"), std::string(32, 'g'),
                           " " + kTrace.substr(1), std::string(32, '/'), "../" + kTrace.substr(3)}) {
    CAPTURE(text);
    CHECK_FALSE(parse_trace_id(text));
  }
}

TEST_CASE("trace context: without both ids it is not valid") {
  TraceContext context;
  CHECK_FALSE(context.valid());
  context.trace_id[15] = 1;
  CHECK_FALSE(context.valid());
  context.span_id[7] = 1;
  CHECK(context.valid());
  context.trace_id[15] = 0;
  CHECK_FALSE(context.valid());
}

}  // namespace
}  // namespace dice

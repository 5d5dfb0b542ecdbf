#include "common/telemetry/trace_context.h"

#include <doctest/doctest.h>

#include <algorithm>
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

TEST_CASE("trace context: sampled is the last bit of the flags; other bits are ignored and not passed on") {
  for (const auto& [flags, sampled] :
       {std::pair("00", false), {"01", true}, {"02", false}, {"03", true}, {"fe", false}, {"ff", true}}) {
    const auto context = parse_traceparent(kParent.substr(0, 53) + flags);
    REQUIRE(context);
    CHECK(context->sampled == sampled);
    CHECK(to_traceparent(*context) == kParent.substr(0, 53) + (sampled ? "01" : "00"));
  }
}

TEST_CASE("trace context: a later version may be longer, version 00 may not") {
  const auto rest = kParent.substr(2);
  CHECK(parse_traceparent("01" + rest));
  CHECK(parse_traceparent("cc" + rest + "-what-the-future-will-be-like"));
  CHECK(parse_traceparent("fe" + rest + "-"));
  CHECK(to_traceparent(*parse_traceparent("cc" + rest + "-x")) == kParent);
  CHECK_FALSE(parse_traceparent("cc" + rest + "x"));
  CHECK_FALSE(parse_traceparent("cc" + rest + "."));
  CHECK_FALSE(parse_traceparent(kParent + "-"));
  CHECK_FALSE(parse_traceparent(kParent + "-01"));
}

TEST_CASE("trace context: malformed headers are ignored") {
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
           kParent + "," + kParent,
           of("cc", kTrace, kSpan, "01") + "-x," + kParent,
           std::string(55, '-'),
           std::string(55, '\0'),
           std::string(10'000, '0'),
       }) {
    CAPTURE(header);
    CHECK_FALSE(parse_traceparent(header));
  }
}

TEST_CASE("trace context: white space around it is ignored") {
  for (const auto* before : {"", " ", "\t \t"}) {
    for (const auto* after : {"", " ", "\t "}) {
      const auto context = parse_traceparent(before + kParent + after);
      REQUIRE(context);
      CHECK(to_traceparent(*context) == kParent);
    }
  }
  CHECK_FALSE(parse_traceparent("00 -" + kParent.substr(3)));
}

TEST_CASE("tracestate: well-formed members are passed on in order, without white space around them") {
  CHECK(parse_tracestate("").empty());
  CHECK(parse_tracestate("foo=1,bar=2") == "foo=1,bar=2");
  CHECK(parse_tracestate("foo=1 \t , \t bar=2, ,,\t baz=3\t") == "foo=1,bar=2,baz=3");
  const std::string key = "abcdefghijklmnopqrstuvwxyz0123456789_-*/@";
  std::string value;
  for (char c = ' '; c <= '~'; ++c) {
    if (c != ',' && c != '=') value += c;
  }
  CHECK(parse_tracestate(key + "=" + value) == key + "=" + value);
  const auto longest = std::string(256, 'z') + "=" + std::string(256, 'v');
  CHECK(parse_tracestate("a=1," + longest) == "a=1," + longest);
}

TEST_CASE("tracestate: only malformed members are removed") {
  for (const auto& member :
       {std::string("foo"), std::string("foo="), std::string("=1"), std::string("foo =1"), std::string("FOO=1"),
        std::string("foo.bar=1"), std::string("@foo=1"), std::string("_foo=1"), std::string("foo=bar=baz"),
        std::string("foo=b\xC3\xA9"), std::string("foo=a\tb"), std::string("foo=\x7F"), std::string("="),
        std::string(257, 'z') + "=1", "foo=" + std::string(257, 'v')}) {
    CAPTURE(member);
    CHECK(parse_tracestate("a=1," + member + ",b=2") == "a=1,b=2");
    CHECK(parse_tracestate(member).empty());
  }
}

TEST_CASE("tracestate: the first member of a key, the first 32, and no more than 8192 bytes") {
  CHECK(parse_tracestate("foo=1,bar=2,foo=3") == "foo=1,bar=2");
  std::string list;
  for (int i = 0; i < 40; ++i) list += "k" + std::to_string(i) + "=1,";
  const auto kept = parse_tracestate(list);
  CHECK(std::ranges::count(kept, ',') == 31);
  CHECK(kept.starts_with("k0=1,"));
  CHECK(kept.ends_with(",k31=1"));
  std::string large;
  for (int i = 10; i < 42; ++i) large += "k" + std::to_string(i) + "=" + std::string(256, 'v') + ",";
  CHECK(parse_tracestate(large).size() <= 8192);
  CHECK(parse_tracestate(large + large).size() > 8192 - 512);
}

TEST_CASE("baggage: well-formed members are passed on, others are removed") {
  CHECK(parse_baggage("").empty());
  CHECK(parse_baggage("user.id=7") == "user.id=7");
  CHECK(parse_baggage(" a=1 , b = 2 ;p; q=3,c=%20x=y") == "a=1,b = 2 ;p; q=3,c=%20x=y");
  CHECK(parse_baggage("a=,b=1") == "a=,b=1");
  for (const auto* member :
       {"x", "=1", "x y=1", "x=a b", "x=\"1\"", "x=1\\", "x=\xC3\xA9", "x=1;", "x=1;p q", "x(=1"}) {
    CAPTURE(member);
    CHECK(parse_baggage("a=1," + std::string(member) + ",b=2") == "a=1,b=2");
  }
  const auto large = "a=" + std::string(5000, 'x');
  CHECK(parse_baggage(large + ",b=" + std::string(5000, 'y')) == large);
  CHECK(parse_baggage("a=" + std::string(9000, 'x')).empty());
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

#include "common/telemetry/trace_memory.h"

#include <doctest/doctest.h>
#include <malloc.h>

#include <atomic>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace dice {
namespace {

using Spans = std::vector<std::string>;

TraceEntry encoded(std::string text) { return std::make_shared<const std::string>(std::move(text)); }

TraceMemory::Limits limits(std::size_t entries) {
  return {.entries = entries, .bytes = 1UL << 20U, .trace_bytes = 1UL << 20U};
}

TraceId id(std::uint8_t number) { return TraceId{number}; }

Spans spans_of(const TraceMemory& memory, const TraceId& trace) {
  Spans spans;
  for (const auto& span : memory.find(trace)) spans.push_back(*span);
  return spans;
}

TEST_CASE("trace memory: returns the spans of the trace in the order in which they were added") {
  TraceMemory memory(limits(10));
  const std::string binary("\0\xFF\n", 3);
  memory.add(id(1), encoded("a"));
  memory.add(id(2), encoded("other"));
  memory.add(id(1), encoded(binary));
  memory.add(id(1), encoded("a"));
  CHECK(spans_of(memory, id(1)) == Spans{"a", binary, "a"});
  CHECK(spans_of(memory, id(2)) == Spans{"other"});
  CHECK(spans_of(memory, id(2)) == Spans{"other"});  // still there
}

TEST_CASE("trace memory: an unknown trace has no spans") {
  TraceMemory memory(limits(10));
  CHECK(memory.find(id(1)).empty());
  memory.add(id(1), encoded("a"));
  CHECK(memory.find(id(2)).empty());
  CHECK(memory.find(TraceId{}).empty());
}

TEST_CASE("trace memory: if full, a new span replaces the oldest of any trace") {
  TraceMemory memory(limits(3));
  memory.add(id(1), encoded("1"));
  for (const auto* span : {"2", "3"}) memory.add(id(2), encoded(span));
  CHECK(spans_of(memory, id(1)) == Spans{"1"});
  memory.add(id(2), encoded("4"));
  CHECK(memory.find(id(1)).empty());
  CHECK(spans_of(memory, id(2)) == Spans{"2", "3", "4"});
}

TEST_CASE("trace memory: never has more spans than the limit") {
  for (const std::size_t capacity : {1UL, 2UL, 7UL}) {
    TraceMemory memory(limits(capacity));
    for (std::size_t i = 1; i <= 50; ++i) {
      memory.add(id(1), encoded(std::to_string(i)));
      const auto spans = spans_of(memory, id(1));
      REQUIRE(spans.size() == std::min(i, capacity));
      for (std::size_t k = 0; k < spans.size(); ++k) CHECK(spans[k] == std::to_string(i - spans.size() + 1 + k));
    }
  }
}

TEST_CASE("trace memory: 0 entries or bytes keep nothing") {
  for (const auto& none : {limits(0), TraceMemory::Limits{.bytes = 0, .trace_bytes = 1'000}}) {
    TraceMemory memory(none);
    CHECK_FALSE(memory.enabled());
    memory.add(id(1), encoded("a"));
    CHECK(memory.find(id(1)).empty());
    CHECK(memory.bytes() == 0);
  }
}

TEST_CASE("trace memory: never has more bytes than the limit, and removes the oldest first") {
  TraceMemory memory({.bytes = 10'000, .trace_bytes = 10'000});
  for (std::size_t i = 0; i < 1000; ++i) {
    memory.add(id(static_cast<std::uint8_t>(i % 7)), encoded(std::string(i % 900, 'x')));
    CHECK(memory.bytes() <= 10'000);
  }
  const auto last = spans_of(memory, id(999 % 7));
  REQUIRE_FALSE(last.empty());
  CHECK(last.back().size() == 999 % 900);
  memory.add(id(1), encoded(std::string(10'000, 'x')));  // larger than the limit
  CHECK(spans_of(memory, id(999 % 7)) == last);
}

TEST_CASE("trace memory: a trace that grows endlessly keeps its first spans and does not displace others") {
  TraceMemory memory({.bytes = 100'000, .trace_bytes = 5'000});
  memory.add(id(1), encoded("other"));
  for (int i = 0; i < 1000; ++i) memory.add(id(2), encoded(std::to_string(i) + std::string(90, ' ')));
  const auto spans = spans_of(memory, id(2));
  CHECK(spans.size() > 10);
  CHECK(spans.size() < 50);
  CHECK(spans.front().starts_with("0 "));
  CHECK(spans_of(memory, id(1)) == Spans{"other"});
}

TEST_CASE("trace memory: the limit includes what the allocator needs, however many traces there are") {
  constexpr std::size_t kBytes = 4UL << 20U;
  for (const std::uint32_t entries_per_trace : {1U, 2U, 15U}) {
    CAPTURE(entries_per_trace);
    const auto before = mallinfo2().uordblks;
    TraceMemory memory({.bytes = kBytes, .trace_bytes = kBytes});
    for (std::uint32_t i = 0; i < 60'000; ++i) {
      TraceId trace{};
      const auto number = i / entries_per_trace;
      std::memcpy(trace.data() + 8, &number, sizeof number);
      memory.add(trace, encoded(std::string(100 + i % 300, 'x')));
    }
    const auto used = mallinfo2().uordblks - before;
    CHECK(used <= kBytes);
    // The allocator of a sanitizer says nothing.
    if (used > 0) CHECK(used > kBytes * 8 / 10);
  }
}

TEST_CASE("trace memory: threads may add and read concurrently") {
  TraceMemory memory(limits(1000));
  std::atomic<bool> stop = false;
  {
    const std::jthread reader([&] {
      while (!stop) CHECK(memory.find(id(1)).size() <= 300);
    });
    {
      std::vector<std::jthread> writers;
      for (std::uint8_t trace = 1; trace <= 3; ++trace) {
        writers.emplace_back([&memory, trace] {
          for (int i = 0; i < 300; ++i) memory.add(id(trace), encoded(std::to_string(i)));
        });
      }
    }
    stop = true;
  }
  for (std::uint8_t trace = 1; trace <= 3; ++trace) {
    const auto spans = spans_of(memory, id(trace));
    REQUIRE(spans.size() == 300);
    for (std::size_t i = 0; i < spans.size(); ++i) REQUIRE(spans[i] == std::to_string(i));
  }
}

}  // namespace
}  // namespace dice

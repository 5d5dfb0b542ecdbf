#include "common/telemetry/span_memory.h"

#include <doctest/doctest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

namespace dice {
namespace {

using Spans = std::vector<std::string>;

TraceId id(std::uint8_t number) { return TraceId{number}; }

TEST_CASE("span memory: gives back the spans of the trace, as they went in and in that order") {
  SpanMemory memory(10);
  const std::string binary("\0\xFF\n", 3);
  memory.add(id(1), "a");
  memory.add(id(2), "other");
  memory.add(id(1), binary);
  memory.add(id(1), "a");
  CHECK(memory.find(id(1)) == Spans{"a", binary, "a"});
  CHECK(memory.find(id(2)) == Spans{"other"});
  CHECK(memory.find(id(2)) == Spans{"other"});  // still there
}

TEST_CASE("span memory: an unknown trace has none, also when nothing was added") {
  SpanMemory memory(10);
  CHECK(memory.find(id(1)).empty());
  memory.add(id(1), "a");
  CHECK(memory.find(id(2)).empty());
  CHECK(memory.find(TraceId{}).empty());
}

TEST_CASE("span memory: full, a new span takes the place of the oldest, of whichever trace") {
  SpanMemory memory(3);
  memory.add(id(1), "1");
  for (const auto* span : {"2", "3"}) memory.add(id(2), span);
  CHECK(memory.find(id(1)) == Spans{"1"});
  memory.add(id(2), "4");
  CHECK(memory.find(id(1)).empty());
  CHECK(memory.find(id(2)) == Spans{"2", "3", "4"});
}

TEST_CASE("span memory: never holds more than it says, however often it comes round") {
  for (const std::size_t capacity : {1UL, 2UL, 7UL}) {
    SpanMemory memory(capacity);
    for (std::size_t i = 1; i <= 50; ++i) {
      memory.add(id(1), std::to_string(i));
      const auto spans = memory.find(id(1));
      REQUIRE(spans.size() == std::min(i, capacity));
      for (std::size_t k = 0; k < spans.size(); ++k) CHECK(spans[k] == std::to_string(i - spans.size() + 1 + k));
    }
  }
}

TEST_CASE("span memory: 0 remembers nothing") {
  SpanMemory memory(0);
  memory.add(id(1), "a");
  CHECK(memory.find(id(1)).empty());
}

TEST_CASE("span memory: many threads may add and look at the same time") {
  SpanMemory memory(1000);
  std::atomic<bool> stop = false;
  {
    const std::jthread reader([&] {
      while (!stop) CHECK(memory.find(id(1)).size() <= 300);
    });
    {
      std::vector<std::jthread> writers;
      for (std::uint8_t trace = 1; trace <= 3; ++trace) {
        writers.emplace_back([&memory, trace] {
          for (int i = 0; i < 300; ++i) memory.add(id(trace), std::to_string(i));
        });
      }
    }
    stop = true;
  }
  for (std::uint8_t trace = 1; trace <= 3; ++trace) {
    const auto spans = memory.find(id(trace));
    REQUIRE(spans.size() == 300);
    for (std::size_t i = 0; i < spans.size(); ++i) REQUIRE(spans[i] == std::to_string(i));
  }
}

}  // namespace
}  // namespace dice

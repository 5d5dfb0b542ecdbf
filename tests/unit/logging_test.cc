#include "common/telemetry/logging.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <rapidjson/document.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <ctime>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace dice {
namespace {

using namespace std::string_literals;
using rapidjson::Document;

const TraceContext& a_trace() {
  static const auto trace = *parse_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
  return trace;
}

/// A sink that writes to memory.
class Memory {
 public:
  Memory() : descriptor_(memfd_create("log", MFD_CLOEXEC)) { sink_.emplace(descriptor_); }
  ~Memory() {
    sink_.reset();
    close(descriptor_);
  }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  Logger logger(LogLevel level = LogLevel::debug, TraceMemory* kept = nullptr) {
    return {*sink_, "dice-roller", level, kept};
  }
  void end() { sink_.reset(); }

  std::string text() {
    if (sink_) sink_->flush();
    std::string all(static_cast<std::size_t>(lseek(descriptor_, 0, SEEK_END)), '\0');
    CHECK(pread(descriptor_, all.data(), all.size(), 0) == static_cast<ssize_t>(all.size()));
    return all;
  }

 private:
  int descriptor_;
  std::optional<LogSink> sink_;
};

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < text.size();) {
    const auto end = text.find('\n', at);
    REQUIRE(end != std::string::npos);  // the last line is complete, too
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

/// Parses a line; fails the test unless it is one JSON object in UTF-8 without duplicate names.
std::unique_ptr<Document> record(const std::string& line) {
  auto document = std::make_unique<Document>();
  document->Parse<rapidjson::kParseValidateEncodingFlag>(line.data(), line.size());
  REQUIRE_FALSE(document->HasParseError());
  REQUIRE(document->IsObject());
  for (auto one = document->MemberBegin(); one != document->MemberEnd(); ++one) {
    for (auto other = one + 1; other != document->MemberEnd(); ++other) REQUIRE(one->name != other->name);
  }
  return document;
}

std::unique_ptr<Document> only_record(Memory& memory) {
  const auto lines = lines_of(memory.text());
  REQUIRE(lines.size() == 1);
  return record(lines[0]);
}

std::vector<std::string> names_of(const Document& document) {
  std::vector<std::string> names;
  for (const auto& member : document.GetObject()) names.emplace_back(member.name.GetString());
  return names;
}

std::string text_of(const Document& document, const char* name) {
  REQUIRE(document.HasMember(name));
  REQUIRE(document[name].IsString());
  return {document[name].GetString(), document[name].GetStringLength()};
}

TEST_CASE("logging: a record is one line of JSON with the contract's fields first, then the event's") {
  Memory memory;
  const std::vector<std::int64_t> rolls = {4, 2, 6};
  memory.logger().log(LogLevel::info, "Async roll batch completed", &a_trace(),
                      {{"die_type", "fair"},
                       {"times", std::int64_t{3}},
                       {"rolls", std::span<const std::int64_t>(rolls)},
                       {"duration", 0.25},
                       {"partial", false}});
  const auto document = only_record(memory);
  CHECK(names_of(*document) == std::vector<std::string>{"timestamp", "level", "message", "logger", "service",
                                                        "trace_id", "span_id", "die_type", "times", "rolls", "duration",
                                                        "partial"});
  CHECK(text_of(*document, "level") == "INFO");
  CHECK(text_of(*document, "message") == "Async roll batch completed");
  CHECK(text_of(*document, "logger") == "service");
  CHECK(text_of(*document, "service") == "dice-roller");
  CHECK(text_of(*document, "die_type") == "fair");
  CHECK((*document)["times"].GetInt() == 3);
  CHECK((*document)["duration"].GetDouble() == 0.25);
  CHECK((*document)["partial"].IsFalse());
  REQUIRE((*document)["rolls"].Size() == 3);
  CHECK((*document)["rolls"][1].GetInt() == 2);
}

TEST_CASE("logging: trace and span ids are present only if there is a span") {
  Memory memory;
  const auto log = memory.logger();
  const TraceContext none;
  log.log(LogLevel::info, "with", &a_trace());
  log.log(LogLevel::info, "null", nullptr);
  log.log(LogLevel::info, "invalid", &none);
  const auto lines = lines_of(memory.text());
  REQUIRE(lines.size() == 3);
  CHECK(text_of(*record(lines[0]), "trace_id") == "0af7651916cd43dd8448eb211c80319c");
  CHECK(text_of(*record(lines[0]), "span_id") == "b7ad6b7169203331");
  for (const auto& line : {lines[1], lines[2]}) {
    CHECK_FALSE(record(line)->HasMember("trace_id"));
    CHECK_FALSE(record(line)->HasMember("span_id"));
  }
}

TEST_CASE("logging: timestamps are the time of the call, in RFC 3339, UTC, with microseconds") {
  using std::chrono::system_clock;
  Memory memory;
  const auto before = std::chrono::floor<std::chrono::microseconds>(system_clock::now());
  memory.logger().log(LogLevel::info, "now", nullptr);
  const auto after = system_clock::now();
  const auto text = text_of(*only_record(memory), "timestamp");
  auto shape = text;
  for (auto& c : shape) c = c >= '0' && c <= '9' ? '9' : c;
  REQUIRE(shape == "9999-99-99T99:99:99.999999Z");
  const auto number = [&text](std::size_t at, std::size_t length) { return std::stoi(text.substr(at, length)); };
  std::tm utc{};
  utc.tm_year = number(0, 4) - 1900;
  utc.tm_mon = number(5, 2) - 1;
  utc.tm_mday = number(8, 2);
  utc.tm_hour = number(11, 2);
  utc.tm_min = number(14, 2);
  utc.tm_sec = number(17, 2);
  const auto logged = system_clock::from_time_t(timegm(&utc)) + std::chrono::microseconds(number(20, 6));
  CHECK(logged >= before);
  CHECK(logged <= after);
}

TEST_CASE("logging: records below the level are not written") {
  struct {
    const char* name;
    std::vector<std::string> written;
  } const cases[] = {{"debug", {"DEBUG", "INFO", "WARN", "ERROR"}},
                     {"info", {"INFO", "WARN", "ERROR"}},
                     {"warn", {"WARN", "ERROR"}},
                     {"error", {"ERROR"}}};
  for (const auto& [name, written] : cases) {
    Memory memory;
    const auto log = memory.logger(parse_log_level(name));
    for (const auto level : {LogLevel::debug, LogLevel::info, LogLevel::warn, LogLevel::error}) {
      log.log(level, "m", nullptr);
    }
    std::vector<std::string> levels;
    for (const auto& line : lines_of(memory.text())) levels.push_back(text_of(*record(line), "level"));
    CHECK(levels == written);
  }
}

TEST_CASE("logging: lines with a trace are kept in memory as written") {
  Memory memory;
  TraceMemory kept({.bytes = 10'000, .trace_bytes = 10'000});
  {
    const auto log = memory.logger(LogLevel::info, &kept);
    log.log(LogLevel::info, "a", &a_trace(), {{"x", std::int64_t{1}}});
    log.log(LogLevel::debug, "below the level", &a_trace());
    log.log(LogLevel::info, "without a trace", nullptr);
    log.named("http").log(LogLevel::warn, "b\n", &a_trace());
  }
  std::vector<std::string> lines;
  for (const auto& line : kept.find(a_trace().trace_id)) lines.push_back(*line);
  auto all = lines_of(memory.text());
  REQUIRE(all.size() == 3);
  all.erase(all.begin() + 1);
  CHECK(lines == all);
}

TEST_CASE("logging: a named logger writes its name, to the same sink") {
  Memory memory;
  memory.logger().named("http").log(LogLevel::info, "Request", nullptr);
  const auto document = only_record(memory);
  CHECK(text_of(*document, "logger") == "http");
  CHECK(text_of(*document, "service") == "dice-roller");
}

TEST_CASE("logging: values are escaped, and every character is preserved") {
  const std::string values[] = {
      "a\nb\r\nc",
      "\"}\n{\"level\":\"ERROR\",\"message\":\"forged\"}",
      "\",\"trace_id\":\"00000000000000000000000000000001",
      "\\",
      "\\\"",
      "\\u0022,\\n",
      "nul\0inside"s,
      "\0"s,
      "\x01\x1B[31m\x7F",
      "\xE2\x80\xA8 line separator \xE2\x80\xA9 \xC2\x85",
      "\xF0\x9F\x8E\xB2 \xED\x9F\xBF",
      "",
      std::string(1 << 20, 'x'),
      std::string(1 << 20, '\n'),
  };
  for (const auto& value : values) {
    Memory memory;
    memory.logger().log(LogLevel::warn, "m", &a_trace(), {{"path", value}, {"after", true}});
    const auto document = only_record(memory);
    CHECK(names_of(*document) == std::vector<std::string>{"timestamp", "level", "message", "logger", "service",
                                                          "trace_id", "span_id", "path", "after"});
    CHECK((text_of(*document, "path") == value));
    CHECK(text_of(*document, "trace_id") == to_hex(a_trace().trace_id));
  }
}

TEST_CASE("logging: bytes that are not UTF-8 become U+FFFD, and the line stays JSON") {
  const std::pair<std::string, std::string> cases[] = {
      {"a\xFFz", "a\xEF\xBF\xBDz"},
      {"\xC0\xAF", "\xEF\xBF\xBD\xEF\xBF\xBD"},
      {"\xE2\x80", "\xEF\xBF\xBD\xEF\xBF\xBD"},
      {"\xC3\"}", "\xEF\xBF\xBD\"}"},
      {"\xC3\xA9\x80", "\xC3\xA9\xEF\xBF\xBD"},
  };
  for (const auto& [value, expected] : cases) {
    Memory memory;
    memory.logger().log(LogLevel::info, "m", nullptr, {{"path", value}});
    CHECK(text_of(*only_record(memory), "path") == expected);
  }
}

TEST_CASE("logging: numbers that JSON cannot represent do not break the line") {
  for (const double value : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity(),
                             -std::numeric_limits<double>::infinity()}) {
    Memory memory;
    memory.logger().log(LogLevel::info, "m", nullptr, {{"duration", value}, {"after", true}});
    CHECK((*only_record(memory))["after"].IsTrue());
  }
}

TEST_CASE("logging: numbers are preserved") {
  Memory memory;
  memory.logger().log(LogLevel::info, "m", nullptr,
                      {{"least", std::numeric_limits<std::int64_t>::min()},
                       {"most", std::numeric_limits<std::int64_t>::max()},
                       {"small", 1e-9},
                       {"large", 1e300},
                       {"whole", 2.0}});
  const auto document = only_record(memory);
  CHECK((*document)["least"].GetInt64() == std::numeric_limits<std::int64_t>::min());
  CHECK((*document)["most"].GetInt64() == std::numeric_limits<std::int64_t>::max());
  CHECK((*document)["small"].GetDouble() == 1e-9);
  CHECK((*document)["large"].GetDouble() == 1e300);
  CHECK((*document)["whole"].GetDouble() == 2);
}

TEST_CASE("logging: lines of many threads stay intact, and each thread's stay in order") {
  constexpr int kThreads = 4;
  constexpr int kLines = 500;
  Memory memory;
  const auto log = memory.logger();
  {
    std::vector<std::jthread> threads;
    for (int thread = 0; thread < kThreads; ++thread) {
      threads.emplace_back([&, thread] {
        const std::string padding(static_cast<std::size_t>(thread) * 100, '\n');
        for (int line = 0; line < kLines; ++line) {
          log.log(LogLevel::info, "m", nullptr,
                  {{"thread", std::int64_t{thread}}, {"line", std::int64_t{line}}, {"padding", padding}});
        }
      });
    }
  }
  std::vector<int> next(kThreads);
  for (const auto& line : lines_of(memory.text())) {
    const auto document = record(line);
    CHECK((*document)["line"].GetInt() == next[(*document)["thread"].GetUint()]++);
  }
  CHECK(next == std::vector<int>(kThreads, kLines));
}

TEST_CASE("logging: the destructor writes the buffered lines") {
  Memory memory;
  const auto log = memory.logger();
  for (int i = 0; i < 1000; ++i) log.log(LogLevel::info, "m", nullptr);
  memory.end();
  CHECK(lines_of(memory.text()).size() == 1000);
}

TEST_CASE("logging: a reader that pauses delays nobody, and a slow one loses no line") {
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  constexpr std::size_t kSize = 1 << 20;
  const std::string line = std::string(kSize - 1, 'x') + "\n";
  std::string received;
  {
    LogSink sink(ends[1]);
    for (int i = 0; i < 6; ++i) sink.write(line);  // not read yet: a pipe buffers 64 KiB
    std::jthread writer([&] {
      for (int i = 0; i < 10; ++i) sink.write(line);  // more than the buffer
    });
    std::string part(kSize, '\0');
    while (received.size() < 16 * kSize) {
      const auto count = read(ends[0], part.data(), part.size());
      REQUIRE(count > 0);
      received.append(part, 0, static_cast<std::size_t>(count));
    }
  }
  close(ends[0]);
  close(ends[1]);
  std::string expected;
  for (int i = 0; i < 16; ++i) expected += line;
  CHECK((received == expected));
}

TEST_CASE(
    "logging: a reader that reads nothing does not delay callers for long; dropped lines are counted, and later ones "
    "are "
    "not") {
  using std::chrono::steady_clock;
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  constexpr std::size_t kSize = 1 << 20;
  const std::string line = std::string(kSize - 1, 'x') + "\n";
  std::size_t received = 0;
  std::uint64_t written = 0;
  std::uint64_t lost = 0;
  {
    LogSink sink(ends[1]);
    auto start = steady_clock::now();
    std::thread([&] {
      LogSink::never_wait_on_this_thread();
      for (int i = 0; i < 40; ++i) sink.write(line);
    }).join();
    CHECK(steady_clock::now() - start < std::chrono::seconds(1));
    CHECK(sink.dropped() > 0);
    start = steady_clock::now();
    for (int i = 0; i < 20; ++i) sink.write(line);  // waits a second for the reader, once
    CHECK(steady_clock::now() - start < std::chrono::seconds(10));
    lost = sink.dropped();
    CHECK(lost > 20);
    written = 60;
    std::jthread reader([&] {
      std::string part(kSize, '\0');
      for (ssize_t count = 1; count > 0; received += static_cast<std::size_t>(count)) {
        count = read(ends[0], part.data(), part.size());
        if (count <= 0) break;
      }
    });
    CHECK(sink.flush());
    sink.write(line);
    ++written;
    CHECK(sink.flush());
    CHECK(sink.dropped() == lost);
    close(ends[1]);
  }
  close(ends[0]);
  CHECK(received == (written - lost) * kSize);
}

TEST_CASE("logging: the destructor does not wait for a reader that reads nothing") {
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  const auto start = std::chrono::steady_clock::now();
  {
    LogSink sink(ends[1]);
    sink.write(std::string(1 << 20, 'x') + "\n");
  }
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(10));
  close(ends[0]);
  close(ends[1]);
}

TEST_CASE("logging: lines that find the disk full are counted, and one that was cut does not spoil the next") {
  const std::string line = "{\"message\":1}\n";
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_FSIZE, &before) == 0);
  const auto allow = [&before](std::size_t bytes) {
    const rlimit limit{bytes, before.rlim_max};
    CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
  };
  (void)std::signal(SIGXFSZ, SIG_IGN);
  for (std::size_t room = line.size(); room <= 2 * line.size(); ++room) {
    CAPTURE(room);
    const int descriptor = memfd_create("log", MFD_CLOEXEC);
    {
      LogSink sink(descriptor);
      allow(room);
      for (int group = 0; group < 2; ++group) {
        for (int i = 0; i < 3; ++i) sink.write(line);
        CHECK(sink.flush());
      }
      CHECK(sink.dropped() == (room + 1 < 2 * line.size() ? 5 : 4));
      allow(before.rlim_cur);
      sink.write("{}\n");
    }
    auto expected = (line + line).substr(0, room);
    if (!expected.ends_with('\n')) expected += '\n';
    expected += "{}\n";
    std::string text(2 * expected.size(), '\0');
    text.resize(static_cast<std::size_t>(pread(descriptor, text.data(), text.size(), 0)));
    CHECK(text == expected);
    close(descriptor);
  }
}

TEST_CASE("logging: a non-blocking pipe loses no line, either") {
  int ends[2];
  REQUIRE(pipe2(ends, O_NONBLOCK) == 0);
  constexpr std::size_t kSize = 1 << 20;
  std::string received;
  {
    LogSink sink(ends[1]);
    sink.write(std::string(kSize - 1, 'x') + "\n");
    sink.write("last\n");
    std::jthread flusher([&] {
      sink.flush();
      close(ends[1]);
    });
    std::string part(kSize, '\0');
    for (;;) {
      pollfd waiting{ends[0], POLLIN, 0};
      if (poll(&waiting, 1, 30'000) != 1) break;
      const auto count = read(ends[0], part.data(), part.size());
      if (count <= 0) break;
      received.append(part, 0, static_cast<std::size_t>(count));
    }
  }
  close(ends[0]);
  CHECK(received.size() == kSize + 5);
  CHECK(received.ends_with("x\nlast\n"));
}

}  // namespace
}  // namespace dice

#include "common/telemetry/logging.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <ctime>
#include <memory>
#include <utility>

#include "common/base/json.h"
#include "common/base/utf8.h"

namespace dice {
namespace {

constexpr std::size_t kMaxBufferedBytes = 8UL << 20U;
constexpr std::size_t kFullGroupBytes = 64UL << 10U;
constexpr std::chrono::milliseconds kMaxDelay{2};
/// A pipe that is ready accepts at least this much without blocking (POSIX: PIPE_BUF).
constexpr std::size_t kWriteBytes = 4096;
constexpr std::chrono::milliseconds kPoll{100};
/// A reader that has read nothing for this long is considered dead.
constexpr std::chrono::seconds kReaderTimeout{1};

thread_local bool may_wait = true;

/// RFC 3339, UTC, microseconds.
std::string_view timestamp(char (&buffer)[32]) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  auto micros = std::chrono::duration_cast<std::chrono::microseconds>(now).count();
  thread_local std::time_t last = -1;
  thread_local char text[32];
  thread_local std::size_t length = 0;
  const std::time_t seconds = micros / 1'000'000;
  if (seconds != last) {
    std::tm utc{};
    gmtime_r(&seconds, &utc);
    length = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S.000000Z", &utc);
    last = seconds;
  }
  std::copy_n(text, length, buffer);
  for (auto* digit = buffer + length - 2; *digit != '.'; --digit, micros /= 10) {
    *digit = static_cast<char>('0' + micros % 10);
  }
  return {buffer, length};
}

}  // namespace

LogLevel parse_log_level(std::string_view text) {
  if (text == "debug") return LogLevel::debug;
  if (text == "warn") return LogLevel::warn;
  if (text == "error") return LogLevel::error;
  return LogLevel::info;
}

LogSink::LogSink(int descriptor) : descriptor_(descriptor), thread_([this] { run(); }) {}

LogSink::~LogSink() {
  {
    const Lock lock(mutex_);
    stopping_ = true;
    ending_ = true;
    wake_.notify_one();
  }
  thread_.join();
}

void LogSink::never_wait_on_this_thread() { may_wait = false; }

std::string_view LogSink::write_all(std::string_view bytes) {
  const auto start = std::chrono::steady_clock::now();
  while (!bytes.empty()) {
    // Poll first, so that a reader that reads nothing cannot block this thread while it is stopping.
    pollfd ready{descriptor_, POLLOUT, 0};
    if (::poll(&ready, 1, static_cast<int>(kPoll.count())) == 0) {
      const auto waited = std::chrono::steady_clock::now() - std::max(start, last_taken_.load());
      if (ending_ && waited >= kReaderTimeout) break;
      continue;
    }
    const auto written = ::write(descriptor_, bytes.data(), std::min(bytes.size(), kWriteBytes));
    if (written < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (written <= 0) break;  // the disk is full, or the reader has closed
    bytes.remove_prefix(static_cast<std::size_t>(written));
    last_taken_ = std::chrono::steady_clock::now();
  }
  return bytes;
}

void LogSink::write(std::string_view line) {
  const Lock lock(mutex_);
  while (waiting_.size() > kMaxBufferedBytes) {
    const auto now = std::chrono::steady_clock::now();
    if (!may_wait || now - last_taken_.load() >= kReaderTimeout) {
      ++dropped_;
      return;
    }
    (void)drained_.wait_until(mutex_, now + kPoll);
  }
  const bool first = waiting_.empty();
  const bool group_full = waiting_.size() < kFullGroupBytes && waiting_.size() + line.size() >= kFullGroupBytes;
  waiting_ += line;
  if (first || group_full) wake_.notify_one();
}

bool LogSink::flush(Seconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + to_steady(limit);
  const Lock lock(mutex_);
  flushing_ = true;
  wake_.notify_one();
  bool in_time = true;
  while (in_time && (writing_ || !waiting_.empty())) in_time = drained_.wait_until(mutex_, deadline);
  flushing_ = false;
  return in_time;
}

void LogSink::run() {
  std::string lines;
  bool cut = false;  // whether the last line lacks its end, so that the next one needs a line break before it
  for (;;) {
    {
      const Lock lock(mutex_);
      writing_ = false;
      drained_.notify_all();
      while (waiting_.empty() && !stopping_) wake_.wait(mutex_);
      if (waiting_.empty()) return;
      const auto deadline = std::chrono::steady_clock::now() + kMaxDelay;
      while (waiting_.size() < kFullGroupBytes && !stopping_ && !flushing_ && wake_.wait_until(mutex_, deadline)) {
      }
      lines.clear();
      std::swap(lines, waiting_);
      writing_ = true;
    }
    if (cut) lines.insert(0, 1, '\n');
    const auto lost = write_all(lines);
    // A line break that comes first ends a line that is counted already, or complete. There are no empty lines.
    const bool only_ends = lost.starts_with('\n');
    dropped_ += static_cast<std::uint64_t>(std::ranges::count(lost, '\n')) - (only_ends ? 1 : 0);
    cut = only_ends || (!lost.empty() && lost.size() < lines.size() && lines[lines.size() - lost.size() - 1] != '\n');
  }
}

Logger Logger::named(std::string name) const {
  auto copy = *this;
  copy.name_ = std::move(name);
  return copy;
}

void Logger::log(LogLevel level, std::string_view message, const TraceContext* trace,
                 std::span<const Field> fields) const {
  if (!enabled(level)) return;
  thread_local rapidjson::StringBuffer buffer;
  buffer.Clear();
  JsonWriter writer(buffer);
  char time[32];
  writer.StartObject();
  write_member(writer, "timestamp", timestamp(time));
  write_member(writer, "level", name_of(level));
  write_member(writer, "message", message);
  write_member(writer, "logger", name_);
  write_member(writer, "service", service_);
  const bool traced = trace != nullptr && trace->valid();
  if (traced) {
    write_member(writer, "trace_id", to_hex(trace->trace_id));
    write_member(writer, "span_id", to_hex(trace->span_id));
  }
  for (const auto& field : fields) {
    std::visit(
        [&](const auto& value) {
          if constexpr (std::is_same_v<std::decay_t<decltype(value)>, std::string_view>) {
            if (!is_utf8(value)) return write_member(writer, field.name, to_utf8(value));
          }
          write_member(writer, field.name, value);
        },
        field.value);
  }
  writer.EndObject();
  if (traced && memory_ != nullptr && memory_->enabled()) {
    memory_->add(trace->trace_id, std::make_shared<const std::string>(buffer.GetString(), buffer.GetSize()));
  }
  buffer.Put('\n');
  sink_->write({buffer.GetString(), buffer.GetSize()});
}

}  // namespace dice

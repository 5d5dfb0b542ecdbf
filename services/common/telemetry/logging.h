// Structured logging: one JSON object per line.
#pragma once

#include <atomic>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <variant>

#include "common/concurrency/clock.h"
#include "common/concurrency/mutex.h"
#include "common/telemetry/trace_context.h"
#include "common/telemetry/trace_memory.h"
#include "contract/log_message.h"

namespace dice {

LogLevel parse_log_level(std::string_view text);

struct LoggingOptions {
  LogLevel level = LogLevel::info;
  /// Limits of the lines kept in memory.
  TraceMemory::Limits memory{.bytes = 8UL << 20U, .trace_bytes = 256UL << 10U};
};

using FieldValue = std::variant<bool, std::int64_t, double, std::string_view, std::span<const std::int64_t>>;

struct Field {
  std::string_view name;
  FieldValue value;
};

/// Writes lines to a file descriptor on a separate thread and buffers up to 8 MiB, so that a slow reader does not delay
/// callers. If the buffer is full, callers wait; if the reader has read nothing for one second, lines are dropped and
/// counted until it reads again. Lines that cannot be written, because the disk is full, are dropped and counted, too.
/// Lines are written in groups, each line at most 2 ms after `write`, because waking the thread for every line is
/// expensive. Thread-safe. The destructor writes the buffered lines, unless the reader reads nothing for one second.
class LogSink {
 public:
  /// Does not own `descriptor`.
  explicit LogSink(int descriptor);
  ~LogSink();
  LogSink(const LogSink&) = delete;
  LogSink& operator=(const LogSink&) = delete;

  void write(std::string_view line);
  /// For threads that must not block: from now on, if the buffer is full, lines of the calling thread are dropped
  /// immediately.
  static void never_wait_on_this_thread();
  /// Waits until all earlier lines have been written to the descriptor; false on timeout.
  bool flush(Seconds limit = Seconds(10));
  /// Number of lines dropped.
  std::uint64_t dropped() const { return dropped_; }

 private:
  void run();
  /// Returns what the descriptor did not take.
  std::string_view write_all(std::string_view bytes);

  const int descriptor_;
  std::atomic<std::uint64_t> dropped_ = 0;
  /// Time of the last successful write.
  std::atomic<TimePoint> last_taken_ = std::chrono::steady_clock::now();
  std::atomic<bool> ending_ = false;
  Mutex mutex_;
  Condition wake_;
  Condition drained_;
  std::string waiting_ GUARDED_BY(mutex_);
  bool writing_ GUARDED_BY(mutex_) = false;
  bool flushing_ GUARDED_BY(mutex_) = false;
  bool stopping_ GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

/// Writes log lines. Thread-safe. Copies write to the same sink and memory, which must outlive them.
class Logger {
 public:
  /// `memory` keeps the lines that have a trace id, without the line break; it may be null.
  Logger(LogSink& sink, std::string service, LogLevel level, TraceMemory* memory = nullptr)
      : sink_(&sink), memory_(memory), service_(std::move(service)), level_(level) {}

  /// A copy with another value of the field `logger`, such as "http" or "tracing".
  Logger named(std::string name) const;

  LogSink& sink() const { return *sink_; }
  bool enabled(LogLevel level) const { return level >= level_; }

  /// Logs at the level that the contract gives the message.
  void log(LogMessage message, const TraceContext* trace, std::initializer_list<Field> fields = {}) const {
    log(level_of(message), text_of(message), trace, fields);
  }
  /// `trace` may be null. Field names must be constants; values may contain any bytes.
  void log(LogLevel level, std::string_view message, const TraceContext* trace,
           std::initializer_list<Field> fields = {}) const {
    log(level, message, trace, std::span<const Field>(fields.begin(), fields.size()));
  }
  void log(LogLevel level, std::string_view message, const TraceContext* trace, std::span<const Field> fields) const;

 private:
  LogSink* sink_;
  TraceMemory* memory_;
  std::string service_;
  LogLevel level_;
  std::string name_ = "service";
};

}  // namespace dice

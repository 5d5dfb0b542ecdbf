// One JSON object a line.
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
#include "contract/log_message.h"

namespace dice {

LogLevel parse_log_level(std::string_view text);

using FieldValue = std::variant<bool, std::int64_t, double, std::string_view, std::span<const std::int64_t>>;

struct Field {
  std::string_view name;
  FieldValue value;
};

/// Where lines go: a file descriptor, written by one thread of its own, so that a slow reader holds nobody up until
/// 8 MiB wait for it. Then callers wait for it to read on; when it has taken nothing for a second, lines are dropped
/// and counted until it does. A line is written at most 2 ms after it came, together with those that came meanwhile:
/// waking the thread for each costs more than the line. Thread-safe. The destructor writes what waits, but gives up on
/// a reader that takes nothing for a second.
class LogSink {
 public:
  /// Does not own `descriptor`.
  explicit LogSink(int descriptor);
  ~LogSink();
  LogSink(const LogSink&) = delete;
  LogSink& operator=(const LogSink&) = delete;

  void write(std::string_view line);
  /// For threads that must not wait: from now on a line of the calling thread that finds no room is dropped at once.
  static void never_wait_on_this_thread();
  /// Returns when all that was written before has reached the descriptor; false when it has not in `limit`.
  bool flush(Seconds limit = Seconds(10));
  /// Lines that found no room.
  std::uint64_t dropped() const { return dropped_; }

 private:
  void run();
  void write_all(std::string_view bytes);

  const int descriptor_;
  std::atomic<std::uint64_t> dropped_ = 0;
  /// When the reader last took something.
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

/// Thread-safe; a copy writes to the same sink, which it does not own.
class Logger {
 public:
  Logger(LogSink& sink, std::string service, LogLevel level)
      : sink_(&sink), service_(std::move(service)), level_(level) {}

  /// The same, under another `logger` name ("http", "tracing").
  Logger named(std::string name) const;

  LogSink& sink() const { return *sink_; }
  bool enabled(LogLevel level) const { return level >= level_; }

  /// At the message's own level.
  void log(LogMessage message, const TraceContext* trace, std::initializer_list<Field> fields = {}) const {
    log(level_of(message), text_of(message), trace, fields);
  }
  /// `trace` may be null. Field names are constants of the code; values may be any bytes.
  void log(LogLevel level, std::string_view message, const TraceContext* trace,
           std::initializer_list<Field> fields = {}) const {
    log(level, message, trace, std::span<const Field>(fields.begin(), fields.size()));
  }
  void log(LogLevel level, std::string_view message, const TraceContext* trace, std::span<const Field> fields) const;

 private:
  LogSink* sink_;
  std::string service_;
  LogLevel level_;
  std::string name_ = "service";
};

}  // namespace dice

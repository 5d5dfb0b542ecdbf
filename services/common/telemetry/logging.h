// One JSON object a line.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <variant>

#include "common/concurrency/mutex.h"
#include "common/telemetry/trace_context.h"

namespace dice {

enum class LogLevel { debug, info, warn, error };

LogLevel parse_log_level(std::string_view text);

using FieldValue = std::variant<bool, std::int64_t, double, std::string_view, std::span<const int>>;

struct Field {
  std::string_view name;
  FieldValue value;
};

/// Where lines go: a file descriptor, written by one thread of its own, so that a slow reader holds nobody up until
/// 8 MiB wait; then callers wait, since a line is never dropped. A line is written at most 2 ms after it came, together
/// with those that came meanwhile: waking the thread for each costs more than the line. Thread-safe. The destructor
/// writes what waits.
class LogSink {
 public:
  /// Does not own `descriptor`.
  explicit LogSink(int descriptor);
  ~LogSink();
  LogSink(const LogSink&) = delete;
  LogSink& operator=(const LogSink&) = delete;

  void write(std::string_view line);
  /// Returns when all that was written before has reached the descriptor.
  void flush();

 private:
  void run();

  const int descriptor_;
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

  bool enabled(LogLevel level) const { return level >= level_; }

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

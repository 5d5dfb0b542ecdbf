// Every message that the services log, with its level. The table in docs/telemetry.md is generated from it.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace dice {

enum class LogLevel { debug, info, warn, error };

/// "DEBUG", "INFO", …, as written in log lines.
std::string_view name_of(LogLevel level);

enum class LogMessage {
  listening,
  request,
  connections_limited,
  connection_aborted,
  handler_threw,
  fault_set,
  export_delayed,
  export_resumed,
  export_failed,
  spans_not_flushed,
  setting_ignored,
  stopping,
  stopped_in_flight,
  stopped,
  dice_reloaded,
  dice_not_reloaded,
  batch_started,
  roll_completed,
  roll_failed,
  roll_cancelled,
  batch_completed,
  batch_cancelled,
  batch_failed,
  breaker_opened,
  breaker_closed,
  die_not_understood,
  dice_list_fetched,
  dice_list_not_fetched,
};

struct LogMessageRow {
  LogMessage message;
  std::string_view text;
  LogLevel level;
  /// The service that logs it; empty = every service.
  std::string_view service;
  /// For docs/telemetry.md, in Markdown: its fields, and when it is logged.
  std::string_view fields;
};

std::span<const LogMessageRow> log_messages();
std::string_view text_of(LogMessage message);
LogLevel level_of(LogMessage message);

}  // namespace dice

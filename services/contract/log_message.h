// Every message that the services log, with its level. docs/telemetry.md has the table made of it.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace dice {

enum class LogLevel { debug, info, warn, error };

/// "DEBUG", "INFO", …, as on the wire.
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
  /// Whose it is; empty = every service's.
  std::string_view service;
  /// For docs/telemetry.md, in Markdown: the fields, and when it is logged.
  std::string_view fields;
};

std::span<const LogMessageRow> log_messages();
std::string_view text_of(LogMessage message);
LogLevel level_of(LogMessage message);

}  // namespace dice

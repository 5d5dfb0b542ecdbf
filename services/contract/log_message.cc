#include "contract/log_message.h"

#include <array>

#include "contract/names.h"
#include "contract/table.h"

namespace dice {
namespace {

using enum LogLevel;
using enum LogMessage;

constexpr std::array kRows = {
    LogMessageRow{listening, "Listening", info, "", "`port`, `metrics_port`, `version`"},
    LogMessageRow{
        request, "Request", info, "",
        "`method`, `path`, `route`, `status`, `duration` (seconds); on an error `error_code`; when a fault was "
        "injected `fault.injected`. DEBUG for probes and scrapes."},
    LogMessageRow{connections_limited, "Connection limit reached", warn, "",
                  "`reason`, `connections`. New connections wait, because the limit on connections or descriptors is "
                  "reached. At most every 10 s."},
    LogMessageRow{connection_aborted, "Connection aborted", error, "",
                  "`error`. An internal error, such as a lack of memory; the connection is reset."},
    LogMessageRow{handler_threw, "Handler threw", error, "",
                  "`error`. A bug in the program: the answer is 500 `internal`."},
    LogMessageRow{fault_set, "Fault injection set", warn, "",
                  "`delay_seconds`, `error_rate`, `unavailable`; when it is limited `duration_seconds`"},
    LogMessageRow{export_delayed, "Span export delayed", warn, "",
                  "`reason`. The collector is not accepting spans; they are kept and retried."},
    LogMessageRow{export_resumed, "Span export resumed", info, "", "none"},
    LogMessageRow{export_failed, "Span export failed", warn, "",
                  "`spans`: the number dropped since the last such line, `reason`. At most every 10 s."},
    LogMessageRow{
        spans_not_flushed, "Spans not flushed", warn, "",
        "`spans`: the number that could not be exported within `SHUTDOWN_FLUSH_SECONDS` and are dropped; `reason`: "
        "the last failure"},
    LogMessageRow{setting_ignored, "Setting ignored", warn, "",
                  "`variable`, `value`, `used`: an invalid `OTEL_*` variable, and what is used instead"},
    LogMessageRow{stopping, "Stopping", info, "", "`in_flight`: requests still in progress"},
    LogMessageRow{stopped_in_flight, "Stopped with requests in flight", warn, "",
                  "`in_flight`: requests that did not end within `SHUTDOWN_GRACE_SECONDS` and were cancelled"},
    LogMessageRow{stopped, "Stopped", info, "",
                  "`spans_exported`, `spans_dropped`: since the start. Spans not exported within "
                  "`SHUTDOWN_FLUSH_SECONDS` count as dropped."},
    LogMessageRow{dice_reloaded, "Die specifications reloaded", info, kDieService.name, "`dice`: the number of dice"},
    LogMessageRow{dice_not_reloaded, "Die specifications not reloaded", error, kDieService.name,
                  "`reason`: file, line and what is wrong"},
    LogMessageRow{batch_started, "Async roll batch started", info, kDiceRoller.name,
                  "`die_type`, `times`, `concurrency`, `strategy`"},
    LogMessageRow{roll_completed, "Async roll completed", info, kDiceRoller.name,
                  "`die_type`, `roll_index`, `roll_value`"},
    LogMessageRow{roll_failed, "Async roll failed", warn, kDiceRoller.name, "`die_type`, `roll_index`"},
    LogMessageRow{roll_cancelled, "Async roll cancelled", info, kDiceRoller.name, "`die_type`, `roll_index`"},
    LogMessageRow{batch_completed, "Async roll batch completed", info, kDiceRoller.name,
                  "`die_type`, `times`, `total`, `rolls`, `failed`, `duration` (seconds)"},
    LogMessageRow{batch_cancelled, "Async roll batch cancelled", info, kDiceRoller.name,
                  "`die_type`, `times`, `duration` (seconds). The client disconnected."},
    LogMessageRow{batch_failed, "Async roll batch failed", error, kDiceRoller.name,
                  "`die_type`, `times`, `failed`, `duration` (seconds)"},
    LogMessageRow{breaker_opened, "Circuit breaker opened", warn, kDiceRoller.name, "none"},
    LogMessageRow{breaker_closed, "Circuit breaker closed", info, kDiceRoller.name, "none"},
    LogMessageRow{die_not_understood, "Invalid answer from die-service", error, kDiceRoller.name, "`reason`"},
    LogMessageRow{dice_list_fetched, "List of dice fetched", info, kFrontend.name,
                  "none. Logged when fetching works again after a failure."},
    LogMessageRow{dice_list_not_fetched, "List of dice not fetched", warn, kFrontend.name,
                  "none. Logged when fetching stops working, not again for each retry."},
};

static_assert(is_indexed_by(kRows, &LogMessageRow::message, dice_list_not_fetched), "kRows is indexed by the message");

}  // namespace

std::string_view name_of(LogLevel level) {
  constexpr std::array<std::string_view, 4> kNames = {"DEBUG", "INFO", "WARN", "ERROR"};
  return kNames[static_cast<std::size_t>(level)];
}

std::span<const LogMessageRow> log_messages() { return kRows; }
std::string_view text_of(LogMessage message) { return kRows[static_cast<std::size_t>(message)].text; }
LogLevel level_of(LogMessage message) { return kRows[static_cast<std::size_t>(message)].level; }

}  // namespace dice

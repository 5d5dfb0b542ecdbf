#include "contract/metric.h"

#include <array>

#include "contract/names.h"
#include "contract/table.h"

namespace dice {
namespace {

using enum Metric;

constexpr std::string_view kCounter = "counter";
constexpr std::string_view kGauge = "gauge";
constexpr std::string_view kHistogram = "histogram";

constexpr std::array kRows = {
    // every service
    MetricRow{
        http_requests, "http_requests_total", kCounter, "error_code,method,route,status", "",
        "Requests answered; error_code is empty on success.",
        "Probes and scrapes are included. `route` is the template, such as `/dice/{identifier}`. `error_code` is one "
        "of [the list](api.md#errors), to distinguish a simulated `roll_failed` from an outage. `method` is `_OTHER` "
        "for invalid requests. A request whose client disconnected has the status 499 and the error code "
        "`client_gone`."},
    MetricRow{http_request_duration, "http_request_duration_seconds", kHistogram, "method,route", "",
              "Time from a request's arrival to the sending of its reply."},
    MetricRow{http_requests_in_progress, "http_requests_in_progress", kGauge, "method,route", "",
              "Requests being answered."},
    MetricRow{build_info, "dice_build_info", kGauge, "commit,version", "", "Build information; always 1."},
    MetricRow{fault_injection_active, "fault_injection_active", kGauge, "", "",
              "1 while a fault is injected on request."},
    MetricRow{spans_exported, "telemetry_spans_exported_total", kCounter, "", "", "Spans exported successfully."},
    MetricRow{spans_dropped, "telemetry_spans_dropped_total", kCounter, "", "",
              "Spans dropped because the collector rejected them or a queue was full."},
    MetricRow{spans_queued, "telemetry_spans_queued", kGauge, "", "", "Spans queued for export or being exported.",
              "Stays 0 when nothing is exported."},
    MetricRow{log_lines_dropped, "telemetry_log_lines_dropped_total", kCounter, "", "",
              "Log lines dropped because standard output was not read or its disk was full.", "8 MiB are buffered."},
    MetricRow{process_cpu, "process_cpu_seconds_total", kCounter, "", "", "User and system CPU time spent."},
    MetricRow{process_resident_memory, "process_resident_memory_bytes", kGauge, "", "", "Resident memory."},
    MetricRow{process_virtual_memory, "process_virtual_memory_bytes", kGauge, "", "", "Virtual memory."},
    MetricRow{process_threads, "process_threads", kGauge, "", "", "Threads of the process."},
    MetricRow{process_open_fds, "process_open_fds", kGauge, "", "", "Open file descriptors."},
    MetricRow{process_max_fds, "process_max_fds", kGauge, "", "", "Maximum number of open file descriptors."},
    MetricRow{process_start_time, "process_start_time_seconds", kGauge, "", "",
              "Start of the process, Unix time; different for each process."},
    // die-service
    MetricRow{die_specifications_requested, "die_specifications_requested_total", kCounter, "identifier",
              kDieService.name, "Requests for a die's specification; unknown identifiers count as _unknown."},
    MetricRow{die_list_requests, "die_list_requests_total", kCounter, "", kDieService.name,
              "Requests for the list of dice."},
    MetricRow{die_specifications_loaded, "die_specifications_loaded", kGauge, "", kDieService.name,
              "Number of dice loaded."},
    MetricRow{die_specifications_error_rate, "die_specifications_error_rate", kGauge, "identifier", kDieService.name,
              "Fraction of a die's rolls that fail on purpose."},
    MetricRow{die_specifications_reload_success, "die_specifications_reload_success", kGauge, "", kDieService.name,
              "1 if the file was last reloaded successfully, 0 if the previous dice were kept."},
    // dice-roller
    MetricRow{dice_rolls, "dice_rolls_total", kCounter, "die_type,mode,result", kDiceRoller.name,
              "Individual rolls, including those of batches.",
              "`mode`: `sync`, `async`. `result`: `success`, `failure`, `cancelled` (stopped early, because the batch "
              "ended or the client disconnected)."},
    MetricRow{dice_roll_values, "dice_roll_values_total", kCounter, "die_type,value", kDiceRoller.name,
              "Rolls that succeeded, by value."},
    MetricRow{async_rolls, "async_rolls_total", kCounter, "die_type,result", kDiceRoller.name,
              "Individual rolls of batches: a batch of 10 adds 10.", "`result`: `success`, `failure`, `cancelled`."},
    MetricRow{async_roll_batches, "async_roll_batches_total", kCounter, "die_type,result", kDiceRoller.name,
              "Batches whose rolls were started.",
              "`result`: `success`, `partial` (best effort, some rolls failed), `failure`, `cancelled` (the client "
              "disconnected)."},
    MetricRow{async_roll_batch_size, "async_roll_batch_size", kHistogram, "", kDiceRoller.name,
              "Number of rolls requested per batch."},
    MetricRow{async_roll_duration, "async_roll_duration_seconds", kHistogram, "", kDiceRoller.name,
              "Time from a batch's start to the end of its last roll.", "The call to die-service is not included."},
    MetricRow{async_roll_work, "async_roll_work_seconds_total", kCounter, "", kDiceRoller.name,
              "Sum of the durations of all individual rolls of batches.",
              "The time that they would have taken one after another."},
    MetricRow{async_rolls_in_progress, "async_rolls_in_progress", kGauge, "", kDiceRoller.name,
              "Individual rolls of batches in progress."},
    MetricRow{
        die_service_requests, "die_service_requests_total", kCounter, "identifier,status", kDiceRoller.name,
        "Calls to die-service by outcome.",
        "`status`: a status such as `200`, or `unavailable`, `timeout`, `invalid`, `cancelled`, `circuit_open`. An "
        "identifier counts as `_unknown` until die-service has answered it once."},
    MetricRow{die_service_request_duration, "die_service_request_duration_seconds", kHistogram, "", kDiceRoller.name,
              "Duration of calls to die-service."},
    MetricRow{roll_admission_in_use, "roll_admission_in_use", kGauge, "", kDiceRoller.name,
              "Rolls that admission control has let in and that have not ended; at most MAX_ROLL_THREADS.",
              "A batch holds as many as it has rolls until it is answered."},
    MetricRow{roll_admission_rejected, "roll_admission_rejected_total", kCounter, "reason", kDiceRoller.name,
              "Roll requests rejected by admission control.", "`reason`: `overloaded`, `rate_limited`."},
    MetricRow{die_service_circuit_breaker_state, "die_service_circuit_breaker_state", kGauge, "", kDiceRoller.name,
              "0 closed, 1 half-open, 2 open.", "It stays 2 after the pause, until the next call."},
    // frontend
    MetricRow{roll_requests, "roll_requests_total", kCounter, "mode", kFrontend.name,
              "Requests for a single roll that were passed to dice-roller.",
              "`mode` is always `sync`; batches count in `async_roll_requests_total`."},
    MetricRow{async_roll_requests, "async_roll_requests_total", kCounter, "batch_size", kFrontend.name,
              "Requests for a batch that were passed to dice-roller, by the number of rolls."},
    // canary
    MetricRow{pipeline_checks, "telemetry_pipeline_checks_total", kCounter, "result", kCanary, "Checks finished.",
              "`result`: `passed`, `failed` (something is broken), `unreachable` (the frontend did not answer)."},
    MetricRow{pipeline_complete, "telemetry_pipeline_complete", kGauge, "signal", kCanary,
              "1 if all telemetry of the last check arrived once and was as expected, else 0.",
              "`signal`: `answers`, `traces`, `logs`, `metrics`, `correlation`, if it is checked."},
    MetricRow{pipeline_delay, "telemetry_pipeline_delay_seconds", kHistogram, "signal", kCanary,
              "Time from the last response until the signal was complete.",
              "One observation per check in which it became complete."},
    MetricRow{
        pipeline_expected, "telemetry_pipeline_expected_total", kCounter, "signal", kCanary,
        "Spans, log lines or counters that had to arrive.",
        "Of `traces`: spans, of `logs`: lines, of `metrics`: counters that had to increase. What cannot be looked "
        "for, because the backend cannot be read, is not counted."},
    MetricRow{pipeline_found, "telemetry_pipeline_found_total", kCounter, "signal", kCanary,
              "Those of them that arrived before the deadline."},
    MetricRow{pipeline_missing, "telemetry_pipeline_missing_total", kCounter, "signal", kCanary,
              "Those of them that did not arrive before the deadline."},
    MetricRow{pipeline_duplicated, "telemetry_pipeline_duplicated_total", kCounter, "signal", kCanary,
              "Spans or log lines that arrived once more."},
    MetricRow{pipeline_wrong, "telemetry_pipeline_wrong_total", kCounter, "signal", kCanary,
              "Spans, log lines or counters that differ from what was expected."},
    MetricRow{pipeline_pending, "telemetry_pipeline_pending", kGauge, "signal", kCanary,
              "Spans, log lines or counters of the check in progress that have not arrived yet.",
              "They count as missing only when the deadline has passed."},
    MetricRow{pipeline_broken, "telemetry_pipeline_broken", kGauge, "cause,signal", kCanary,
              "1 if the last check named this cause, else 0.",
              "`cause`: [the causes](loadgen.md#causes); all are there from the start."},
    MetricRow{pipeline_last_check_timestamp, "telemetry_pipeline_last_check_timestamp_seconds", kGauge, "", kCanary,
              "End of the last check, Unix time."},
};

static_assert(is_indexed_by(kRows, &MetricRow::metric, pipeline_last_check_timestamp),
              "kRows is indexed by the metric");

}  // namespace

std::span<const MetricRow> metrics() { return kRows; }
const MetricRow& describe(Metric metric) { return kRows[static_cast<std::size_t>(metric)]; }

}  // namespace dice

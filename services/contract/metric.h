// Every metric of the services and of the canary. The table in docs/telemetry.md is generated from it; a test compares
// it with /metrics.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace dice {

/// Named after the metrics, without the suffixes for unit and type.
enum class Metric {
  http_requests,
  http_request_duration,
  http_requests_in_progress,
  build_info,
  fault_injection_active,
  spans_exported,
  spans_dropped,
  spans_queued,
  log_lines_dropped,
  process_cpu,
  process_resident_memory,
  process_virtual_memory,
  process_threads,
  process_open_fds,
  process_max_fds,
  process_start_time,
  die_specifications_requested,
  die_list_requests,
  die_specifications_loaded,
  die_specifications_error_rate,
  die_specifications_reload_success,
  dice_rolls,
  dice_roll_values,
  async_rolls,
  async_roll_batches,
  async_roll_batch_size,
  async_roll_duration,
  async_roll_work,
  async_rolls_in_progress,
  die_service_requests,
  die_service_request_duration,
  roll_admission_in_use,
  roll_admission_rejected,
  die_service_circuit_breaker_state,
  roll_requests,
  async_roll_requests,
  pipeline_checks,
  pipeline_complete,
  pipeline_delay,
  pipeline_expected,
  pipeline_found,
  pipeline_missing,
  pipeline_duplicated,
  pipeline_wrong,
  pipeline_pending,
  pipeline_broken,
  pipeline_last_check_timestamp,
};

struct MetricRow {
  Metric metric;
  std::string_view name;
  /// counter, gauge or histogram.
  std::string_view type;
  /// Comma-separated, in alphabetical order.
  std::string_view labels;
  /// The service that has it, or `kCanary`; empty = every service.
  std::string_view service;
  /// The HELP text.
  std::string_view help;
  /// Further details for docs/telemetry.md, in Markdown.
  std::string_view details = {};
};

std::span<const MetricRow> metrics();
const MetricRow& describe(Metric metric);
inline std::string_view name_of(Metric metric) { return describe(metric).name; }

}  // namespace dice

// Collects the telemetry of the probes until it is complete and correct, or until the deadline.
#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "common/concurrency/clock.h"
#include "loadgen/sources/logs.h"
#include "loadgen/sources/metrics.h"
#include "loadgen/sources/traces.h"
#include "loadgen/verify/checks.h"

namespace dice::loadgen {

/// Null = do not check this signal.
struct Sources {
  TraceSource* traces = nullptr;
  LogSource* logs = nullptr;
  MetricsSource* metrics = nullptr;
};

/// A probe, its telemetry, and how long after the response the telemetry was complete.
struct ProbeState {
  Sent sent;
  /// Set last by the sending thread; until then, nothing else here may be read.
  std::atomic<bool> answered = false;
  bool expected_answer = false;
  std::optional<Trace> trace = {};
  std::vector<Finding> trace_findings = {};
  std::optional<double> trace_seconds = {};
  std::vector<LogLine> lines = {};
  /// Whether the log source could be read since the response.
  bool lines_checked = false;
  std::vector<Finding> log_findings = {};
  /// When its log lines were complete, whether its trace was or not.
  std::optional<double> lines_seconds = {};
  std::optional<double> log_seconds = {};

  /// Whether its telemetry is checked. If the response is wrong, that is the finding.
  bool has_telemetry() const { return answered && expected_answer; }
  /// Whether its trace arrived and is correct.
  bool is_trace_sound() const { return trace.has_value() && trace_findings.empty(); }
};

struct Collected {
  Sources sources;
  std::vector<ProbeState> probes;
  /// Why a source could not be read in the last attempt; empty if it could.
  SourceError trace_error = {};
  SourceError log_error = {};
  SourceError metrics_error = {};
  MetricsSource::Reading before = {};
  MetricsSource::Reading after = {};
  /// The first reading in the third quarter of the wait; empty if there is none, for example because a source did not
  /// respond.
  MetricsSource::Reading middle = {};
  /// Whether there is a reading since the last response.
  bool metrics_read = false;
  /// Number of counters compared.
  std::int64_t counters = 0;
  std::vector<Finding> metrics_findings = {};
  std::optional<double> metrics_seconds = {};
  /// Services of which a process came or went between the readings. What they lost or kept to themselves cannot be told
  /// from a defect.
  std::vector<std::string> replaced = {};
  /// When the metrics themselves were complete, whether the spans were exported or not.
  std::optional<double> counters_seconds = {};
  std::vector<Finding> correlation_findings = {};
  /// The trace of the exemplar that was followed; may be empty.
  std::string correlation_trace = {};
  bool correlated = false;
  /// Every span must be exported.
  bool export_required = false;
};

/// Used by one thread. All arguments must outlive it.
class Collector {
 public:
  struct Options {
    /// Other clients use the system at the same time.
    bool shared = false;
    enum class Export { automatic, required, off };
    /// Automatic: required if an exporter is active.
    Export exported = Export::automatic;
    /// Measured from the last response, for each signal. DNS may show up to 30 seconds late that a replica was
    /// replaced.
    Seconds deadline{40};
    /// Maximum wait for metrics that include everything before the first request.
    Seconds settle{90};
    /// Maximum clock difference between two services.
    Seconds clock_skew{0.05};
    /// Called after each look at the sources, with what is known so far; may be empty.
    std::function<void(const Collected&)> observe = {};
    /// Ends the wait early; what was collected until then is of no use.
    std::stop_token stop = {};
  };

  Collector(const Options& options, Collected& collected, Clock& clock);

  /// Call before the first probe is sent.
  void prepare();
  /// Call while the probes are being sent on other threads. Blocks until all is collected, or a process is replaced.
  void run();

 private:
  void poll_traces();
  void poll_logs();
  void poll_metrics();
  void poll_correlation();
  bool all_answered() const;
  bool traces_complete() const;
  bool complete() const;
  bool exporter_active() const;
  std::optional<std::vector<LogLine>> lines_of(const std::string& trace_id);
  double since(TimePoint time) const { return Seconds(clock_.now() - time).count(); }

  const Options& options_;
  Collected& all_;
  Clock& clock_;
  TimePoint last_answer_{};
};

}  // namespace dice::loadgen

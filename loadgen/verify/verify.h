// Sends the probes, reads their telemetry back until it is complete or the deadline has passed, and checks it.
#pragma once

#include <atomic>
#include <expected>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/concurrency/clock.h"
#include "loadgen/sources.h"
#include "loadgen/target.h"
#include "loadgen/verify/checks.h"
#include "loadgen/verify/diagnosis.h"
#include "loadgen/verify/report.h"

namespace dice::loadgen {

class Verify {
 public:
  struct Options {
    ProbeOptions probes;
    /// Others use the system at the same time.
    bool shared = false;
    enum class Export { automatic, required, off };
    /// Whether every span must leave through its service's exporter; automatic: if that is seen to be on.
    Export exported = Export::automatic;
    /// From the last answer, for each signal.
    Seconds deadline{30};
    /// Maximum clock difference between two services.
    Seconds clock_skew{0.05};
  };

  /// Null where a signal is not to be checked. What is passed in outlives it.
  struct Sources {
    TraceSource* traces = nullptr;
    LogSource* logs = nullptr;
    MetricsSource* metrics = nullptr;
  };

  Verify(Options options, Target& target, Sources sources, Clock& clock)
      : options_(std::move(options)), target_(target), sources_(sources), clock_(clock) {}

  /// Once. The error says why the target can't be reached.
  std::expected<Report, std::string> run();

 private:
  /// What was found of one probe, and when it was complete.
  struct State {
    Sent sent;
    /// Set last by the thread that sends; before it nothing else of this is to be read.
    std::atomic<bool> answered = false;
    bool expected_answer = false;

    /// What more is to be found of it. When its answer is wrong, that is the finding.
    bool goes_on() const { return answered && expected_answer; }
    std::optional<Trace> trace;
    std::vector<Finding> trace_findings;
    std::optional<double> trace_seconds;
    std::vector<LogLine> lines;
    std::vector<Finding> log_findings;
    std::optional<double> log_seconds;
  };

  std::string choose_dice();
  void read_before();
  /// When readings can't be compared, metrics are not checked.
  void give_up_metrics(const MetricsSource::Reading& reading);
  /// Each probe on a thread of its own; they must end before `states_` does.
  std::vector<std::jthread> send();
  void collect();
  void poll_traces();
  void poll_logs();
  void poll_metrics();
  void poll_walk();
  bool all_answered() const;
  bool traces_complete() const;
  bool complete() const;
  bool export_required() const;
  std::optional<std::vector<LogLine>> lines_of(const std::string& trace_id);
  Evidence evidence() const;
  Report report();
  double since(TimePoint time) const { return Seconds(clock_.now() - time).count(); }

  const Options options_;
  Target& target_;
  Sources sources_;
  Clock& clock_;
  std::vector<Probe> probes_;
  std::vector<State> states_;
  std::vector<std::string> not_checked_;
  TimePoint last_answer_{};
  std::string trace_trouble_;
  std::string log_trouble_;
  std::string metrics_trouble_;
  MetricsSource::Reading before_;
  MetricsSource::Reading after_;
  std::vector<Finding> metrics_findings_;
  std::optional<double> metrics_seconds_;
  std::vector<Finding> walk_findings_;
  std::string walk_trace_;
  bool walked_ = false;
};

}  // namespace dice::loadgen

// loadgen verify --every: repeats the check, and reports each result as metrics and as a log line.
#pragma once

#include <expected>
#include <functional>
#include <map>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "common/concurrency/clock.h"
#include "common/telemetry/logging.h"
#include "common/telemetry/metrics.h"
#include "loadgen/verify/collector.h"
#include "loadgen/verify/probe.h"
#include "loadgen/verify/report.h"

namespace dice::loadgen {

/// What one check causes when all is well.
struct CheckLoad {
  std::int64_t requests = 0;
  std::int64_t spans = 0;
  std::int64_t log_lines = 0;
};
CheckLoad load_of(const std::vector<Probe>& probes);

/// Used by one thread. Its memory does not grow with the number of checks.
class Canary {
 public:
  struct Options {
    /// From the start of a check to the start of the next, which never overlap: if one takes longer, the next follows
    /// immediately.
    Seconds every{30};
    /// A signal that is complete later than this is `late`.
    Seconds late_after{45};
    /// Those of `kSignals` that are checked.
    std::vector<std::string> signals;
  };

  /// Makes one check; the error says why the target cannot be reached. It may end early when a stop is requested: the
  /// result is then ignored.
  using Check = std::function<std::expected<Report, std::string>(const std::function<void(const Collected&)>& observe,
                                                                 const std::stop_token& stop)>;

  /// `metrics` must outlive this object, and get only one canary.
  Canary(Options options, Check check, Metrics& metrics, const Logger& log, Clock& clock);

  /// Repeats the check until a stop is requested. `finished` is called after each one that counts.
  void run(const std::function<void()>& finished, const std::stop_token& stop);

 private:
  struct Signal {
    // Null if the signal has no spans, lines or counters.
    Histogram* delay = nullptr;
    prometheus::Counter* expected = nullptr;
    prometheus::Counter* found = nullptr;
    prometheus::Counter* missing = nullptr;
    prometheus::Counter* duplicated = nullptr;
    prometheus::Counter* wrong = nullptr;
    prometheus::Gauge* pending = nullptr;
  };

  void add_signal(Metrics& metrics, const std::string& name);
  /// Shows what has not arrived yet.
  void observe(const Collected& collected);
  /// False if the check does not count, because a replica was replaced or a stop was requested.
  bool check_once(const std::stop_token& stop);
  void record(const Report& report);
  void finish(const char* result, const std::vector<Cause>& causes);
  void write_log(const char* result, const Report& report, const std::vector<Cause>& causes) const;

  const Options options_;
  const Check check_;
  const Logger log_;
  Clock& clock_;
  Counters& checks_;
  // Their series appear when there is something to say.
  Gauges& last_check_;
  Gauges& complete_;
  std::map<std::string, Signal> signals_;
  /// By signal and cause.
  std::map<std::pair<std::string, CauseId>, prometheus::Gauge*> broken_;
};

}  // namespace dice::loadgen

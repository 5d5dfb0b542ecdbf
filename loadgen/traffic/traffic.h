// loadgen traffic: generates load from many concurrent users. Several processes can share it.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <stop_token>
#include <string>

#include "common/concurrency/clock.h"
#include "common/concurrency/mutex.h"
#include "common/http/client.h"
#include "common/telemetry/tracing.h"
#include "loadgen/traffic/load_metrics.h"
#include "loadgen/traffic/plan.h"
#include "loadgen/traffic/tally.h"

namespace dice::loadgen {

class Traffic {
 public:
  struct Options {
    std::string url = "http://localhost:8400";
    Mix mix;
    /// What this process does; the users and the rate are those of all parts together. In closed loop, there are at
    /// least as many users as parts.
    Part part;
    int users = 10;
    /// Maximum rolls per user, from 1; not used with a `duration`.
    int rolls = 20;
    /// Requests per second in open loop, 0 = closed loop: a user waits for the answer before the next request.
    double rate = 0;
    /// Maximum requests in flight in open loop, of this part.
    int workers = 256;
    /// 0 = until all users are done.
    Seconds duration{0};
    /// Ramp-up time, until all users are active or the rate is reached.
    Seconds ramp{0};
    /// A user's pause between two requests, in closed loop.
    Seconds think_min{0};
    Seconds think_max{0.5};
    std::uint64_t seed = 0;
    /// Seed of the first request's rolls, increased by one for each further request; empty = the rolls are random.
    std::optional<std::int64_t> roll_seed = {};
    /// Error codes that do not fail the run.
    std::set<std::string> expected_failures = {"roll_failed", "batch_failed"};
    /// Timeout of a request.
    Seconds timeout{60};
  };

  /// All references must outlive this object. `metrics` gets the metrics of this run; once per registry.
  Traffic(Options options, Tracing& tracing, Metrics& metrics, Clock& clock);

  /// Calls `progress` every second on this thread. If `stop` is requested, ends early with the results so far.
  TrafficSummary run(const std::stop_token& stop, const std::function<void(const std::string&)>& progress);

 private:
  void user(std::uint64_t number, TimePoint start, const std::stop_token& stop);
  /// `count` requests of all parts together.
  void worker(TimePoint start, std::uint64_t count, const std::stop_token& stop);
  /// Sends a request whose number in the run is `number`, regardless of timing. Returns the status, 0 = no response.
  /// Latency is measured from `due`.
  int request(std::optional<RollRequest> wanted, std::uint64_t number, TimePoint due);
  std::string progress_line(TimePoint start);
  TrafficSummary summary(TimePoint start);

  const Options options_;
  Tracing& tracing_;
  Clock& clock_;
  Client client_;
  const Schedule schedule_;
  LoadMetrics metrics_;
  std::atomic<std::uint64_t> next_ = 0;
  /// Number of threads that have not ended.
  std::atomic<std::uint64_t> running_ = 0;
  Mutex mutex_;
  Tally tally_ GUARDED_BY(mutex_);
  /// When the most recent request was sent.
  TimePoint last_sent_ GUARDED_BY(mutex_){};
};

}  // namespace dice::loadgen

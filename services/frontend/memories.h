// Reads what the services remember of a trace: their recent spans and log lines.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "common/concurrency/clock.h"
#include "common/concurrency/thread_pool.h"
#include "common/http/replicas.h"
#include "common/telemetry/telemetry.h"

namespace dice {

/// Thread-safe; calls block.
class Memories {
 public:
  struct Options {
    /// Metrics ports of all replicas of each service, by its name. The frontend's may be missing if there is only this
    /// one.
    std::map<std::string, std::vector<std::string>> metrics_urls;
    /// For the frontends, and again for the other services.
    Seconds timeout{2};
    /// A replica that did not respond is not asked again for this time, so that a running trace, which is read several
    /// times per second, is not delayed each time.
    Seconds pause{5};
    /// Maximum length of a response.
    std::size_t max_body_bytes = 8UL << 20U;
  };

  /// `telemetry` has the frontend's own memory and must outlive this object, as must `clock`.
  Memories(const Options& options, Telemetry& telemetry, Clock& clock);

  struct Found {
    /// Of each process that has something of the trace. A replica that is down, or does not respond, leaves a gap.
    std::vector<std::string> bodies;
    /// Whether every service has something.
    bool every_service = false;
  };

  /// OTLP/JSON, that of the frontends first: when their span has ended, so have all spans below. Spans may be repeated.
  Found spans(const TraceId& id, const std::stop_token& stop);

  /// {"lines":[…]}. Lines may be repeated.
  Found log_lines(const TraceId& id, const std::stop_token& stop);

  /// Threads for questions to replicas, of all callers together.
  static constexpr std::size_t kThreads = 16;
  /// Descriptors for these questions, and for connections kept between them.
  static constexpr std::size_t kDescriptors = 2 * kThreads * Client::kDescriptors;

 private:
  using Services = std::vector<std::unique_ptr<Replicas>>;

  /// Asks all replicas of these services, and adds what they have. Whether each service has something.
  bool ask(const Services& services, const std::string& route, const TraceId& id, const std::stop_token& stop,
           std::vector<std::string>& bodies);
  /// `own` is what this process has.
  Found find(std::string own, const std::string& route, const TraceId& id, const std::stop_token& stop);

  const Options options_;
  Telemetry& telemetry_;
  Clock& clock_;
  Services frontends_;
  Services others_;
  ThreadPool threads_{{.max_threads = kThreads}};
};

}  // namespace dice

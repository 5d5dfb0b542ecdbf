// Reads what the services remember of a trace: their recent spans and log lines.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "common/concurrency/circuit_breaker.h"
#include "common/concurrency/clock.h"
#include "common/http/client.h"
#include "common/telemetry/telemetry.h"

namespace dice {

/// Thread-safe; calls block.
class Memories {
 public:
  struct Options {
    /// Metrics ports of the other services, by their names.
    std::map<std::string, std::string> metrics_urls;
    Seconds timeout{2};
    /// A service that did not respond is not asked again for this time, so that a running trace, which is read several
    /// times per second, is not delayed each time.
    Seconds pause{5};
    /// Maximum length of a response.
    std::size_t max_body_bytes = 8UL << 20U;
  };

  /// `telemetry` has the frontend's own memory and must outlive this object, as must `clock`.
  Memories(const Options& options, Telemetry& telemetry, Clock& clock);

  /// OTLP/JSON of each service that has spans of the trace, the frontend's first: when its span has ended, so have all
  /// spans below.
  std::vector<std::string> spans(const TraceId& id, const std::stop_token& stop);

  /// {"lines":[…]} of each service that has log lines of the trace.
  std::vector<std::string> log_lines(const TraceId& id, const std::stop_token& stop);

  /// Number of services, the frontend included.
  std::size_t services() const { return sources_.size() + 1; }

 private:
  struct Source {
    Source(Client::Options options, Seconds pause) : client(std::move(options)), breaker({1, pause}) {}
    Client client;
    CircuitBreaker breaker;
  };

  /// The frontend's `own` body and those of the other services, without empty ones. A service that is down leaves a
  /// gap.
  std::vector<std::string> ask(std::string own, const std::string& route, const TraceId& id,
                               const std::stop_token& stop);

  const Options options_;
  Telemetry& telemetry_;
  Clock& clock_;
  std::vector<std::unique_ptr<Source>> sources_;
};

}  // namespace dice

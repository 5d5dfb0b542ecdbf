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

 private:
  struct Source {
    Source(Client::Options options, Seconds pause) : client(std::move(options)), breaker({1, pause}) {}
    Client client;
    CircuitBreaker breaker;
  };

  /// Appends the bodies of all services that have one. A service that is down leaves a gap.
  void ask(const std::string& route, const TraceId& id, const std::stop_token& stop, std::vector<std::string>& bodies);

  const Options options_;
  Telemetry& telemetry_;
  Clock& clock_;
  std::vector<std::unique_ptr<Source>> sources_;
};

}  // namespace dice

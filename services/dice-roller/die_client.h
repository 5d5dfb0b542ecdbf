// Fetches a die from die-service, protected by a circuit breaker.
#pragma once

#include <cstddef>
#include <expected>
#include <map>
#include <stop_token>
#include <string>

#include "common/concurrency/circuit_breaker.h"
#include "common/concurrency/mutex.h"
#include "common/http/client.h"
#include "common/telemetry/telemetry.h"
#include "dice-roller/die.h"
#include "dice-roller/metrics.h"

namespace dice {

/// Thread-safe; a call blocks.
class DieClient {
 public:
  struct Options {
    std::string url;
    Seconds timeout{2};
    /// Maximum length of a response.
    std::size_t max_body_bytes = 64UL << 10U;
    CircuitBreaker::Options breaker;
  };

  /// All arguments must outlive the client.
  DieClient(const Options& options, Telemetry& telemetry, RollerMetrics& metrics, Clock& clock);

  /// The error is that of `cancelled` if `stop` is requested.
  std::expected<Die, Error> fetch(const std::string& identifier, const TraceContext& parent,
                                  const std::stop_token& stop);

  CircuitBreaker::State breaker() const { return breaker_.state(); }

 private:
  /// `status` is set to the status of the response, 0 if there was none.
  std::expected<Die, Error> call(const std::string& identifier, const TraceContext& parent, const std::stop_token& stop,
                                 int& status);
  std::expected<Die, Error> read(const std::string& identifier, const std::string& body, const TraceContext& parent);
  void count(const std::string& identifier, const std::string& status);

  const Options options_;
  Telemetry& telemetry_;
  RollerMetrics& metrics_;
  Clock& clock_;
  const Logger log_;
  Client client_;
  CircuitBreaker breaker_;
  Mutex mutex_;
  /// The last valid response for each die that die-service has returned, since it rarely changes. Only these dice are
  /// used as label values.
  struct Known {
    std::string body;
    Die die;
  };
  std::map<std::string, Known> known_ GUARDED_BY(mutex_);
};

}  // namespace dice

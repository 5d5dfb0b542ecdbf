// dice-roller: the routes, and what a roll leaves behind in traces, metrics and logs.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>

#include "common/concurrency/admission.h"
#include "common/service.h"
#include "dice-roller/batch.h"
#include "dice-roller/die_client.h"
#include "dice-roller/metrics.h"

namespace dice {

class Roller {
 public:
  struct Options {
    DieClient::Options die_service;
    RollDelay delay;
    int max_async_rolls = 20;
    Strategy strategy = Strategy::all_or_nothing;
    /// Makes faces, failures and delays repeatable: the n-th request after startup always gets the same results.
    std::optional<std::uint64_t> seed;
    std::size_t max_roll_threads = 1024;
    /// 0 = no limit.
    double rate_limit = 0;
  };

  static Options declare(Settings& settings);

  /// `service` must outlive this object.
  Roller(const Options& options, Service& service);

 private:
  struct AsyncRequest {
    std::string die;
    BatchOptions batch;
  };

  Answer handle_roll(const Request& request);
  Answer handle_roll_async(const Request& request);
  std::expected<AsyncRequest, Error> parse_async(const Request& request) const;
  /// By rate, then by work under way.
  std::expected<Admission::Ticket, Error> admit(std::size_t rolls);

  Result roll_once(const Request& request, const std::string& die);
  Result roll_batch(const Request& request, const AsyncRequest& wanted);
  /// One roll of a batch with its span, event, metrics and log line.
  Roll roll_traced(const Request& request, const Die& die, std::uint64_t number, std::size_t index,
                   const std::stop_token& stop);
  Result answer(const Request& request, const AsyncRequest& wanted, const BatchResult& result, Seconds duration);
  void count_roll(const Die& die, const char* mode, const Roll& roll);

  const Options options_;
  Telemetry& telemetry_;
  Clock& clock_;
  const Logger log_;
  RollerMetrics metrics_;
  DieClient dice_;
  Admission admission_;
  RateLimit rate_limit_;
  /// Separate from the service's workers, which wait for these.
  ThreadPool roll_threads_;
  const std::uint64_t seed_;
  std::atomic<std::uint64_t> requests_ = 0;
};

}  // namespace dice

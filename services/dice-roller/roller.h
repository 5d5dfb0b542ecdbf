// dice-roller: its options, routes and admission control.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>

#include "common/concurrency/admission.h"
#include "common/service.h"
#include "contract/roll.h"
#include "dice-roller/batch.h"
#include "dice-roller/die_client.h"
#include "dice-roller/metrics.h"
#include "dice-roller/roll_telemetry.h"

namespace dice {

class Roller {
 public:
  struct Options {
    DieClient::Options die_service;
    RollDelay delay;
    int max_async_rolls = 20;
    Strategy strategy = kDefaultStrategy;
    /// Makes faces, failures and delays repeatable: the n-th request after the start always has the same result, unless
    /// it has a seed of its own.
    std::optional<std::uint64_t> seed;
    std::size_t max_roll_threads = 1024;
    /// 0 = no limit.
    double rate_limit = 0;
  };

  static Options declare(Settings& settings);

  /// `service` must outlive this object.
  Roller(const Options& options, Service& service);

 private:
  Answer handle_roll(const Request& request);
  Answer handle_roll_async(const Request& request);
  /// Checks the rate limit, then the number of rolls in progress.
  std::expected<Admission::Ticket, Error> admit(std::size_t rolls);
  Result roll_once(const Request& request, const RollRequest& wanted);
  Result roll_batch(const Request& request, const RollRequest& wanted, const BatchOptions& batch);
  /// What a request's rolls draw from, each with its index. Call once per request.
  RandomSource random_source(const RollRequest& wanted);

  const Options options_;
  Telemetry& telemetry_;
  Clock& clock_;
  RollerMetrics metrics_;
  RollTelemetry rolls_;
  DieClient dice_;
  Admission admission_;
  RateLimit rate_limit_;
  /// Separate from the service's workers, which wait for these threads.
  ThreadPool roll_threads_;
  const std::uint64_t seed_;
  std::atomic<std::uint64_t> requests_ = 0;
};

}  // namespace dice

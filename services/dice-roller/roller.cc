#include "dice-roller/roller.h"

#include <sys/mman.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <utility>

#include "common/base/json.h"
#include "common/base/version.h"
#include "contract/names.h"

namespace dice {
namespace {

BatchAnswer answer_of(const BatchResult& result) {
  BatchAnswer answer;
  for (std::size_t index = 0; index < result.rolls.size(); ++index) {
    const auto& roll = result.rolls[index];
    if (roll.state == Roll::State::succeeded) {
      answer.total += roll.value;
      answer.rolls.push_back(roll.value);
    } else if (roll.state == Roll::State::failed) {
      answer.failed.push_back({static_cast<std::int64_t>(index), ErrorCode::roll_failed});
    }
  }
  return answer;
}

Error failure_of(const BatchResult& result) {
  const auto times = std::to_string(result.rolls.size());
  if (result.count(Roll::State::failed) == result.rolls.size()) {
    return {ErrorCode::batch_failed, times == "1" ? "the only roll failed" : "all " + times + " rolls failed"};
  }
  const auto which = "roll " + std::to_string(result.first_failure.value_or(0)) + " of " + times;
  const auto* stopped = result.count(Roll::State::cancelled) > 0 ? ", so the others were cancelled" : "";
  return {ErrorCode::batch_failed, which + " failed (counted from 0)" + stopped};
}

Response json(const auto& answer) {
  return Response{.body = json_object([&](JsonWriter& writer) { write_members(writer, answer); })};
}

/// While a roll waits for longer than this, its thread keeps only the stack that it uses.
constexpr Seconds kLongDelay{0.05};

/// Returns the pages of the stack below to the system, which the call to die-service has used.
[[gnu::noinline]] void release_stack() {
  constexpr std::uintptr_t kPage = 4096;
  constexpr std::uintptr_t kInUse = 1024;      // by this function and the one that it calls
  constexpr std::size_t kBytes = 16UL << 10U;  // less than any thread's stack
  const auto end = (reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0)) - kInUse) / kPage * kPage;
  (void)::madvise(reinterpret_cast<void*>(end - kBytes), kBytes, MADV_DONTNEED);  // NOLINT: an address
}

std::uint64_t random_seed() {
  std::random_device device;
  return (std::uint64_t{device()} << 32U) ^ device();
}

}  // namespace

Roller::Options Roller::declare(Settings& settings) {
  Options options;
  options.die_service.url = settings.url("DIE_SERVICE_URL", kDieService.url(), "URL of die-service.");
  options.die_service.timeout =
      Seconds(settings.number("DIE_SERVICE_TIMEOUT_SECONDS", 2, 0.001, 600, "Timeout of a call to die-service."));
  options.die_service.max_body_bytes = static_cast<std::size_t>(
      settings.integer("DIE_SERVICE_MAX_BODY_BYTES", static_cast<std::int64_t>(options.die_service.max_body_bytes),
                       1'024, 1LL << 30U, "Maximum bytes of a response from die-service."));
  options.die_service.breaker.failures = static_cast<int>(settings.integer(
      "DIE_BREAKER_FAILURES", 5, 0, 1'000'000, "Consecutive failed calls that open the circuit breaker; 0 = never."));
  options.die_service.breaker.pause =
      Seconds(settings.number("DIE_BREAKER_PAUSE_SECONDS", 2, 0.001, 600,
                              "How long the circuit breaker stays open before it allows one call."));
  options.delay.min = Seconds(settings.number("ROLL_DELAY_MIN_SECONDS", 0, 0, 60, "Minimum simulated work per roll."));
  options.delay.max = Seconds(settings.number("ROLL_DELAY_MAX_SECONDS", 1, 0, 60, "Maximum simulated work per roll."));
  if (options.delay.max < options.delay.min) {
    settings.error("ROLL_DELAY_MAX_SECONDS", std::to_string(options.delay.max.count()),
                   "at least ROLL_DELAY_MIN_SECONDS");
  }
  options.max_async_rolls =
      static_cast<int>(settings.integer("MAX_ASYNC_ROLLS", 20, 1, 1000, "Maximum number of rolls per batch."));
  constexpr auto kNames = strategy_names();
  options.strategy = parse_strategy(settings.choice("ROLL_STRATEGY", std::string(name_of(options.strategy)),
                                                    {kNames.begin(), kNames.end()}, "Default batch strategy."))
                         .value_or(options.strategy);
  const auto seed = settings.integer("ROLL_SEED", -1, -1, std::numeric_limits<std::int64_t>::max(),
                                     "Seed that makes faces, failures and delays repeatable; -1 = random.");
  if (seed >= 0) options.seed = static_cast<std::uint64_t>(seed);
  options.max_roll_threads = static_cast<std::size_t>(
      settings.integer("MAX_ROLL_THREADS", 1024, 1, 100'000, "Maximum number of concurrent rolls."));
  options.rate_limit = settings.number("RATE_LIMIT_RPS", 0, 0, 1e6, "Maximum roll requests per second; 0 = no limit.");
  return options;
}

Roller::Roller(const Options& options, Service& service)
    : options_(options),
      telemetry_(service.telemetry()),
      clock_(service.clock()),
      metrics_(telemetry_.metrics),
      rolls_(telemetry_, metrics_, clock_),
      dice_(options.die_service, telemetry_, metrics_, clock_),
      admission_(options.max_roll_threads),
      rate_limit_(options.rate_limit),
      roll_threads_({.max_threads = options.max_roll_threads}),
      seed_(options.seed.value_or(random_seed())) {
  telemetry_.metrics.before_scrape([this] { metrics_.in_use.Set(static_cast<double>(admission_.in_use())); });
  using List = std::initializer_list<const char*>;
  const auto about = json_object([](JsonWriter& writer) {
    write_member(writer, "service", "Dice Roller API");
    write_member(writer, "version", version);
    write_member(writer, "stage", "4");
    write_member(writer, "endpoints", List{route::kRoll, route::kRollAsync});
    write_member(writer, "integration", kDieService.name);
    write_member(writer, "features", List{"async-rolling", "concurrent-operations"});
  });
  service.add({.path = "/", .handler = [about](const Request&) { return Response{.body = about}; }});
  service.add({.path = route::kRoll, .handler = [this](const Request& request) { return handle_roll(request); }});
  service.add(
      {.path = route::kRollAsync, .handler = [this](const Request& request) { return handle_roll_async(request); }});
}

std::expected<Admission::Ticket, Error> Roller::admit(std::size_t rolls) {
  if (!rate_limit_.try_acquire(clock_.now())) {
    metrics_.rejected.Add({{"reason", "rate_limited"}}).Increment();
    const auto wait = std::max(1, static_cast<int>(std::ceil(1 / options_.rate_limit)));
    return std::unexpected(Error{ErrorCode::rate_limited, "too many requests per second", wait});
  }
  if (auto ticket = admission_.try_acquire(rolls)) return std::move(*ticket);
  metrics_.rejected.Add({{"reason", "overloaded"}}).Increment();
  return std::unexpected(Error{ErrorCode::overloaded, "too many concurrent rolls", 1});
}

Answer Roller::handle_roll(const Request& request) {
  auto wanted = parse_roll(request.query);
  if (!wanted) return std::unexpected(std::move(wanted.error()));
  auto ticket = admit(1);
  if (!ticket) return std::unexpected(std::move(ticket.error()));
  return Work([this, &request, wanted = std::move(*wanted), ticket = std::move(*ticket)] {
    return roll_once(request, wanted);
  });
}

Answer Roller::handle_roll_async(const Request& request) {
  auto wanted = parse_batch(request.query, options_.max_async_rolls);
  if (!wanted) return std::unexpected(std::move(wanted.error()));
  const int times = wanted->times.value_or(1);
  const BatchOptions batch{
      .times = static_cast<std::size_t>(times),
      .concurrency = static_cast<std::size_t>(std::min(wanted->concurrency.value_or(times), times)),
      .strategy = wanted->strategy.value_or(options_.strategy)};
  auto ticket = admit(batch.times);
  if (!ticket) return std::unexpected(std::move(ticket.error()));
  return Work([this, &request, wanted = std::move(*wanted), batch, ticket = std::move(*ticket)] {
    return roll_batch(request, wanted, batch);
  });
}

RandomSource Roller::random_source(const RollRequest& wanted) {
  const auto number = requests_++;
  if (wanted.seed) return {.seed = static_cast<std::uint64_t>(*wanted.seed), .request = 0};
  return {.seed = seed_, .request = number};
}

Result Roller::roll_once(const Request& request, const RollRequest& wanted) {
  const auto die = dice_.fetch(wanted.die, request.trace(), request.stop);
  if (!die) return std::unexpected(die.error());
  Random random(random_source(wanted), static_cast<std::uint64_t>(wanted.index.value_or(0)));
  const auto drawn = draw(*die, options_.delay, random);
  if (drawn.delay >= kLongDelay) release_stack();
  const auto result = roll(drawn, clock_, request.stop);
  rolls_.single_roll(request, *die, result);
  switch (result.state) {
    case Roll::State::succeeded: return json(RollAnswer{result.value});
    case Roll::State::failed:
      return std::unexpected(Error{ErrorCode::roll_failed, "the roll of the " + die->identifier + " die failed"});
    case Roll::State::cancelled: break;
  }
  return cancelled();
}

Result Roller::roll_batch(const Request& request, const RollRequest& wanted, const BatchOptions& batch) {
  rolls_.batch_requested(request, batch);
  const auto die = dice_.fetch(wanted.die, request.trace(), request.stop);
  if (!die) return std::unexpected(die.error());
  rolls_.batch_started(request, *die, batch);
  const auto source = random_source(wanted);
  const auto start = clock_.now();
  const auto result = run_batch(batch, roll_threads_, request.stop,
                                [&](std::size_t index, const std::stop_token& stop, const Settle& settle) {
                                  return rolls_.roll_of_batch(request, *die, index, [&] {
                                    Random random(source, index);
                                    return settle(roll(draw(*die, options_.delay, random), clock_, stop));
                                  });
                                });
  if (!result) {  // admitted, but the system cannot create enough threads
    metrics_.rejected.Add({{"reason", "overloaded"}}).Increment();
    return std::unexpected(Error{ErrorCode::overloaded, "too many concurrent rolls", 1});
  }
  const auto answer = answer_of(*result);
  rolls_.batch_ended(request, *die, *result, answer, clock_.now() - start);
  switch (result->outcome) {
    case BatchResult::Outcome::success:
    case BatchResult::Outcome::partial: return json(answer);
    case BatchResult::Outcome::failure: return std::unexpected(failure_of(*result));
    case BatchResult::Outcome::cancelled: break;
  }
  return cancelled();
}

}  // namespace dice

#include "dice-roller/roller.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <numeric>
#include <random>
#include <utility>

#include "common/base/json.h"
#include "common/base/version.h"

namespace dice {
namespace {

constexpr std::string_view kAllOrNothing = "all-or-nothing";
constexpr std::string_view kBestEffort = "best-effort";

std::string_view name_of(Strategy strategy) { return strategy == Strategy::best_effort ? kBestEffort : kAllOrNothing; }

Strategy parse_strategy(std::string_view name) {
  return name == kBestEffort ? Strategy::best_effort : Strategy::all_or_nothing;
}

const char* name_of(Roll::State state) {
  switch (state) {
    case Roll::State::succeeded: return "success";
    case Roll::State::failed: return "failure";
    case Roll::State::cancelled: break;
  }
  return "cancelled";
}

std::uint64_t random_seed() {
  std::random_device device;
  return (std::uint64_t{device()} << 32U) ^ device();
}

std::int64_t sum(const std::vector<int>& values) {
  return std::accumulate(values.begin(), values.end(), std::int64_t{0});
}

}  // namespace

Roller::Options Roller::declare(Settings& settings) {
  Options options;
  options.die_service.url = settings.url("DIE_SERVICE_URL", "http://localhost:8402", "URL of die-service.");
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
  options.strategy = parse_strategy(settings.choice("ROLL_STRATEGY", std::string(kAllOrNothing),
                                                    {std::string(kAllOrNothing), std::string(kBestEffort)},
                                                    "Default batch strategy."));
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
      log_(telemetry_.log),
      metrics_(telemetry_.metrics),
      dice_(options.die_service, telemetry_, metrics_, clock_),
      admission_(options.max_roll_threads),
      rate_limit_(options.rate_limit),
      roll_threads_({.max_threads = options.max_roll_threads}),
      seed_(options.seed.value_or(random_seed())) {
  using List = std::initializer_list<const char*>;
  const auto about = json_object([](JsonWriter& writer) {
    write_member(writer, "service", "Dice Roller API");
    write_member(writer, "version", version);
    write_member(writer, "stage", "4");
    write_member(writer, "endpoints", List{"/roll", "/roll-async"});
    write_member(writer, "integration", "die-service");
    write_member(writer, "features", List{"async-rolling", "concurrent-operations"});
  });
  service.add({.path = "/", .handler = [about](const Request&) { return Response{.body = about}; }});
  service.add({.path = "/roll", .handler = [this](const Request& request) { return handle_roll(request); }});
  service.add(
      {.path = "/roll-async", .handler = [this](const Request& request) { return handle_roll_async(request); }});
}

std::expected<Admission::Ticket, Error> Roller::admit(std::size_t rolls) {
  if (!rate_limit_.try_acquire(clock_.now())) {
    metrics_.rejected.Add({{"reason", "rate_limited"}}).Increment();
    const auto wait = std::max(1, static_cast<int>(std::ceil(1 / options_.rate_limit)));
    return std::unexpected(Error{ErrorCode::rate_limited, "too many requests a second", wait});
  }
  if (auto ticket = admission_.try_acquire(rolls)) return std::move(*ticket);
  metrics_.rejected.Add({{"reason", "overloaded"}}).Increment();
  return std::unexpected(Error{ErrorCode::overloaded, "too many rolls at once", 1});
}

Answer Roller::handle_roll(const Request& request) {
  Parameters parameters(request, {"die"});
  auto die = parameters.required("die");
  if (parameters.error()) return std::unexpected(*parameters.error());
  auto ticket = admit(1);
  if (!ticket) return std::unexpected(std::move(ticket.error()));
  return Work([this, &request, die = std::move(die), ticket = std::move(*ticket)] { return roll_once(request, die); });
}

std::expected<Roller::AsyncRequest, Error> Roller::parse_async(const Request& request) const {
  Parameters parameters(request, {"die", "times", "strategy", "concurrency"});
  AsyncRequest wanted;
  wanted.die = parameters.required("die");
  if (!request.query.contains("times")) parameters.fail("times", "is required");
  const int times = parameters.integer("times", 1, options_.max_async_rolls).value_or(1);
  const auto strategy = parameters.choice("strategy", {kAllOrNothing, kBestEffort});
  const int concurrency = parameters.integer("concurrency", 1, options_.max_async_rolls).value_or(times);
  if (parameters.error()) return std::unexpected(*parameters.error());
  wanted.batch.times = static_cast<std::size_t>(times);
  wanted.batch.concurrency = static_cast<std::size_t>(std::min(concurrency, times));
  wanted.batch.strategy = strategy ? parse_strategy(*strategy) : options_.strategy;
  return wanted;
}

Answer Roller::handle_roll_async(const Request& request) {
  auto wanted = parse_async(request);
  if (!wanted) return std::unexpected(std::move(wanted.error()));
  auto ticket = admit(wanted->batch.times);
  if (!ticket) return std::unexpected(std::move(ticket.error()));
  return Work([this, &request, wanted = std::move(*wanted), ticket = std::move(*ticket)] {
    return roll_batch(request, wanted);
  });
}

void Roller::count_roll(const Die& die, const char* mode, const Roll& roll) {
  metrics_.rolls.Add({{"die_type", die.identifier}, {"mode", mode}, {"result", name_of(roll.state)}}).Increment();
  if (roll.state == Roll::State::succeeded) {
    metrics_.values.Add({{"die_type", die.identifier}, {"value", std::to_string(roll.value)}}).Increment();
  }
}

Result Roller::roll_once(const Request& request, const std::string& identifier) {
  const auto die = dice_.fetch(identifier, request.trace(), request.stop);
  if (!die) return std::unexpected(die.error());
  Random random(seed_, requests_++, 0);
  const auto result = roll(draw(*die, options_.delay, random), clock_, request.stop);
  count_roll(*die, "sync", result);
  request.span->set("die.type", die->identifier);
  if (result.state == Roll::State::cancelled) {
    request.span->set("die.cancelled", true);
    return cancelled();
  }
  request.span->set("die.error", result.state == Roll::State::failed);
  if (result.state == Roll::State::failed) {
    return std::unexpected(Error{ErrorCode::roll_failed, "the roll of the " + die->identifier + " die failed"});
  }
  request.span->set("die.result", std::int64_t{result.value});
  return Response{.body = json_object([&](JsonWriter& writer) { write_member(writer, "roll", result.value); })};
}

Result Roller::roll_batch(const Request& request, const AsyncRequest& wanted) {
  const auto& batch = wanted.batch;
  request.span->set("async.batch_size", static_cast<std::int64_t>(batch.times));
  request.span->set("async.strategy", name_of(batch.strategy));
  metrics_.batch_size.observe(static_cast<double>(batch.times), request.trace());
  const auto die = dice_.fetch(wanted.die, request.trace(), request.stop);
  if (!die) return std::unexpected(die.error());

  request.span->set("die.type", die->identifier);
  log_.log(LogLevel::info, "Async roll batch started", &request.trace(),
           {{"die_type", die->identifier},
            {"times", static_cast<std::int64_t>(batch.times)},
            {"concurrency", static_cast<std::int64_t>(batch.concurrency)},
            {"strategy", name_of(batch.strategy)}});
  const auto number = requests_++;
  const auto start = clock_.now();
  const auto result = run_batch(
      batch, roll_threads_, request.stop,
      [&](std::size_t index, const std::stop_token& stop) { return roll_traced(request, *die, number, index, stop); });
  if (!result) {  // let in, but the system has no threads left
    metrics_.rejected.Add({{"reason", "overloaded"}}).Increment();
    return std::unexpected(Error{ErrorCode::overloaded, "too many rolls at once", 1});
  }
  return answer(request, wanted, *result, clock_.now() - start);
}

Roll Roller::roll_traced(const Request& request, const Die& die, std::uint64_t number, std::size_t index,
                         const std::stop_token& stop) {
  const auto position = static_cast<std::int64_t>(index);
  const auto name = "async_roll_" + std::to_string(index);
  metrics_.in_progress.Increment();
  auto span = telemetry_.tracing.start(name, SpanKind::internal, request.trace(),
                                       {{"async.roll_index", position}, {"die.type", die.identifier}});
  Random random(seed_, number, index);
  const auto start = clock_.now();
  const auto result = roll(draw(die, options_.delay, random), clock_, stop);
  metrics_.work.Increment(Seconds(clock_.now() - start).count());
  switch (result.state) {
    case Roll::State::succeeded:
      span.set("die.result", std::int64_t{result.value});
      span.set("die.error", false);
      break;
    case Roll::State::failed:
      span.set("die.error", true);
      span.fail("roll_failed");
      break;
    case Roll::State::cancelled: span.set("die.cancelled", true); break;
  }
  span.end();
  metrics_.in_progress.Decrement();
  count_roll(die, "async", result);
  if (result.state == Roll::State::succeeded) {
    request.span->event("Async roll completed",
                        {{"async.roll_index", position}, {"die.result", std::int64_t{result.value}}});
    log_.log(LogLevel::info, "Async roll completed", &span.context(),
             {{"die_type", die.identifier}, {"roll_index", position}, {"roll_value", std::int64_t{result.value}}});
  } else {
    const bool failed = result.state == Roll::State::failed;
    request.span->event(failed ? "Async roll failed" : "Async roll cancelled", {{"async.roll_index", position}});
    log_.log(failed ? LogLevel::warn : LogLevel::info, failed ? "Async roll failed" : "Async roll cancelled",
             &span.context(), {{"die_type", die.identifier}, {"roll_index", position}});
  }
  return result;
}

Result Roller::answer(const Request& request, const AsyncRequest& wanted, const BatchResult& result, Seconds duration) {
  const auto strategy = wanted.batch.strategy;
  const auto values = result.values();
  const auto total = sum(values);
  const auto times = static_cast<std::int64_t>(result.rolls.size());
  const auto failures = result.count(Roll::State::failed);
  const bool succeeded = result.succeeded(strategy);
  const bool given_up = request.stop.stop_requested() && result.count(Roll::State::cancelled) > 0;
  metrics_.batch_duration.observe(duration.count(), request.trace());
  metrics_.batches
      .Add({{"die_type", wanted.die},
            {"result", given_up       ? "cancelled"
                       : !succeeded   ? "failure"
                       : failures > 0 ? "partial"
                                      : "success"}})
      .Increment();
  if (given_up) {
    log_.log(LogLevel::info, "Async roll batch cancelled", &request.trace(),
             {{"die_type", wanted.die}, {"times", times}, {"duration", duration.count()}});
    return cancelled();
  }
  if (!succeeded) {
    log_.log(LogLevel::error, "Async roll batch failed", &request.trace(),
             {{"die_type", wanted.die},
              {"times", times},
              {"failed", static_cast<std::int64_t>(failures)},
              {"duration", duration.count()}});
    const auto which = "roll " + std::to_string(result.first_failure.value_or(0)) + " of " + std::to_string(times);
    return std::unexpected(
        Error{ErrorCode::batch_failed, strategy == Strategy::best_effort
                                           ? "all " + std::to_string(times) + " rolls failed"
                                           : which + " failed (counted from 0), so the batch was stopped"});
  }
  request.span->set("async.total_result", total);
  log_.log(LogLevel::info, "Async roll batch completed", &request.trace(),
           {{"die_type", wanted.die},
            {"times", times},
            {"total", total},
            {"rolls", std::span<const int>(values)},
            {"failed", static_cast<std::int64_t>(failures)},
            {"duration", duration.count()}});
  return Response{.body = json_object([&](JsonWriter& writer) {
                    write_member(writer, "total", total);
                    write_member(writer, "rolls", values);
                    write_member(writer, "count", values.size());
                    if (failures == 0) return;
                    write_key(writer, "failed");
                    writer.StartArray();
                    for (std::size_t index = 0; index < result.rolls.size(); ++index) {
                      if (result.rolls[index].state != Roll::State::failed) continue;
                      writer.StartObject();
                      write_member(writer, "index", index);
                      write_member(writer, "error", "roll_failed");
                      writer.EndObject();
                    }
                    writer.EndArray();
                  })};
}

}  // namespace dice

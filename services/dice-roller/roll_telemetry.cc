#include "dice-roller/roll_telemetry.h"

#include <string>
#include <vector>

#include "contract/names.h"

namespace dice {
namespace {

const char* name_of(Roll::State state) {
  switch (state) {
    case Roll::State::succeeded: return "success";
    case Roll::State::failed: return "failure";
    case Roll::State::cancelled: break;
  }
  return "cancelled";
}

const char* name_of(BatchResult::Outcome outcome) {
  switch (outcome) {
    case BatchResult::Outcome::success: return "success";
    case BatchResult::Outcome::partial: return "partial";
    case BatchResult::Outcome::failure: return "failure";
    case BatchResult::Outcome::cancelled: break;
  }
  return "cancelled";
}

LogMessage message_of(Roll::State state) {
  switch (state) {
    case Roll::State::succeeded: return LogMessage::roll_completed;
    case Roll::State::failed: return LogMessage::roll_failed;
    case Roll::State::cancelled: break;
  }
  return LogMessage::roll_cancelled;
}

void set_result(Span& span, const Roll& roll) {
  switch (roll.state) {
    case Roll::State::succeeded:
      span.set(attribute::kDieResult, std::int64_t{roll.value});
      span.set(attribute::kDieError, false);
      break;
    case Roll::State::failed: span.set(attribute::kDieError, true); break;
    case Roll::State::cancelled: span.set(attribute::kDieCancelled, true); break;
  }
}

}  // namespace

void RollTelemetry::count(const Die& die, const char* mode, const Roll& roll) {
  metrics_.rolls.Add({{"die_type", die.identifier}, {"mode", mode}, {"result", name_of(roll.state)}}).Increment();
  if (roll.state == Roll::State::succeeded) {
    metrics_.values.Add({{"die_type", die.identifier}, {"value", std::to_string(roll.value)}}).Increment();
  }
}

void RollTelemetry::single_roll(const Request& request, const Die& die, const Roll& roll) {
  count(die, "sync", roll);
  request.span->set(attribute::kDieType, die.identifier);
  set_result(*request.span, roll);
}

void RollTelemetry::batch_requested(const Request& request, const BatchOptions& batch) {
  request.span->set(attribute::kBatchSize, static_cast<std::int64_t>(batch.times));
  request.span->set(attribute::kStrategy, name_of(batch.strategy));
  metrics_.batch_size.observe(static_cast<double>(batch.times), request.trace());
}

void RollTelemetry::batch_started(const Request& request, const Die& die, const BatchOptions& batch) {
  request.span->set(attribute::kDieType, die.identifier);
  log_.log(LogMessage::batch_started, &request.trace(),
           {{"die_type", die.identifier},
            {"times", static_cast<std::int64_t>(batch.times)},
            {"concurrency", static_cast<std::int64_t>(batch.concurrency)},
            {"strategy", name_of(batch.strategy)}});
}

Roll RollTelemetry::roll_of_batch(const Request& request, const Die& die, std::size_t index,
                                  const std::function<Roll()>& roll) {
  const auto position = static_cast<std::int64_t>(index);
  const auto name = std::string(kRollSpanPrefix) + std::to_string(index);
  metrics_.in_progress.Increment();
  auto span = tracing_.start(name, SpanKind::internal, request.trace(),
                             {{attribute::kRollIndex, position}, {attribute::kDieType, die.identifier}});
  const auto start = clock_.now();
  const auto result = roll();
  metrics_.work.Increment(Seconds(clock_.now() - start).count());
  set_result(span, result);
  if (result.state == Roll::State::failed) span.fail(name_of(ErrorCode::roll_failed));
  span.end();
  metrics_.in_progress.Decrement();
  count(die, "async", result);
  metrics_.async_rolls.Add({{"die_type", die.identifier}, {"result", name_of(result.state)}}).Increment();

  const auto message = message_of(result.state);
  if (result.state == Roll::State::succeeded) {
    const std::int64_t value = result.value;
    request.span->event(text_of(message), {{attribute::kRollIndex, position}, {attribute::kDieResult, value}});
    log_.log(message, &span.context(), {{"die_type", die.identifier}, {"roll_index", position}, {"roll_value", value}});
  } else {
    request.span->event(text_of(message), {{attribute::kRollIndex, position}});
    log_.log(message, &span.context(), {{"die_type", die.identifier}, {"roll_index", position}});
  }
  return result;
}

void RollTelemetry::batch_ended(const Request& request, const Die& die, const BatchResult& result,
                                const BatchAnswer& answer, Seconds duration) {
  metrics_.batch_duration.observe(duration.count(), request.trace());
  metrics_.batches.Add({{"die_type", die.identifier}, {"result", name_of(result.outcome)}}).Increment();
  const auto times = static_cast<std::int64_t>(result.rolls.size());
  const auto failed = static_cast<std::int64_t>(answer.failed.size());
  switch (result.outcome) {
    case BatchResult::Outcome::cancelled:
      log_.log(LogMessage::batch_cancelled, &request.trace(),
               {{"die_type", die.identifier}, {"times", times}, {"duration", duration.count()}});
      return;
    case BatchResult::Outcome::failure:
      log_.log(LogMessage::batch_failed, &request.trace(),
               {{"die_type", die.identifier}, {"times", times}, {"failed", failed}, {"duration", duration.count()}});
      return;
    case BatchResult::Outcome::success:
    case BatchResult::Outcome::partial: break;
  }
  request.span->set(attribute::kTotalResult, answer.total);
  log_.log(LogMessage::batch_completed, &request.trace(),
           {{"die_type", die.identifier},
            {"times", times},
            {"total", answer.total},
            {"rolls", std::span<const std::int64_t>(answer.rolls)},
            {"failed", failed},
            {"duration", duration.count()}});
}

}  // namespace dice

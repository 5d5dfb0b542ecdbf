#include "loadgen/verify/probe.h"

#include "contract/error.h"

namespace dice::loadgen {
namespace {

constexpr const char* kUnknownDie = "no-such-die";

Probe rolling(const std::string& name, RollRequest request, Probe::Wants wants, bool may_fail = false) {
  Probe probe{.name = name, .wants = wants, .request = std::move(request), .may_fail = may_fail};
  probe.path = probe.request.path();
  probe.route = probe.request.route();
  return probe;
}

Probe rolls(RollRequest request, bool may_fail) {
  const bool batch = request.times.has_value();
  auto name = batch ? "batch of " + std::to_string(*request.times) + " " + request.die : "roll of " + request.die;
  if (request.strategy) name.append(", ").append(name_of(*request.strategy));
  if (request.concurrency) name += ", " + std::to_string(*request.concurrency) + " at a time";
  return rolling(name, std::move(request), batch ? Probe::Wants::batch : Probe::Wants::roll, may_fail);
}

Probe bad(const std::string& parameter, const std::string& value, const std::string& path) {
  return {.name = "bad parameter " + parameter + "=" + value,
          .wants = Probe::Wants::bad_parameter,
          .path = path,
          .route = route::kRollAsync,
          .parameter = parameter};
}

}  // namespace

std::vector<Probe> make_probes(const ProbeOptions& options) {
  using Wants = Probe::Wants;
  std::vector<Probe> probes;
  const auto& die = options.die;
  // The more traces, the sooner it shows that some are sampled away.
  const std::size_t lists = options.quiet ? 4 : 1;
  const int singles = options.quiet ? 4 : 2;
  probes.assign(lists, {.name = "list of dice", .wants = Wants::list, .path = route::kDice, .route = route::kDice});
  for (int i = 0; i < singles; ++i) probes.push_back(rolls({.die = die}, false));
  for (const int times : {1, 2, 5, 10}) {
    probes.push_back(rolls({.die = die, .times = times}, false));
  }
  for (const auto& row : kStrategies) {
    if (options.quiet && row.until == StrategyRow::Until::success) continue;  // which rolls end depends on time
    probes.push_back(rolls({.die = die, .times = 4, .strategy = row.strategy}, false));
  }
  if (options.concurrency) {
    probes.push_back(rolls({.die = die, .times = 6, .concurrency = 3}, false));
  }
  probes.push_back(rolling("roll of an unknown die", {.die = kUnknownDie}, Wants::unknown_die));
  if (options.quiet) return probes;
  if (!options.risky_die.empty()) {
    const auto& risky = options.risky_die;
    for (int i = 0; i < 5; ++i) probes.push_back(rolls({.die = risky}, true));
    for (const auto& row : kStrategies) {
      for (int i = 0; i < 2; ++i) {
        probes.push_back(rolls({.die = risky, .times = 10, .strategy = row.strategy}, true));
      }
    }
  }
  probes.push_back(rolling("batch of an unknown die", {.die = kUnknownDie, .times = 3}, Wants::unknown_die));
  for (const auto* times : {"0", "many", "1000001"}) {
    probes.push_back(bad("times", times, "/roll-async?die=" + die + "&times=" + times));
  }
  probes.push_back(bad("strategy", "sometimes", "/roll-async?die=" + die + "&times=2&strategy=sometimes"));
  probes.push_back(
      {.name = "unknown path", .wants = Wants::unknown_path, .path = "/no-such-path", .route = route::kUnmatched});
  probes.push_back({.name = "wrong method",
                    .wants = Wants::wrong_method,
                    .method = "PUT",
                    .path = "/roll?die=" + die,
                    .route = route::kRoll});
  return probes;
}

Outcome outcome_of(const Sent& sent) {
  using Wants = Probe::Wants;
  const auto is = [&sent](ErrorCode code) {
    return sent.answer.status == status_of(code) && sent.answer.error_code == name_of(code);
  };
  const bool good = sent.answer.status == 200;
  switch (sent.probe.wants) {
    case Wants::list: return good ? Outcome::good : Outcome::wrong;
    case Wants::roll:
    case Wants::batch: {
      const auto failure = sent.probe.wants == Wants::roll ? ErrorCode::roll_failed : ErrorCode::batch_failed;
      return good ? Outcome::good : sent.probe.may_fail && is(failure) ? Outcome::roll_failed : Outcome::wrong;
    }
    case Wants::unknown_die: return is(ErrorCode::die_not_found) ? Outcome::no_die : Outcome::wrong;
    case Wants::bad_parameter: return is(ErrorCode::invalid_parameter) ? Outcome::rejected : Outcome::wrong;
    case Wants::unknown_path: return is(ErrorCode::not_found) ? Outcome::rejected : Outcome::wrong;
    case Wants::wrong_method: break;
  }
  return is(ErrorCode::method_not_allowed) ? Outcome::rejected : Outcome::wrong;
}

bool all_failed(const Sent& sent) {
  return sent.probe.wants == Probe::Wants::batch && !sent.answer.succeeded() &&
         sent.probe.until() != StrategyRow::Until::failure;
}

bool has_all_rolls(const Sent& sent) {
  const auto& answer = sent.answer;
  if (!answer.succeeded()) return all_failed(sent);
  const auto count = (answer.rolls ? answer.rolls->size() : 0) + (answer.failed ? answer.failed->size() : 0);
  return std::cmp_equal(count, sent.probe.times());
}

bool reached_roller(const Sent& sent) {
  const auto outcome = outcome_of(sent);
  return outcome == Outcome::roll_failed || outcome == Outcome::no_die ||
         (outcome == Outcome::good && sent.probe.wants != Probe::Wants::list);
}

}  // namespace dice::loadgen

// The known requests of verify.
#pragma once

#include <string>
#include <vector>

#include "common/concurrency/clock.h"
#include "common/telemetry/trace_context.h"
#include "contract/names.h"
#include "contract/roll.h"
#include "loadgen/model/answer.h"

namespace dice::loadgen {

struct Probe {
  enum class Wants { list, roll, batch, unknown_die, bad_parameter, unknown_path, wrong_method };

  std::string name;
  Wants wants = Wants::list;
  /// For those that are rolls of a die, known or not.
  RollRequest request = {};
  std::string method = "GET";
  std::string path = {};
  /// The route's template, "_unmatched" for an unknown path.
  std::string route = {};
  /// The die is one whose rolls may fail.
  bool may_fail = false;
  /// Which the message of a 400 must name.
  std::string parameter = {};

  /// Of its own, so that its trace is known in advance: the parent of the frontend's span is `context`'s.
  TraceContext context = {};

  /// Of a batch, else 0.
  int times() const { return request.times.value_or(0); }
  /// What ends the batch, provided that the server's default strategy is the usual one.
  StrategyRow::Until until() const { return describe(request.strategy.value_or(kDefaultStrategy)).until; }
  std::string trace_id() const { return to_hex(context.trace_id); }
};

struct ProbeOptions {
  std::string die = "fair";
  /// Empty = there is none.
  std::string risky_die = "risky";
  /// Ask for batches on fewer threads than rolls, too.
  bool concurrency = true;
};

/// Their contexts are still to be set.
std::vector<Probe> make_probes(const ProbeOptions& options);

/// A probe and its answer.
struct Sent {
  Probe probe;
  Answer answer;
  TimePoint answered{};
};

/// How a request ended, as far as its telemetry depends on it.
enum class Outcome {
  /// 200.
  good,
  /// roll_failed or batch_failed of a die that may fail.
  roll_failed,
  /// die_not_found, as expected.
  no_die,
  /// Rejected by the frontend, as expected.
  rejected,
  /// Not as the contract requires.
  wrong,
};
Outcome outcome_of(const Sent& sent);

/// All rolls of the batch failed, and its strategy does not end with the first failure.
bool all_failed(const Sent& sent);
/// The answer of the batch alone tells what became of each roll.
bool tells_all_rolls(const Sent& sent);

/// The frontend called dice-roller.
bool reached_roller(const Sent& sent);

}  // namespace dice::loadgen

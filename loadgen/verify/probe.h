// The probes of verify: requests with a known result.
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
  /// For roll requests, whether the die exists or not.
  RollRequest request = {};
  std::string method = "GET";
  std::string path = {};
  /// The route's template, "_unmatched" for an unknown path.
  std::string route = {};
  /// The die is one whose rolls may fail.
  bool may_fail = false;
  /// The parameter that the message of a 400 must name.
  std::string parameter = {};

  /// Sent as the parent, so that the trace id is known in advance.
  TraceContext context = {};

  /// Number of rolls of a batch, otherwise 0.
  int times() const { return request.times.value_or(0); }
  /// What ends the batch, assuming that the server's default strategy is not changed.
  StrategyRow::Until until() const { return describe(request.strategy.value_or(kDefaultStrategy)).until; }
  std::string trace_id() const { return to_hex(context.trace_id); }
};

struct ProbeOptions {
  std::string die = "fair";
  /// Empty = no such die.
  std::string risky_die = "risky";
  /// Also send batches with fewer threads than rolls.
  bool concurrency = true;
  /// For checks that are repeated all day: no request that fails on purpose, except that one asks for an unknown die,
  /// so that an error passes through as well. What each must cause is known from its answer alone, even if its trace is
  /// lost.
  bool quiet = false;
};

/// The caller sets their contexts.
std::vector<Probe> make_probes(const ProbeOptions& options);

/// A probe and its answer.
struct Sent {
  Probe probe;
  Answer answer;
  TimePoint answered{};
};

/// The outcome of a request, which determines its telemetry.
enum class Outcome {
  /// 200.
  good,
  /// roll_failed or batch_failed, for a die that may fail.
  roll_failed,
  /// die_not_found, as expected.
  no_die,
  /// Rejected by the frontend, as expected.
  rejected,
  /// Violates the contract.
  wrong,
};
Outcome outcome_of(const Sent& sent);

/// Whether all rolls of the batch failed, and its strategy is not to end with the first failure.
bool all_failed(const Sent& sent);
/// Whether the response shows the result of every roll of the batch.
bool has_all_rolls(const Sent& sent);

/// Whether the frontend called dice-roller.
bool reached_roller(const Sent& sent);

}  // namespace dice::loadgen

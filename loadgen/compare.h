// loadgen compare: compares sequential rolls with concurrent ones that have the same delays.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <string>
#include <vector>

#include "common/concurrency/clock.h"
#include "loadgen/sources/traces.h"
#include "loadgen/target.h"

namespace dice::loadgen {

/// One batch: its duration for the user, and the duration of each of its rolls, from its trace.
struct BatchRun {
  double seconds = 0;
  std::vector<double> roll_seconds = {};
};

/// The batches with the same number of threads.
struct Concurrent {
  std::size_t threads = 1;
  std::vector<BatchRun> runs = {};

  /// Sum of the rolls' durations ÷ duration of the batches: how much faster than the same rolls in sequence.
  double measured_speedup() const;
  /// The same sum ÷ the minimum time on that many threads; with one thread per roll, ÷ the longest roll.
  double possible_speedup() const;
  double efficiency() const { return measured_speedup() / possible_speedup(); }
};

struct Comparison {
  std::string target;
  std::string die;
  int rolls = 0;
  /// Duration of `rolls` sequential requests, one entry per iteration.
  std::vector<double> sequential_seconds = {};
  std::vector<Concurrent> concurrent = {};
};

std::string to_table(const Comparison& comparison);
std::string to_json(const Comparison& comparison);

class Compare {
 public:
  struct Options {
    std::string die = "fair";
    int rolls = 10;
    int iterations = 5;
    /// Threads of the batches; empty = one per roll.
    std::vector<int> threads = {};
    /// Maximum wait for a batch's trace to be complete.
    Seconds deadline{30};
  };

  /// All references must outlive this object.
  Compare(Options options, Target& target, TraceSource& traces, Clock& clock)
      : options_(std::move(options)), target_(target), traces_(traces), clock_(clock) {}

  /// The error is one line that names the failed request and the reason.
  std::expected<Comparison, std::string> run();

 private:
  std::expected<double, std::string> sequential(std::int64_t seed);
  std::expected<BatchRun, std::string> batch(std::int64_t seed, int threads);
  std::expected<std::vector<double>, std::string> roll_seconds(const std::string& trace_id);

  const Options options_;
  Target& target_;
  TraceSource& traces_;
  Clock& clock_;
};

}  // namespace dice::loadgen

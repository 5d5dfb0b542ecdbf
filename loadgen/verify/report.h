// The report of verify, as a table, JSON and JUnit XML.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "loadgen/verify/counts.h"
#include "loadgen/verify/diagnosis.h"
#include "loadgen/verify/finding.h"

namespace dice::loadgen {

struct Report {
  struct Case {
    /// One of `kSignals`.
    std::string signal;
    std::string subject;
    /// Empty if the case is not about a single request.
    std::string trace_id;
    std::vector<Finding> findings;
    /// Time from the response until the telemetry was complete; empty if it never was.
    std::optional<double> seconds;
  };

  struct Signal {
    /// One of `kSignals`.
    std::string name;
    Counts counts = {};
    /// Whether its source could be read in the last attempt.
    bool readable = true;
    /// Time from the response until it was complete, of the last request; empty if it never was.
    std::optional<double> seconds = {};

    bool complete() const { return readable && counts.complete(); }
  };

  std::string target;
  std::vector<Case> cases;
  /// Those that are checked.
  std::vector<Signal> signals;
  /// Likely causes.
  std::vector<Cause> causes;
  /// Signals that were not checked, and why.
  std::vector<std::string> not_checked;
  double seconds = 0;
  /// How often the probes were sent: once, and again after each time that a replica was replaced.
  int windows = 1;
  /// Services of which a replica was replaced in the last window, too: then the report says nothing else.
  std::vector<std::string> replaced;

  bool passed() const;
};

std::string to_table(const Report& report);
std::string to_json(const Report& report);
std::string to_junit(const Report& report);

}  // namespace dice::loadgen

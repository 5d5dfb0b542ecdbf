// What verify found, for people and for programs.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "loadgen/verify/finding.h"

namespace dice::loadgen {

struct Report {
  struct Case {
    /// answers, traces, logs, metrics, walk.
    std::string signal;
    std::string subject;
    /// Empty when it is about no single request.
    std::string trace_id;
    std::vector<Finding> findings;
    /// From the answer until all was there; nothing when it never was.
    std::optional<double> seconds;
  };

  std::string target;
  std::vector<Case> cases;
  /// What is broken as a whole, in one line each.
  std::vector<std::string> causes;
  /// Signals that nobody looked at, and why.
  std::vector<std::string> not_checked;
  double seconds = 0;

  bool held() const;
};

std::string to_table(const Report& report);
std::string to_json(const Report& report);
std::string to_junit(const Report& report);

}  // namespace dice::loadgen

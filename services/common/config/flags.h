// Command-line flags, presented as an environment for Settings.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/config/settings.h"

namespace dice {

/// Parses --name=value, --name value, and --name (which means "true"). In the environment, the name of a flag is
/// "--name". The value of a flag that is not given comes from a variable: with the prefix "LOADGEN_", --min-efficiency
/// is read from LOADGEN_MIN_EFFICIENCY.
class Flags {
 public:
  /// `arguments` contains only flags and their values.
  Flags(const std::vector<std::string>& arguments, std::string prefix, Environment environment);

  /// This object must outlive the result.
  Environment environment() const;
  std::string variable_of(const std::string& flag) const;
  /// Errors for arguments that are not in `options` or have no value.
  std::vector<std::string> errors(const std::vector<Settings::Option>& options) const;

 private:
  const std::string prefix_;
  const Environment environment_;
  /// Empty for a flag without a value.
  std::map<std::string, std::optional<std::string>> values_;
  std::vector<std::string> not_flags_;
};

}  // namespace dice

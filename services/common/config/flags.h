// Flags of a command line, as an environment for Settings.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/config/settings.h"

namespace dice {

/// Flags --name=value, --name value, or --name for "true", as an environment in which a flag's name is "--name". A flag
/// that is not given has the value of its variable: with the prefix "LOADGEN_", --min-efficiency is
/// LOADGEN_MIN_EFFICIENCY.
class Flags {
 public:
  /// `arguments` are flags and their values.
  Flags(const std::vector<std::string>& arguments, std::string prefix, Environment environment);

  /// This outlives it.
  Environment environment() const;
  std::string variable_of(const std::string& flag) const;
  /// Arguments that are not among `options` or lack their value.
  std::vector<std::string> errors(const std::vector<Settings::Option>& options) const;

 private:
  const std::string prefix_;
  const Environment environment_;
  /// Nothing for a flag without a value.
  std::map<std::string, std::optional<std::string>> values_;
  std::vector<std::string> not_flags_;
};

}  // namespace dice

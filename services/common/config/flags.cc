#include "common/config/flags.h"

#include <algorithm>
#include <cctype>
#include <utility>

#include "common/base/utf8.h"

namespace dice {

Flags::Flags(const std::vector<std::string>& arguments, std::string prefix, Environment environment)
    : prefix_(std::move(prefix)), environment_(std::move(environment)) {
  std::optional<std::string>* open = nullptr;  // the value of the previous flag, if it may follow
  for (const auto& argument : arguments) {
    if (argument.starts_with("--")) {
      const auto equals = argument.find('=');
      auto& value = values_[argument.substr(0, equals)];
      open = equals == std::string::npos ? &value : nullptr;
      if (open == nullptr) value = argument.substr(equals + 1);
      else value.reset();
    } else if (open != nullptr) {
      *std::exchange(open, nullptr) = argument;
    } else {
      not_flags_.push_back(argument);
    }
  }
}

std::string Flags::variable_of(const std::string& flag) const {
  auto name = prefix_ + flag.substr(2);
  for (auto& c : name) c = c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return name;
}

Environment Flags::environment() const {
  return [this](const std::string& flag) -> std::optional<std::string> {
    const auto found = values_.find(flag);
    if (found == values_.end()) return environment_(variable_of(flag));
    if (found->second == "") return std::nullopt;
    return found->second.value_or("true");
  };
}

std::vector<std::string> Flags::errors(const std::vector<Settings::Option>& options) const {
  std::vector<std::string> errors;
  errors.reserve(not_flags_.size() + values_.size());
  for (const auto& argument : not_flags_) errors.push_back("unknown argument \"" + printable(argument) + "\"");
  for (const auto& [flag, value] : values_) {
    const auto option = std::ranges::find(options, flag, &Settings::Option::name);
    if (option == options.end()) errors.push_back("unknown flag \"" + printable(flag) + "\"");
    else if (!value && option->allowed == "text") errors.push_back(flag + " requires a value");
  }
  return errors;
}

}  // namespace dice

// Typed options from environment variables; the declarations also define the text of --help.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dice {

/// Looks up a variable. An empty value counts as unset.
using Environment = std::function<std::optional<std::string>(const std::string& name)>;

Environment process_environment();

/// Each call declares an option and reads it. For an invalid value, an error is recorded and the default returned, so
/// that all errors are reported together. Not thread-safe; used at startup.
///
/// OTEL_* variables follow OpenTelemetry's rules instead, because an operator may set them for all programs of a
/// cluster: flags and choices are case-insensitive, a flag is true only if its value is "true", and an invalid value is
/// a warning.
class Settings {
 public:
  struct Option {
    std::string name;
    std::string default_value;
    std::string allowed;
    std::string help;
  };
  /// An invalid value, and the value used instead.
  struct Warning {
    std::string name;
    std::string value;
    std::string used;
  };

  explicit Settings(Environment environment) : environment_(std::move(environment)) {}

  std::string text(const std::string& name, const std::string& default_value, std::string help);
  /// http:// or https://, a host, perhaps a port and a path, and nothing else; without a trailing slash.
  /// `default_value` may be empty.
  std::string url(const std::string& name, const std::string& default_value, std::string help);
  /// A comma-separated list of them.
  std::vector<std::string> urls(const std::string& name, std::vector<std::string> default_value, std::string help);
  std::int64_t integer(const std::string& name, std::int64_t default_value, std::int64_t min, std::int64_t max,
                       std::string help);
  double number(const std::string& name, double default_value, double min, double max, std::string help);
  bool flag(const std::string& name, bool default_value, std::string help);
  std::string choice(const std::string& name, const std::string& default_value, const std::vector<std::string>& allowed,
                     std::string help);
  /// A comma-separated list of choices; only for OTEL_* variables. Unknown members are ignored; if all are unknown, the
  /// default applies.
  std::vector<std::string> choices(const std::string& name, const std::string& default_value,
                                   const std::vector<std::string>& allowed, std::string help);

  /// A comma-separated list. `element` checks each element and may change it; `allowed` describes what it accepts.
  std::vector<std::string> list(const std::string& name, std::vector<std::string> default_value,
                                const std::function<bool(std::string&)>& element, const std::string& allowed,
                                std::string help);

  /// Adds an error, for rules that involve several options. It is one line, whatever `value` is; `why`, if given, says
  /// what is wrong with it.
  void error(const std::string& name, const std::string& value, const std::string& allowed,
             const std::string& why = "");

  const std::vector<Option>& options() const { return options_; }
  const std::vector<std::string>& errors() const { return errors_; }
  /// The text of --help for all options; `label` formats a name.
  std::string help(const std::function<std::string(const std::string&)>& label) const;
  const std::vector<Warning>& warnings() const { return warnings_; }

  /// Handles --help, --version, --healthcheck and errors. Returns the exit code, or nothing if the program should
  /// continue.
  std::optional<int> finish(int argc, const char* const* argv, std::string_view about,
                            const std::function<int()>& healthcheck) const;

 private:
  std::optional<std::string> declare(Option option);
  /// Adds an error, or a warning for an OTEL_* variable.
  void reject(const std::string& name, const std::string& value, const std::string& allowed, const std::string& used,
              const std::string& why = "");
  /// Removes trailing slashes from a valid URL; rejects any other.
  bool accept_url(const std::string& name, std::string& url, const std::string& used);

  Environment environment_;
  std::vector<Option> options_;
  std::vector<std::string> errors_;
  std::vector<Warning> warnings_;
};

}  // namespace dice

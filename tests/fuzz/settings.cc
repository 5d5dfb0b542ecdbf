// The environment of a service, and the command line of loadgen. The input: NAME=VALUE or arguments, one a line.
#include "common/config/settings.h"

#include <map>
#include <sstream>

#include "common/config/flags.h"
#include "common/service.h"
#include "fuzz/targets.h"
#include "loadgen/options.h"

namespace dice::fuzz {

void settings(std::string_view input) {
  std::map<std::string, std::string> variables;
  std::vector<std::string> arguments = {"loadgen"};
  for (const auto line : parts(input, '\n')) {
    const std::string text(line.substr(0, line.find('\0')));
    if (const auto equals = text.find('='); equals != std::string::npos) {
      variables[text.substr(0, equals)] = text.substr(equals + 1);
    }
    arguments.push_back(text);
  }
  Settings settings([&](const std::string& name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    if (found == variables.end() || found->second.empty()) return std::nullopt;
    return found->second;
  });
  const auto options = Service::declare(settings, "fuzz", 8400);
  require(options.listener.connection.header_timeout.count() >= 0.1, "HTTP_HEADER_TIMEOUT_SECONDS");
  require(options.listener.max_connections >= 1 && options.max_requests >= 1, "a limit is 0");
  require(options.tracing.sampler_ratio >= 0 && options.tracing.sampler_ratio <= 1, "OTEL_TRACES_SAMPLER_ARG");
  require(options.tracing.queue.batch_size <= options.tracing.queue.queue_size, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE");
  for (const auto& [name, value] : options.tracing.otlp.headers) {
    require(is_one_line(name) && (value.empty() || is_one_line(value)), "OTEL_EXPORTER_OTLP_HEADERS");
  }
  for (const auto& [name, value] : variables) {
    auto url = value;
    if (!normalize_url(url)) continue;
    auto again = url;
    require(normalize_url(again) && again == url, "another URL after it was normalized again");
  }

  std::vector<const char*> argv;
  for (const auto& argument : arguments) argv.push_back(argument.c_str());
  std::ostringstream out;
  std::ostringstream err;
  const auto command = loadgen::parse_command(static_cast<int>(argv.size()), argv.data(), out, err);
  if (const auto* code = std::get_if<int>(&command)) {
    require(
        (*code == loadgen::kPassed && !out.view().empty()) || (*code == loadgen::kUsageError && !err.view().empty()),
        "it ends without a word");
  }
}

}  // namespace dice::fuzz

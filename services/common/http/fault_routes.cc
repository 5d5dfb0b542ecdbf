#include "common/http/fault_routes.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>
#include <vector>

#include "common/base/json.h"
#include "common/base/json_view.h"
#include "contract/names.h"
#include "contract/parameters.h"

namespace dice {
namespace {

struct NumberField {
  std::string_view name;
  int max;
};
constexpr NumberField kDelay{"delay_seconds", 60};
constexpr NumberField kErrorRate{"error_rate", 1};
constexpr NumberField kDuration{"duration_seconds", 300};
constexpr std::string_view kUnavailable = "unavailable";

std::unexpected<Error> invalid(std::string message) {
  return std::unexpected(Error{ErrorCode::invalid_parameter, std::move(message)});
}

}  // namespace

std::expected<Faults::Setting, Error> parse_faults(const std::string& body) {
  const auto document = parse_json(body);
  if (!document || !document->IsObject()) {
    return invalid(R"(the body must be a JSON object such as {"delay_seconds":0.5,"error_rate":0.1})");
  }
  Faults::Setting setting;
  for (const auto& [name, value] : JsonView(*document).members()) {
    if (name == kUnavailable) {
      const auto flag = value.boolean();
      if (!flag) return invalid("'unavailable' must be true or false");
      setting.unavailable = *flag;
      continue;
    }
    constexpr std::array kNumbers = {kDelay, kErrorRate, kDuration};
    const auto* const field = std::ranges::find(kNumbers, name, &NumberField::name);
    if (field == kNumbers.end()) {
      return invalid(in_quotes(name) +
                     " is not a field; allowed: delay_seconds, error_rate, unavailable, duration_seconds");
    }
    const auto number = value.number();
    const bool positive = name == kDuration.name;
    if (!number || *number < 0 || *number > field->max || (positive && *number == 0)) {
      return invalid("'" + std::string(name) + "' must be a number from 0 to " + std::to_string(field->max) +
                     (positive ? ", but not 0" : ""));
    }
    if (name == kDelay.name) setting.delay_seconds = *number;
    if (name == kErrorRate.name) setting.error_rate = *number;
    if (name == kDuration.name) setting.remaining = Seconds(*number);
  }
  return setting;
}

Response show_faults(const Faults& faults) {
  const auto setting = faults.get();
  return {.body = json_object([&](JsonWriter& writer) {
            write_member(writer, kDelay.name, setting.delay_seconds);
            write_member(writer, kErrorRate.name, setting.error_rate);
            write_member(writer, kUnavailable, setting.unavailable);
            if (setting.remaining) {
              write_member(writer, "remaining_seconds", std::ceil(setting.remaining->count() * 1000) / 1000);
            }
          })};
}

Response set_faults(Faults& faults, const Faults::Setting& setting, const Logger& log) {
  faults.set(setting);
  std::vector<Field> fields = {
      {kDelay.name, setting.delay_seconds}, {kErrorRate.name, setting.error_rate}, {kUnavailable, setting.unavailable}};
  if (setting.remaining) fields.push_back({kDuration.name, setting.remaining->count()});
  log.log(level_of(LogMessage::fault_set), text_of(LogMessage::fault_set), nullptr, fields);
  return show_faults(faults);
}

void add_fault_routes(Server& server, Faults& faults, const Logger& log) {
  const auto get = [&faults](const Request&) -> Result { return show_faults(faults); };
  const auto put = [&faults, log](const Request& request) -> Result {
    const auto setting = parse_faults(request.body);
    if (!setting) return std::unexpected(setting.error());
    return set_faults(faults, *setting, log);
  };
  server.add({.path = route::kFaults, .handler = get, .uninstrumented = true});
  server.add({.method = Method::put, .path = route::kFaults, .handler = put, .uninstrumented = true});
}

}  // namespace dice

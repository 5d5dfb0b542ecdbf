#include "common/http/fault_routes.h"

#include <expected>
#include <string>

#include "common/base/json.h"
#include "common/base/json_view.h"
#include "contract/names.h"

namespace dice {
namespace {

std::expected<Faults::Setting, Error> parse_faults(const std::string& body) {
  constexpr double kMaxDelay = 60;
  const auto invalid = [](const std::string& message) {
    return std::unexpected(Error{ErrorCode::invalid_parameter, message});
  };
  const auto document = parse_json(body);
  if (!document || !document->IsObject()) {
    return invalid(R"(the body must be a JSON object such as {"delay_seconds":0.5,"error_rate":0.1})");
  }
  Faults::Setting setting;
  for (const auto& [name, value] : JsonView(*document).members()) {
    const bool delay = name == "delay_seconds";
    if (!delay && name != "error_rate") {
      return invalid(in_quotes(name) + " is not a field; allowed: delay_seconds, error_rate");
    }
    const double max = delay ? kMaxDelay : 1;
    const auto number = value.number();
    if (!number || *number < 0 || *number > max) {
      return invalid("'" + std::string(name) + "' must be a number from 0 to " + std::to_string(static_cast<int>(max)));
    }
    (delay ? setting.delay_seconds : setting.error_rate) = *number;
  }
  return setting;
}

Response show(const Faults::Setting& setting) {
  return {.body = json_object([&](JsonWriter& writer) {
            write_member(writer, "delay_seconds", setting.delay_seconds);
            write_member(writer, "error_rate", setting.error_rate);
          })};
}

}  // namespace

void add_fault_routes(Server& server, Faults& faults, const Logger& log) {
  const auto get = [&faults](const Request&) -> Result { return show(faults.get()); };
  const auto put = [&faults, log](const Request& request) -> Result {
    const auto setting = parse_faults(request.body);
    if (!setting) return std::unexpected(setting.error());
    faults.set(*setting);
    log.log(LogMessage::fault_set, nullptr,
            {{"delay_seconds", setting->delay_seconds}, {"error_rate", setting->error_rate}});
    return show(*setting);
  };
  server.add({.path = route::kFaults, .handler = get, .uninstrumented = true});
  server.add({.method = Method::put, .path = route::kFaults, .handler = put, .uninstrumented = true});
}

}  // namespace dice

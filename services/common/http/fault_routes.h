// GET and PUT /debug/faults: show and set the injected faults.
#pragma once

#include <expected>
#include <string>

#include "common/http/faults.h"
#include "common/http/server.h"

namespace dice {

/// The body of a PUT; the error names the field and the allowed values.
std::expected<Faults::Setting, Error> parse_faults(const std::string& body);

/// The setting in force.
Response show_faults(const Faults& faults);

/// Sets, logs and shows it.
Response set_faults(Faults& faults, const Faults::Setting& setting, const Logger& log);

/// Call before the server starts. `faults` must outlive it.
void add_fault_routes(Server& server, Faults& faults, const Logger& log);

}  // namespace dice

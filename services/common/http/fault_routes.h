// GET and PUT /debug/faults: show and set the injected faults.
#pragma once

#include "common/http/faults.h"
#include "common/http/server.h"

namespace dice {

/// Call before the server starts. `faults` must outlive it.
void add_fault_routes(Server& server, Faults& faults, const Logger& log);

}  // namespace dice

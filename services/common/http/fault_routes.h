// GET and PUT /debug/faults: shows and sets what is injected.
#pragma once

#include "common/http/faults.h"
#include "common/http/server.h"

namespace dice {

/// Before the server's start. `faults` outlives it.
void add_fault_routes(Server& server, Faults& faults, const Logger& log);

}  // namespace dice

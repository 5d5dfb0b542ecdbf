// Process setup before the first thread is started.
#pragma once

#include <cstddef>

namespace dice {

/// Call first in main, before any thread exists: blocks signals as described in signals.h, ignores SIGPIPE, limits
/// malloc to one heap per core, and raises the limit on open descriptors to the maximum.
void prepare_process();

/// Maximum number of open descriptors.
std::size_t descriptor_limit();

}  // namespace dice

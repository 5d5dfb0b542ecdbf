// Process setup before the first thread is started, and signals.
#pragma once

#include <chrono>
#include <cstddef>

namespace dice {

/// Call first in main, before any thread exists: blocks SIGTERM, SIGINT and SIGHUP for `wait_for_signal`, ignores
/// SIGPIPE, and raises the limit on open descriptors to the maximum.
void prepare_process();

/// The received signal (one of those three), or 0 after `limit`.
int wait_for_signal(std::chrono::duration<double> limit);

/// SIGTERM or SIGINT.
bool asks_to_end(int signal);

/// Maximum number of open descriptors.
std::size_t descriptor_limit();

}  // namespace dice

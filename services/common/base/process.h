// What a process sets up before its first thread, and how it is told to stop.
#pragma once

#include <chrono>
#include <cstddef>

namespace dice {

/// First thing in main, before any thread: SIGTERM, SIGINT and SIGHUP are blocked for `wait_for_signal`, a broken pipe
/// is an error like others, and as many descriptors may be open as the system allows.
void prepare_process();

/// The signal of those three that came, or 0 after `limit`.
int wait_for_signal(std::chrono::duration<double> limit);

/// SIGTERM or SIGINT.
bool asks_to_end(int signal);

/// Descriptors that may be open at once.
std::size_t descriptor_limit();

}  // namespace dice

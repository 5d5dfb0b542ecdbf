// How a process is told to stop, or to reload: SIGTERM, SIGINT and SIGHUP.
#pragma once

#include <chrono>
#include <functional>

namespace dice {

/// Before any thread: the three are delivered only through the functions below.
void block_signals();

/// The one of the three that arrived, or 0 after `limit`.
int wait_for_signal(std::chrono::duration<double> limit);

/// SIGTERM or SIGINT.
bool is_stop_signal(int signal);

/// Returns at the first SIGTERM or SIGINT. Until then `on_hangup` runs on SIGHUP and `every_second` every second, both
/// on this thread; either may be empty.
void wait_for_stop(const std::function<void()>& on_hangup, const std::function<void()>& every_second);

/// Polls until `done` returns true, for at most `limit`. A SIGTERM or SIGINT meanwhile, which is the second, ends the
/// process at once with 128 + its number.
void wait_until(const std::function<bool()>& done, std::chrono::duration<double> limit);

}  // namespace dice

// Handling of SIGTERM and SIGINT (stop) and SIGHUP (reload).
#pragma once

#include <chrono>
#include <functional>

namespace dice {

/// Call before the first thread starts: afterwards, these signals are received only through the functions below.
void block_signals();

/// Waits for one of these signals and returns it, or 0 after `limit`.
int wait_for_signal(std::chrono::duration<double> limit);

/// Whether it is SIGTERM or SIGINT.
bool is_stop_signal(int signal);

/// Returns at the first SIGTERM or SIGINT. Until then `on_hangup` runs on SIGHUP and `every_second` every second, both
/// on this thread; either may be empty.
void wait_for_stop(const std::function<void()>& on_hangup, const std::function<void()>& every_second);

/// Polls until `done` returns true, for at most `limit`. Another SIGTERM or SIGINT ends the process immediately with
/// the exit code 128 + its number.
void wait_until(const std::function<bool()>& done, std::chrono::duration<double> limit);

}  // namespace dice

// What a process sets up before its first thread.
#pragma once

#include <cstddef>

namespace dice {

/// First thing in main, before any thread: signals are blocked as in signals.h, a broken pipe is an error like others,
/// and as many descriptors may be open as the system allows.
void prepare_process();

/// Descriptors that may be open at once.
std::size_t descriptor_limit();

}  // namespace dice

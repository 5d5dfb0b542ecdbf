// Waiting for a condition with a deadline.
#pragma once

#include <chrono>
#include <thread>

namespace dice::test {

/// Polls until `condition` is true; false after `limit`.
template <typename Condition>
bool eventually(const Condition& condition, std::chrono::seconds limit = std::chrono::seconds(20)) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

}  // namespace dice::test

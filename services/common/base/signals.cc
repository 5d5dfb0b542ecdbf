#include "common/base/signals.h"

#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <ctime>

namespace dice {
namespace {

using std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

sigset_t our_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, signal);
  return set;
}

}  // namespace

void block_signals() {
  const auto set = our_signals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

int wait_for_signal(Seconds limit) {
  const auto set = our_signals();
  const auto nanoseconds = std::chrono::duration_cast<std::chrono::nanoseconds>(limit).count();
  const timespec timeout{nanoseconds / 1'000'000'000, nanoseconds % 1'000'000'000};
  const int signal = sigtimedwait(&set, nullptr, &timeout);
  return signal > 0 ? signal : 0;
}

bool is_stop_signal(int signal) { return signal == SIGTERM || signal == SIGINT; }

void wait_for_stop(const std::function<void()>& on_hangup, const std::function<void()>& every_second) {
  for (auto tick = steady_clock::now();;) {
    tick += std::chrono::seconds(1);
    int signal = 0;
    do {
      signal = wait_for_signal(std::max<Seconds>(tick - steady_clock::now(), Seconds(0)));
      if (signal == SIGHUP && on_hangup) on_hangup();
    } while (signal == SIGHUP);
    if (is_stop_signal(signal)) return;
    if (every_second) every_second();
  }
}

void wait_until(const std::function<bool()>& done, Seconds limit) {
  constexpr Seconds kPause{0.005};
  const auto deadline = steady_clock::now() + std::chrono::duration_cast<steady_clock::duration>(limit);
  while (!done() && steady_clock::now() < deadline) {
    if (const int signal = wait_for_signal(kPause); is_stop_signal(signal)) ::_exit(128 + signal);
  }
}

}  // namespace dice

#include "common/concurrency/clock.h"

#include <condition_variable>
#include <mutex>

namespace dice {

bool SteadyClock::sleep(Seconds duration, const std::stop_token& stop) {
  if (duration <= Seconds(0)) return !stop.stop_requested();  // the wait would end only after a system call
  std::mutex mutex;
  std::condition_variable_any stopped;
  std::unique_lock lock(mutex);
  stopped.wait_for(lock, stop, to_steady(duration), [&stop] { return stop.stop_requested(); });
  return !stop.stop_requested();  // the result of the wait may be older than the stop request
}

}  // namespace dice

// The menu of dice: die-service's list, fetched beforehand.
#pragma once

#include <memory>
#include <string>
#include <thread>

#include "common/concurrency/clock.h"
#include "common/concurrency/mutex.h"
#include "common/http/client.h"
#include "common/telemetry/logging.h"

namespace dice {

/// Fetches on a thread of its own: at once, every `retry` until it works, then every `refresh`; a failure keeps the
/// list that is there. Thread-safe. What is passed in outlives it.
class DiceList {
 public:
  struct Options {
    Seconds timeout{2};
    Seconds retry{1};
    Seconds refresh{60};
  };

  DiceList(Options options, Client& die_service, Clock& clock, const Logger& logger);

  /// die-service's own body; null while there is none.
  std::shared_ptr<const std::string> current() const;

 private:
  bool fetch(const std::stop_token& stop);

  const Options options_;
  Client& die_service_;
  Clock& clock_;
  const Logger log_;
  mutable Mutex mutex_;
  std::shared_ptr<const std::string> current_ GUARDED_BY(mutex_);
  std::jthread thread_;
};

}  // namespace dice

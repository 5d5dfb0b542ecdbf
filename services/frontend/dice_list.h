// die-service's list of dice, fetched in advance.
#pragma once

#include <memory>
#include <string>
#include <thread>

#include "common/concurrency/clock.h"
#include "common/concurrency/mutex.h"
#include "common/http/client.h"
#include "common/telemetry/logging.h"

namespace dice {

/// Fetches the list on a separate thread: immediately, every `retry` until it succeeds, then every `refresh`. After a
/// failure, the previous list is kept. Thread-safe. All arguments must outlive this object.
class DiceList {
 public:
  struct Options {
    Seconds timeout{2};
    Seconds retry{1};
    Seconds refresh{60};
  };

  DiceList(Options options, Client& die_service, Clock& clock, const Logger& logger);

  /// The body of die-service's response; null until it has been fetched.
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

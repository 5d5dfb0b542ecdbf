// Several processes that share the load of one run: they start together, and part 0 has the summary of all.
#pragma once

#include <atomic>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "common/base/json_view.h"
#include "common/concurrency/clock.h"
#include "common/concurrency/mutex.h"
#include "common/http/client.h"
#include "loadgen/exposition.h"
#include "loadgen/traffic/plan.h"
#include "loadgen/traffic/tally.h"

namespace dice::loadgen {

/// `serve` may run on other threads; the other functions block and are called in order, on one thread.
class Parts {
 public:
  struct Options {
    Part part;
    /// The URLs of the metrics ports of all parts, in order. Empty = they know nothing of each other.
    std::vector<std::string> peers;
    /// Maximum wait for the others: at the start, and after this part's own end.
    Seconds deadline{60};
  };

  /// `clock` must outlive this object.
  Parts(const Options& options, Clock& clock);

  /// Adds what the other parts ask of this one. This object must outlive `exposition`.
  void serve(Exposition& exposition);

  /// Part 0 waits until all are ready, the others until part 0 runs. Returns the seed of the run: that of part 0, which
  /// is `seed` there. The error says which parts are missing. A stop request ends the wait.
  std::expected<std::uint64_t, std::string> start(std::uint64_t seed, const std::stop_token& stop);

  /// Part 0 waits until all have finished, and returns the summary of all; those that are missing are named in it. The
  /// others wait until part 0 has their summary and return nothing, or their own if it did not come for it. After a
  /// stop request, none waits longer than `kStopGrace`.
  std::optional<TrafficSummary> finish(TrafficSummary own, const std::stop_token& stop);

  static constexpr Seconds kStopGrace{10};

 private:
  enum class Phase { starting, ready, running, finished };
  /// What this part says about itself.
  struct State {
    Phase phase = Phase::starting;
    std::uint64_t seed = 0;
    /// JSON; empty until finished.
    std::string summary;
  };
  struct Peer {
    std::uint64_t index;
    std::string url;
    std::unique_ptr<Client> client;
  };
  static const char* name_of(Phase phase);

  std::string status();
  /// Asks `peers_` for their status until `done` was true for each; at most `deadline`, or `after_stop` if a stop is
  /// requested. Returns what is known about each of the rest.
  std::vector<std::string> ask_until(const std::function<bool(Peer&, JsonView status)>& done,
                                     const std::stop_token& stop, Seconds after_stop);
  /// The error says why there is none.
  std::expected<rapidjson::Document, std::string> ask(Peer& peer, Seconds timeout) const;

  const Options options_;
  Clock& clock_;
  /// Those that this part asks: part 0 asks all others, which ask only part 0.
  std::vector<Peer> peers_;
  std::atomic<bool> collected_ = false;
  Mutex mutex_;
  State state_ GUARDED_BY(mutex_);
};

}  // namespace dice::loadgen

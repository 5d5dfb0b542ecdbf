// The service that requests with a trace id of their own are sent to.
#pragma once

#include <string>

#include "common/concurrency/clock.h"
#include "common/http/client.h"
#include "loadgen/answer.h"

namespace dice::loadgen {

/// Longer than between services: a short queue of connections at the other end may refuse the first attempts of a
/// burst.
inline constexpr Seconds kConnectTimeout{5};

/// Thread-safe; a call blocks.
class Target {
 public:
  explicit Target(const std::string& url, Seconds timeout = Seconds(60));

  const std::string& url() const { return client_.name(); }
  /// `context` is the parent that the server is told; no span stands behind it.
  Answer ask(const std::string& method, const std::string& path, const TraceContext& context);

 private:
  const Seconds timeout_;
  Client client_;
};

/// Made by chance; sampled.
TraceContext random_context();

}  // namespace dice::loadgen

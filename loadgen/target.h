// Sends single requests, each with its own trace context, to the frontend.
#pragma once

#include <expected>
#include <string>
#include <vector>

#include "common/concurrency/clock.h"
#include "common/http/client.h"
#include "loadgen/model/answer.h"

namespace dice::loadgen {

/// Longer than between services: a server with a short accept queue may refuse the first attempts of a burst.
inline constexpr Seconds kConnectTimeout{5};

/// For requests that are measured or counted: none is sent twice.
Client::Options target_options(const std::string& url);

/// Thread-safe; a call blocks.
class Target {
 public:
  explicit Target(const std::string& url, Seconds timeout = Seconds(60));

  const std::string& url() const { return client_.name(); }
  /// Sends `context` as the parent; its span is not recorded.
  Answer request(const std::string& method, const std::string& path, const TraceContext& context);
  /// The dice that the frontend lists; an error if it cannot be reached, or if something else answers in its place,
  /// such as a proxy that has no route to it yet.
  std::expected<std::vector<std::string>, std::string> list_dice();

 private:
  const Seconds timeout_;
  Client client_;
};

/// Random ids; sampled.
TraceContext random_context();

}  // namespace dice::loadgen

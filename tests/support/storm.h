// Clients that leave, and as many honest ones among them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace dice::test {

struct StormOptions {
  std::uint16_t port = 0;
  /// Asked for by those that leave, one after the other.
  std::vector<std::string> abandoned = {};
  /// Asked for by the honest ones, each with a trace id of its own.
  std::vector<std::string> honest = {};
  /// Clients that leave; as many honest requests are made.
  std::size_t leavers = 1000;
  std::size_t threads = 4;
  std::uint64_t seed = 1;
  /// Called with each honest answer's path and body; may be empty. On several threads.
  std::function<bool(const std::string& path, const std::string& body)> check = {};
};

struct StormResult {
  std::size_t left = 0;
  std::size_t honest = 0;
  /// Honest requests whose answer carried another trace id, or whose body `check` refused.
  std::size_t foreign = 0;
  /// Bytes that came over an honest connection before it had asked.
  std::size_t unsolicited = 0;
  /// Honest requests without a whole answer.
  std::size_t lost = 0;

  bool clean() const { return foreign == 0 && unsolicited == 0 && lost == 0; }
};

/// Bursts of 1 to 64 clients send a request, all or a part of it, sometimes several, and leave by a close, a reset or a
/// half-close at a random moment. Between bursts kept and new connections make honest requests.
StormResult storm(const StormOptions& options);

}  // namespace dice::test

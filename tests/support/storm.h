// A storm of clients that disconnect early, mixed with well-behaved clients.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace dice::test {

struct StormOptions {
  std::uint16_t port = 0;
  /// Paths requested by the clients that disconnect, in turn.
  std::vector<std::string> abandoned = {};
  /// Paths requested by the well-behaved clients, each with its own trace id.
  std::vector<std::string> honest = {};
  /// Number of clients that disconnect, and of well-behaved requests.
  std::size_t leavers = 1000;
  std::size_t threads = 4;
  std::uint64_t seed = 1;
  /// Called concurrently with the path and body of each well-behaved request's response; may be empty.
  std::function<bool(const std::string& path, const std::string& body)> check = {};
};

struct StormResult {
  std::size_t left = 0;
  std::size_t honest = 0;
  /// Well-behaved requests whose response had another trace id, or whose body failed `check`.
  std::size_t foreign = 0;
  /// Bytes received on a well-behaved connection before its request.
  std::size_t unsolicited = 0;
  /// Well-behaved requests without a complete response.
  std::size_t lost = 0;

  bool clean() const { return foreign == 0 && unsolicited == 0 && lost == 0; }
};

/// Bursts of 1 to 64 clients send a request, a part of one, or several, and disconnect at a random time by a close, a
/// reset or a half-close. Between bursts, well-behaved requests are made over kept and new connections.
StormResult storm(const StormOptions& options);

}  // namespace dice::test

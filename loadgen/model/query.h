// A request to the frontend.
#pragma once

#include <string>

namespace dice::loadgen {

enum class Kind { dice, roll, roll_async };

/// The names of the services in traces and logs.
inline constexpr const char* kFrontend = "frontend";
inline constexpr const char* kDiceRoller = "dice-roller";
inline constexpr const char* kDieService = "die-service";

struct Query {
  Kind kind = Kind::dice;
  std::string die = {};
  /// Of a batch, as are the next two.
  int times = 0;
  /// Empty = the server's default.
  std::string strategy = {};
  /// Threads, 0 = one a roll.
  int concurrency = 0;

  std::string route() const;
  /// With the query.
  std::string path() const;
};

}  // namespace dice::loadgen

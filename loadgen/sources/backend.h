// HTTP access to the backends from which telemetry is read.
#pragma once

#include <chrono>
#include <cstddef>
#include <expected>
#include <string>
#include <utility>
#include <vector>

#include "common/http/client.h"

namespace dice::loadgen {

/// A message that says why a source could not be read.
using SourceError = std::string;

inline constexpr Seconds kSourceTimeout{10};
/// Longer than between services, because a backend may be far away.
inline constexpr Seconds kBackendConnectTimeout{2};
/// Allowed clock difference between this machine and a backend.
inline constexpr std::chrono::seconds kClockMargin{60};

/// `kind` is "Loki", "Tempo", …; error messages contain it and `url`.
Client::Options backend_options(const std::string& kind, const std::string& url);

/// Returns the body of a response with status 200. Blocks for at most `kSourceTimeout`.
std::expected<std::string, SourceError> get(Client& client, const std::string& path,
                                            std::vector<std::pair<std::string, std::string>> headers = {});

/// The error for an unexpected response.
SourceError unexpected_answer(const ClientResponse& response);

std::chrono::system_clock::duration unix_time();

}  // namespace dice::loadgen

// A backend that telemetry is read back from, asked over HTTP.
#pragma once

#include <chrono>
#include <cstddef>
#include <expected>
#include <string>
#include <utility>
#include <vector>

#include "common/http/client.h"

namespace dice::loadgen {

/// Why a source could not be read, for people.
using SourceError = std::string;

inline constexpr Seconds kSourceTimeout{10};
/// Clocks of this machine and of a backend may differ.
inline constexpr std::chrono::seconds kClockMargin{60};

/// `kind` is "Loki", "Tempo", …; errors name it together with `url`.
Client::Options backend_options(const std::string& kind, const std::string& url);

/// The body of a 200; blocks for `kSourceTimeout` at most.
std::expected<std::string, SourceError> get(Client& client, const std::string& path,
                                            std::vector<std::pair<std::string, std::string>> headers = {});

/// The error for an answer that is of no use.
SourceError unexpected_answer(const ClientResponse& response);

std::chrono::system_clock::duration unix_time();

}  // namespace dice::loadgen

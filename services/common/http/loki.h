// Requests to Loki's HTTP API: https://grafana.com/docs/loki/latest/reference/loki-http-api/
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "common/base/json_view.h"

namespace dice {

/// The path that asks for the lines that match a LogQL query, oldest first, at most 5000. Times are in nanoseconds
/// since 1970.
std::string loki_path(std::string_view query, std::int64_t start, std::int64_t end);

/// Calls `use` with each line of the response and the labels of its stream. False if it is not a list of streams.
bool for_each_loki_line(std::string_view response,
                        const std::function<void(std::string_view line, JsonView labels)>& use);

}  // namespace dice

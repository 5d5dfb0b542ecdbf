// Reads the log lines of a trace, from the memory of each service and from Loki.
#pragma once

#include <cstddef>
#include <expected>
#include <map>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <string_view>

#include "common/http/client.h"
#include "frontend/memories.h"
#include "frontend/traces.h"

namespace dice {

/// Thread-safe; `find` blocks.
class Logs {
 public:
  struct Options {
    /// Empty = read from the services only.
    std::string loki_url;
    Seconds timeout{2};
    /// Maximum length of Loki's response.
    std::size_t max_body_bytes = 8UL << 20U;
  };

  /// All arguments must outlive this object. `traces` says when to search in Loki.
  Logs(const Options& options, Memories& memories, Traces& traces);

  /// {"lines":[…]}, ordered by time: what the services remember. Loki adds its lines if a service has none.
  std::expected<std::string, Error> find(const TraceId& id, const std::stop_token& stop);

 private:
  /// Lines without repetitions, ordered by their timestamps.
  using Lines = std::set<std::pair<std::string, std::string>>;

  /// The error if Loki could not be read.
  std::optional<Error> add_from_loki(const TraceId& id, const std::stop_token& stop, Lines& lines);

  const Options options_;
  Memories& memories_;
  Traces& traces_;
  Client loki_;
};

}  // namespace dice

// Reads whole traces, from the recent spans of each service and from Tempo.
#pragma once

#include <cstddef>
#include <expected>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "common/http/client.h"
#include "common/telemetry/trace_model.h"
#include "frontend/memories.h"

namespace dice {

/// Whether a trace is complete, as far as its spans show: all have ended, and it has every parent (except that of a
/// server span of `entry_service`, which may be the client's own span), the server span of every call that got a
/// response, and every roll of a batch.
bool is_complete(const Trace& trace, std::string_view entry_service);

/// Thread-safe; `find` blocks.
class Traces {
 public:
  struct Options {
    /// Empty = read from the services only.
    std::string tempo_url;
    Seconds timeout{2};
    /// Maximum length of Tempo's response.
    std::size_t max_body_bytes = 8UL << 20U;
  };

  /// `memories` must outlive this object.
  Traces(const Options& options, Memories& memories, std::string service);

  /// {"complete":…,"timeUnixNano":…,"resourceSpans":[…]}: what the services remember. Tempo adds its spans if some are
  /// missing, unless the trace is still running.
  std::expected<std::string, Error> find(const TraceId& id, const std::stop_token& stop);

  /// The same as spans; the error is that of Tempo if nothing else is known.
  std::expected<JoinedTrace, Error> read(const TraceId& id, const std::stop_token& stop);

 private:
  /// The error if Tempo could not be read.
  std::optional<Error> add_from_tempo(const TraceId& id, const std::stop_token& stop, JoinedTrace& trace);

  const Options options_;
  Memories& memories_;
  const std::string service_;
  Client tempo_;
};

}  // namespace dice

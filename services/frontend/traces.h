// Reads whole traces, from Tempo or from the recent spans of each service.
#pragma once

#include <cstddef>
#include <expected>
#include <map>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "common/http/client.h"
#include "common/telemetry/telemetry.h"
#include "common/telemetry/trace_model.h"

namespace dice {

/// Whether a trace is complete, as far as its spans show: it has every parent (except that of a server span of
/// `entry_service`, which may be the client's own span), the server span of every call that got a response, and every
/// roll of a batch.
bool is_complete(const Trace& trace, std::string_view entry_service);

/// Thread-safe; `find` blocks.
class Traces {
 public:
  struct Options {
    /// Empty = read from the services.
    std::string tempo_url;
    /// Metrics ports of the other services, by their names.
    std::map<std::string, std::string> metrics_urls;
    Seconds timeout{2};
    /// Maximum length of a response.
    std::size_t max_body_bytes = 8UL << 20U;
  };

  /// `telemetry` has the frontend's own spans and must outlive this object.
  Traces(const Options& options, Telemetry& telemetry, std::string service);

  /// {"complete":…,"resourceSpans":[…]}
  std::expected<std::string, Error> find(const TraceId& id, const std::stop_token& stop);

 private:
  std::expected<JoinedTrace, Error> from_tempo(const TraceId& id, const std::stop_token& stop);
  JoinedTrace from_services(const TraceId& id, const std::stop_token& stop);

  const Options options_;
  Telemetry& telemetry_;
  const std::string service_;
  Client tempo_;
  /// One per entry of `metrics_urls`.
  std::vector<std::unique_ptr<Client>> services_;
};

}  // namespace dice

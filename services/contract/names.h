// Names that users, dashboards and other services depend on: services, routes, spans and attributes.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/joined.h"

namespace dice {

/// `name` is used in URLs, telemetry, image names and Kubernetes.
struct ServiceName {
  const char* name;
  std::uint16_t port;
  const char* purpose;

  constexpr std::uint16_t metrics_port() const { return static_cast<std::uint16_t>(port + 1000); }
  std::string url() const { return "http://localhost:" + std::to_string(port); }
  /// For example, DICE_ROLLER for dice-roller.
  std::string variable_prefix() const {
    std::string prefix;
    for (const char c : std::string_view(name)) prefix += c == '-' ? '_' : static_cast<char>(c - 'a' + 'A');
    return prefix;
  }
  std::string about() const { return std::string(name) + " " + purpose + "."; }
  std::string metrics_url() const { return "http://localhost:" + std::to_string(metrics_port()); }
};

inline constexpr ServiceName kFrontend{"frontend", 8400, "serves the page and its API"};
inline constexpr ServiceName kDiceRoller{"dice-roller", 8401, "rolls dice, one at a time or many concurrently"};
inline constexpr ServiceName kDieService{"die-service", 8402, "serves die specifications"};
/// Each service calls the next.
inline constexpr std::array kServices = {kFrontend, kDiceRoller, kDieService};

/// `loadgen verify --every`, which is none of the services.
inline constexpr const char* kCanary = "canary";

inline std::string service_names(std::string_view separator) {
  return joined(kServices, separator, &ServiceName::name);
}

namespace route {
inline constexpr const char* kRoll = "/roll";
inline constexpr const char* kRollAsync = "/roll-async";
inline constexpr const char* kDice = "/dice";
inline constexpr const char* kDie = "/dice/{identifier}";
inline constexpr const char* kTrace = "/api/traces/{trace_id}";
inline constexpr const char* kTraceLogs = "/api/logs/{trace_id}";
inline constexpr const char* kConfig = "/api/config";
inline constexpr const char* kServiceFaults = "/api/faults/{service}";
inline constexpr const char* kVersion = "/version";
inline constexpr const char* kHealth = "/healthz";
inline constexpr const char* kReady = "/readyz";
inline constexpr const char* kMetrics = "/metrics";
inline constexpr const char* kSpans = "/debug/spans/{trace_id}";
inline constexpr const char* kLogs = "/debug/logs/{trace_id}";
inline constexpr const char* kFaults = "/debug/faults";
/// Replaces paths that no route matches.
inline constexpr const char* kUnmatched = "_unmatched";
}  // namespace route

/// Replaces dice that die-service does not know, so that clients cannot choose the value of a label.
inline constexpr const char* kUnknownDie = "_unknown";

/// The span of roll 3 of a batch is async_roll_3. Spans of requests are named after method and route.
inline constexpr std::string_view kRollSpanPrefix = "async_roll_";

/// Request header of the frontend: the id of the trace to start, if the request continues none.
inline constexpr std::string_view kTraceIdHeader = "dice-trace-id";

/// Keys of span attributes, those of OpenTelemetry's semantic conventions first. docs/telemetry.md describes them, and
/// a test compares the two.
namespace attribute {
inline constexpr std::string_view kServiceName = "service.name";
inline constexpr std::string_view kServiceVersion = "service.version";
inline constexpr std::string_view kMethod = "http.request.method";
inline constexpr std::string_view kRoute = "http.route";
inline constexpr std::string_view kStatus = "http.response.status_code";
inline constexpr std::string_view kErrorType = "error.type";
inline constexpr std::string_view kResendCount = "http.request.resend_count";
inline constexpr std::string_view kFaultInjected = "fault.injected";
inline constexpr std::string_view kDieType = "die.type";
inline constexpr std::string_view kDieResult = "die.result";
inline constexpr std::string_view kDieError = "die.error";
inline constexpr std::string_view kDieCancelled = "die.cancelled";
inline constexpr std::string_view kBatchSize = "async.batch_size";
inline constexpr std::string_view kStrategy = "async.strategy";
inline constexpr std::string_view kTotalResult = "async.total_result";
inline constexpr std::string_view kRollIndex = "async.roll_index";
}  // namespace attribute

}  // namespace dice

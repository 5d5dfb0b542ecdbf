// The command line of loadgen. Each flag can also be set by an environment variable.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "loadgen/compare.h"
#include "loadgen/traffic/parts.h"
#include "loadgen/traffic/traffic.h"
#include "loadgen/verify/verify.h"

namespace dice::loadgen {

struct TrafficCommand {
  Traffic::Options traffic;
  /// Empty = all dice that the frontend lists.
  std::vector<std::string> dice;
  /// Maximum wait for the target to be reachable.
  Seconds wait{0};
  /// 0 = any free port; empty = none is opened.
  std::optional<std::uint16_t> metrics_port;
  Parts::Options parts;
  bool json = false;
};

struct CompareCommand {
  std::string url = "http://localhost:8400";
  /// Empty = the frontend's API.
  std::string tempo_url;
  Compare::Options compare;
  double min_efficiency = 0;
  bool json = false;
};

struct VerifyCommand {
  std::string url = "http://localhost:8400";
  /// Empty = the frontend's API.
  std::string tempo_url;
  /// Empty = read files.
  std::string loki_url;
  std::string loki_selector = R"({service_name=~".+"})";
  std::vector<std::string> logs;
  /// Empty = read the services' own metrics.
  std::string prometheus_url;
  std::string prometheus_selector = R"({job=~"frontend|dice-roller|die-service"})";
  /// If this and `prometheus_url` are empty, metrics are not checked.
  std::vector<std::string> metrics_urls;
  bool answers_only = false;
  Verify::Options verify;
  /// From the start of a check to the start of the next; 0 = check once.
  Seconds every{0};
  /// Of a canary: 0 = any free port.
  std::uint16_t metrics_port = 0;
  Seconds late_after{45};
  bool json = false;
  std::string junit;

  bool has_logs() const { return !logs.empty() || !loki_url.empty(); }
  bool has_metrics() const { return !metrics_urls.empty() || !prometheus_url.empty(); }
};

using Command = std::variant<TrafficCommand, CompareCommand, VerifyCommand>;

inline constexpr int kPassed = 0;
inline constexpr int kFailed = 1;
inline constexpr int kUsageError = 2;
inline constexpr int kUnreachable = 3;

/// Returns the command, or the exit code after writing help or errors.
std::variant<Command, int> parse_command(int argc, const char* const* argv, std::ostream& out, std::ostream& err);

}  // namespace dice::loadgen

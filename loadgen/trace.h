// A trace, as it came from OTLP/JSON, and what can be measured in it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/telemetry/tracing.h"

namespace dice::loadgen {

using Attributes = std::map<std::string, std::variant<bool, std::int64_t, double, std::string>, std::less<>>;

struct TraceSpan {
  std::string trace_id;
  std::string id;
  std::string parent;
  std::string service;
  std::string name;
  /// Nothing for a kind that the contract has no use for.
  std::optional<SpanKind> kind;
  std::int64_t start_nanoseconds = 0;
  std::int64_t end_nanoseconds = 0;
  bool error = false;
  Attributes attributes;
  struct Event {
    std::string name;
    Attributes attributes;
  };
  std::vector<Event> events;

  double seconds() const { return static_cast<double>(end_nanoseconds - start_nanoseconds) / 1e9; }
  std::optional<std::int64_t> integer(std::string_view key) const;
  std::optional<std::string> text(std::string_view key) const;
  std::optional<bool> boolean(std::string_view key) const;
};

struct Trace {
  std::vector<TraceSpan> spans;
  /// What the source itself says of it; nothing when it does not.
  std::optional<bool> complete;

  const TraceSpan* find(std::string_view span_id) const;
  /// Spans async_roll_0 … in order of their index.
  std::vector<const TraceSpan*> rolls() const;
};

/// Reads OTLP/JSON, or what Tempo answers. Nothing when it is neither.
std::optional<Trace> parse_trace(std::string_view json);

/// "SERVER GET /roll of dice-roller"
std::string describe(const TraceSpan& span);

/// The greatest number of spans that are under way at the same moment.
std::size_t greatest_overlap(const std::vector<const TraceSpan*>& spans);

/// How long pieces of work take on `workers` workers that take them in order, each when it is free.
double makespan(const std::vector<double>& seconds, std::size_t workers);

}  // namespace dice::loadgen

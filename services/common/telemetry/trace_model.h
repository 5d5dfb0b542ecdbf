// The model of a trace, read from OTLP/JSON. The only C++ code that reads this format.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/telemetry/tracing.h"

namespace dice {

using Attributes = std::map<std::string, std::variant<bool, std::int64_t, double, std::string>, std::less<>>;

struct TraceSpan {
  std::string trace_id;
  std::string id;
  std::string parent;
  std::string service;
  std::string name;
  /// Empty for a kind that the contract does not use.
  std::optional<SpanKind> kind;
  std::int64_t start_nanoseconds = 0;
  /// 0 = it has not ended.
  std::int64_t end_nanoseconds = 0;
  bool error = false;
  Attributes attributes;
  struct Event {
    std::string name;
    Attributes attributes;
  };
  std::vector<Event> events;

  bool open() const { return end_nanoseconds == 0; }
  /// Of a span that has ended.
  double seconds() const { return static_cast<double>(end_nanoseconds - start_nanoseconds) / 1e9; }
  std::optional<std::int64_t> integer(std::string_view key) const;
  std::optional<std::string> text(std::string_view key) const;
  std::optional<bool> boolean(std::string_view key) const;
};

struct Trace {
  std::vector<TraceSpan> spans;
  /// Whether the source says that the trace is complete; empty if it does not say.
  std::optional<bool> complete;

  const TraceSpan* find(std::string_view span_id) const;
  /// The spans async_roll_0, …, ordered by index.
  std::vector<const TraceSpan*> rolls() const;
};

/// Reads OTLP/JSON, or Tempo's variant: `batches` instead of `resourceSpans`, ids in base64, enumerations by name.
/// Ignores invalid parts. Empty if it is not a trace.
std::optional<Trace> parse_trace(std::string_view json);

/// A trace assembled from several sources. A span that several of them have is taken from the first.
class JoinedTrace {
 public:
  /// False, with nothing added, if `json` is not a trace; see `parse_trace`.
  bool add(std::string_view json);

  const Trace& trace() const { return trace_; }
  /// The elements of `resourceSpans` of all sources in standard OTLP/JSON, comma-separated.
  const std::string& resource_spans() const { return resource_spans_; }

 private:
  Trace trace_;
  std::set<std::string> ids_;
  std::string resource_spans_;
};

}  // namespace dice

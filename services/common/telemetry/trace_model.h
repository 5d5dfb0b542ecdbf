// A trace as OTLP/JSON tells it: the one place in C++ that reads that format.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
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

/// Reads OTLP/JSON, or what Tempo answers: `batches` instead of `resourceSpans`, ids in base64, enumerations by name.
/// What is odd within it is passed over. Nothing when it has not the shape of a trace at all.
std::optional<Trace> parse_trace(std::string_view json);

/// A trace put together from what several sources know of it.
class JoinedTrace {
 public:
  /// False, and nothing is added, when `json` is no trace; see `parse_trace`.
  bool add(std::string_view json);

  const Trace& trace() const { return trace_; }
  /// The elements of `resourceSpans` of all of them in standard OTLP/JSON, with commas between them.
  const std::string& resource_spans() const { return resource_spans_; }

 private:
  Trace trace_;
  std::string resource_spans_;
};

}  // namespace dice

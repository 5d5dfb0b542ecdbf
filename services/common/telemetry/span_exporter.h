// Span exporters: send the batches of an export queue to a collector or to standard error.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "common/telemetry/otlp_json.h"
#include "common/telemetry/tracing_options.h"

namespace dice {

/// Used by one thread, except for `wake`.
class SpanExporter {
 public:
  struct Result {
    enum class Kind { delivered, retryable, failed } kind = Kind::delivered;
    /// Number of spans of a delivered batch that the collector rejected.
    std::uint64_t rejected = 0;
    /// For `retryable`: the collector's Retry-After.
    std::chrono::seconds retry_after{0};
    /// Why spans were not accepted.
    std::string reason = {};
  };
  /// Called several times per second during an attempt, and soon after each `wake`. False ends the attempt.
  using Proceed = std::function<bool()>;

  virtual ~SpanExporter() = default;
  /// Makes one attempt; blocks.
  virtual Result send(std::span<const EncodedSpan> spans, const Proceed& proceed) = 0;
  /// Thread-safe.
  virtual void wake() {}
};

/// OTLP/HTTP with protobuf: https://opentelemetry.io/docs/specs/otlp/#otlphttp
/// Keeps at most 64 KiB of a response.
std::unique_ptr<SpanExporter> make_otlp_exporter(const OtlpOptions& options, SpanSource source);

/// Writes one line of OTLP/JSON per batch to standard error.
std::unique_ptr<SpanExporter> make_console_exporter(SpanSource source);

}  // namespace dice

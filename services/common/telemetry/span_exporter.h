// Where an export queue sends its batches: a collector, or standard error.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "common/telemetry/otlp_json.h"
#include "common/telemetry/span_memory.h"
#include "common/telemetry/tracing_options.h"

namespace dice {

/// Used by one thread, but for `wake`.
class SpanExporter {
 public:
  struct Result {
    enum class Kind { delivered, retryable, failed } kind = Kind::delivered;
    /// Spans of a delivered batch that the collector did not take.
    std::uint64_t rejected = 0;
    /// The collector's wish, for `retryable`.
    std::chrono::seconds retry_after{0};
    /// Why spans were not taken.
    std::string reason = {};
  };
  /// Asked several times a second while an attempt is under way, and soon after each `wake`. False ends the attempt.
  using Proceed = std::function<bool()>;

  virtual ~SpanExporter() = default;
  /// One attempt.
  virtual Result send(std::span<const EncodedSpan> spans, const Proceed& proceed) = 0;
  /// From any thread.
  virtual void wake() {}
};

/// OTLP/HTTP with protobuf: https://opentelemetry.io/docs/specs/otlp/#otlphttp
/// Of an answer it keeps no more than 64 KiB, whatever the collector sends.
std::unique_ptr<SpanExporter> make_otlp_exporter(const OtlpOptions& options, SpanSource source);

/// One line of OTLP/JSON a batch, on standard error.
std::unique_ptr<SpanExporter> make_console_exporter(SpanSource source);

}  // namespace dice

// Records a span of the SDK directly as an OTLP protobuf message. Includes opentelemetry-cpp, which compiles slowly.
#pragma once

#include <opentelemetry/proto/trace/v1/trace.pb.h>
#include <opentelemetry/sdk/resource/resource.h>
#include <opentelemetry/sdk/trace/recordable.h>

#include <cstddef>
#include <string>

#include "common/concurrency/mutex.h"
#include "common/telemetry/otlp_json.h"
#include "common/telemetry/tracing_options.h"

namespace dice {

/// Enforces the limits. The SDK's span calls it under a lock; any thread may call `encoded` meanwhile.
class SpanRecord final : public opentelemetry::sdk::trace::Recordable {
 public:
  explicit SpanRecord(const SpanLimits& limits) : limits_(limits) {}

  /// Constant once the identity is set.
  const TraceId& trace() const { return trace_; }
  /// The span as it is now. Its end time is 0 until it has ended.
  EncodedSpan encoded() const;

  void SetIdentity(const opentelemetry::trace::SpanContext& context,
                   opentelemetry::trace::SpanId parent) noexcept override;
  /// If a key is set twice, the later value counts.
  void SetAttribute(opentelemetry::nostd::string_view key,
                    const opentelemetry::common::AttributeValue& value) noexcept override;
  void AddEvent(opentelemetry::nostd::string_view name, opentelemetry::common::SystemTimestamp time,
                const opentelemetry::common::KeyValueIterable& attributes) noexcept override;
  /// Links are not used.
  void AddLink(const opentelemetry::trace::SpanContext& /*context*/,
               const opentelemetry::common::KeyValueIterable& /*attributes*/) noexcept override {}
  void SetStatus(opentelemetry::trace::StatusCode code, opentelemetry::nostd::string_view text) noexcept override;
  void SetName(opentelemetry::nostd::string_view name) noexcept override;
  void SetTraceFlags(opentelemetry::trace::TraceFlags flags) noexcept override;
  void SetSpanKind(opentelemetry::trace::SpanKind kind) noexcept override;
  // Resource and scope are the same for all spans of a process.
  void SetResource(const opentelemetry::sdk::resource::Resource& /*resource*/) noexcept override {}
  void SetInstrumentationScope(
      const opentelemetry::sdk::instrumentationscope::InstrumentationScope& /*scope*/) noexcept override {}
  void SetStartTime(opentelemetry::common::SystemTimestamp time) noexcept override;
  void SetDuration(std::chrono::nanoseconds duration) noexcept override;

  /// Used by OpenSpans only.
  std::size_t place = 0;

 private:
  const SpanLimits& limits_;
  TraceId trace_{};
  mutable Mutex mutex_;
  opentelemetry::proto::trace::v1::Span span_ GUARDED_BY(mutex_);
};

/// opentelemetry.proto.resource.v1.Resource
std::string encode(const opentelemetry::sdk::resource::Resource& resource);

}  // namespace dice

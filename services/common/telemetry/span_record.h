// Records a span of the SDK directly as an OTLP protobuf message. Includes opentelemetry-cpp, which compiles slowly.
#pragma once

#include <opentelemetry/proto/trace/v1/trace.pb.h>
#include <opentelemetry/sdk/resource/resource.h>
#include <opentelemetry/sdk/trace/recordable.h>

#include <string>

#include "common/telemetry/tracing_options.h"

namespace dice {

/// Enforces the limits. Not thread-safe: the SDK's span holds a lock.
class SpanRecord final : public opentelemetry::sdk::trace::Recordable {
 public:
  explicit SpanRecord(const SpanLimits& limits) : limits_(limits) {}

  const opentelemetry::proto::trace::v1::Span& span() const { return span_; }

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

 private:
  const SpanLimits& limits_;
  opentelemetry::proto::trace::v1::Span span_;
};

/// opentelemetry.proto.resource.v1.Resource
std::string encode(const opentelemetry::sdk::resource::Resource& resource);

}  // namespace dice

// Records a span of the SDK in the encoding of OTLP. Includes opentelemetry-cpp, which compiles slowly.
#pragma once

#include <opentelemetry/sdk/resource/resource.h>
#include <opentelemetry/sdk/trace/recordable.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/concurrency/mutex.h"
#include "common/telemetry/otlp_json.h"
#include "common/telemetry/tracing_options.h"

namespace dice {

/// Attributes, encoded as opentelemetry.proto.common.v1.KeyValue in a field of their message.
class EncodedAttributes {
 public:
  /// Longer values are cut off; if `value_length` is negative, none.
  explicit EncodedAttributes(unsigned field, std::int64_t value_length = -1)
      : field_(field), value_length_(value_length) {}

  /// If a key is set twice, the later value counts. False, with nothing changed, if it would be one more than `limit`.
  bool set(std::size_t limit, std::string_view key, const opentelemetry::common::AttributeValue& value);

  const std::string& bytes() const { return bytes_; }

 private:
  /// Where an attribute and its key begin.
  struct Place {
    std::size_t begin;
    std::size_t key;
    std::size_t key_size;
  };

  const unsigned field_;
  const std::int64_t value_length_;
  std::string bytes_;
  std::vector<Place> places_;
};

/// Enforces the limits. The SDK's span calls it under a lock; any thread may call `encoded` meanwhile.
class SpanRecord final : public opentelemetry::sdk::trace::Recordable {
 public:
  explicit SpanRecord(const SpanLimits& limits)
      : limits_(limits), attributes_(span_field::kAttributes, limits.value_length) {}

  /// Constant once the identity is set.
  const TraceId& trace() const { return trace_; }
  /// The span as it is now. Its end time is 0 until it has ended.
  EncodedSpan encoded() const;

  void SetIdentity(const opentelemetry::trace::SpanContext& context,
                   opentelemetry::trace::SpanId parent) noexcept override;
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
  /// Fields that are set once.
  std::string head_ GUARDED_BY(mutex_);
  std::uint64_t start_ GUARDED_BY(mutex_) = 0;
  std::uint64_t end_ GUARDED_BY(mutex_) = 0;
  EncodedAttributes attributes_ GUARDED_BY(mutex_);
  std::string events_ GUARDED_BY(mutex_);
  std::size_t event_count_ GUARDED_BY(mutex_) = 0;
  std::uint32_t dropped_attributes_ GUARDED_BY(mutex_) = 0;
  std::uint32_t dropped_events_ GUARDED_BY(mutex_) = 0;
  std::string status_ GUARDED_BY(mutex_);
};

/// opentelemetry.proto.resource.v1.Resource
std::string encode(const opentelemetry::sdk::resource::Resource& resource);

}  // namespace dice

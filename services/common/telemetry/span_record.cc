#include "common/telemetry/span_record.h"

#include <opentelemetry/proto/resource/v1/resource.pb.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <string_view>
#include <type_traits>
#include <variant>

#include "common/base/utf8.h"

namespace dice {
namespace {

namespace otel = opentelemetry;
namespace proto = opentelemetry::proto;
using proto::common::v1::AnyValue;
using proto::trace::v1::Span;

/// The first `length` characters; all if `length` is negative.
std::string_view cut(std::string_view text, std::int64_t length) {
  if (length < 0 || text.size() <= static_cast<std::size_t>(length)) return text;
  std::size_t end = 0;
  for (std::int64_t count = 0; end < text.size(); ++end) {
    const bool begins = (static_cast<unsigned char>(text[end]) & 0xC0U) != 0x80U;
    if (begins && count++ == length) break;
  }
  return text.substr(0, end);
}

/// Lists are not used.
template <typename Value>
void set_value(AnyValue& to, const Value& value, std::int64_t length) {
  if constexpr (std::is_same_v<Value, bool>) {
    to.set_bool_value(value);
  } else if constexpr (std::is_integral_v<Value>) {
    to.set_int_value(static_cast<std::int64_t>(value));
  } else if constexpr (std::is_floating_point_v<Value>) {
    to.set_double_value(value);
  } else if constexpr (std::is_same_v<Value, const char*>) {
    to.set_string_value(std::string(cut(value, length)));
  } else if constexpr (std::is_same_v<Value, otel::nostd::string_view>) {
    to.set_string_value(std::string(cut({value.data(), value.size()}, length)));
  }
}

void set_value(AnyValue& to, const otel::common::AttributeValue& value, std::int64_t length) {
  otel::nostd::visit([&](const auto& one) { set_value(to, one, length); }, value);
}

/// False if the limit is reached.
template <typename List>
bool set_attribute(List& list, std::size_t limit, std::string_view key, const otel::common::AttributeValue& value,
                   std::int64_t length) {
  for (auto& one : list) {
    if (one.key() == key) {
      set_value(*one.mutable_value(), value, length);
      return true;
    }
  }
  if (static_cast<std::size_t>(list.size()) >= limit) return false;
  auto& added = *list.Add();
  added.set_key(std::string(key));
  set_value(*added.mutable_value(), value, length);
  return true;
}

std::uint64_t nanoseconds(otel::common::SystemTimestamp time) {
  return static_cast<std::uint64_t>(time.time_since_epoch().count());
}

}  // namespace

EncodedSpan SpanRecord::encoded() const {
  const Lock lock(mutex_);
  return std::make_shared<const std::string>(span_.SerializeAsString());
}

void SpanRecord::SetIdentity(const otel::trace::SpanContext& context, otel::trace::SpanId parent) noexcept {
  const Lock lock(mutex_);
  std::ranges::copy(context.trace_id().Id(), trace_.begin());
  const auto bytes = [](const auto& id) { return std::string(reinterpret_cast<const char*>(id.data()), id.size()); };
  span_.set_trace_id(bytes(context.trace_id().Id()));
  span_.set_span_id(bytes(context.span_id().Id()));
  if (parent.IsValid()) span_.set_parent_span_id(bytes(parent.Id()));
  span_.set_trace_state(context.trace_state()->ToHeader());
}

void SpanRecord::SetAttribute(otel::nostd::string_view key, const otel::common::AttributeValue& value) noexcept {
  const Lock lock(mutex_);
  if (!set_attribute(*span_.mutable_attributes(), limits_.attributes, {key.data(), key.size()}, value,
                     limits_.value_length)) {
    span_.set_dropped_attributes_count(span_.dropped_attributes_count() + 1);
  }
}

void SpanRecord::AddEvent(otel::nostd::string_view name, otel::common::SystemTimestamp time,
                          const otel::common::KeyValueIterable& attributes) noexcept {
  const Lock lock(mutex_);
  if (static_cast<std::size_t>(span_.events_size()) >= limits_.events) {
    span_.set_dropped_events_count(span_.dropped_events_count() + 1);
    return;
  }
  auto& event = *span_.add_events();
  event.set_name(name.data(), name.size());
  event.set_time_unix_nano(nanoseconds(time));
  attributes.ForEachKeyValue([&](otel::nostd::string_view key, const otel::common::AttributeValue& value) noexcept {
    if (!set_attribute(*event.mutable_attributes(), limits_.event_attributes, {key.data(), key.size()}, value,
                       limits_.value_length)) {
      event.set_dropped_attributes_count(event.dropped_attributes_count() + 1);
    }
    return true;
  });
}

void SpanRecord::SetStatus(otel::trace::StatusCode code, otel::nostd::string_view text) noexcept {
  const Lock lock(mutex_);
  auto& status = *span_.mutable_status();
  status.set_code(static_cast<proto::trace::v1::Status::StatusCode>(code));  // the same numbers
  if (code == otel::trace::StatusCode::kError) status.set_message(text.data(), text.size());
}

void SpanRecord::SetName(otel::nostd::string_view name) noexcept {
  const Lock lock(mutex_);
  span_.set_name(name.data(), name.size());
}

void SpanRecord::SetTraceFlags(otel::trace::TraceFlags flags) noexcept {
  const Lock lock(mutex_);
  span_.set_flags(flags.flags());
}

void SpanRecord::SetSpanKind(otel::trace::SpanKind kind) noexcept {
  const Lock lock(mutex_);
  span_.set_kind(kind == otel::trace::SpanKind::kServer   ? Span::SPAN_KIND_SERVER
                 : kind == otel::trace::SpanKind::kClient ? Span::SPAN_KIND_CLIENT
                                                          : Span::SPAN_KIND_INTERNAL);
}

void SpanRecord::SetStartTime(otel::common::SystemTimestamp time) noexcept {
  const Lock lock(mutex_);
  span_.set_start_time_unix_nano(nanoseconds(time));
}

void SpanRecord::SetDuration(std::chrono::nanoseconds duration) noexcept {
  const Lock lock(mutex_);
  span_.set_end_time_unix_nano(span_.start_time_unix_nano() + static_cast<std::uint64_t>(duration.count()));
}

std::string encode(const otel::sdk::resource::Resource& resource) {
  proto::resource::v1::Resource message;
  for (const auto& [key, value] : resource.GetAttributes()) {
    auto& attribute = *message.add_attributes();
    attribute.set_key(to_utf8(key));
    otel::nostd::visit(
        [&](const auto& one) {
          if constexpr (std::is_same_v<std::decay_t<decltype(one)>, std::string>) {
            attribute.mutable_value()->set_string_value(to_utf8(one));
          } else {
            set_value(*attribute.mutable_value(), one, -1);
          }
        },
        value);
  }
  return message.SerializeAsString();
}

}  // namespace dice

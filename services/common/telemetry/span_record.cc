#include "common/telemetry/span_record.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <iterator>
#include <limits>
#include <memory>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

#include "common/base/utf8.h"
#include "common/telemetry/wire.h"

namespace dice {
namespace {

namespace otel = opentelemetry;

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

/// opentelemetry.proto.common.v1.AnyValue; lists are not used.
template <typename To, typename Value>
void append_value(To& to, const Value& value, std::int64_t length) {
  if constexpr (std::is_same_v<Value, bool>) {
    wire::append_integer(to, 2, value ? 1 : 0);
  } else if constexpr (std::is_integral_v<Value>) {
    wire::append_integer(to, 3, static_cast<std::uint64_t>(static_cast<std::int64_t>(value)));
  } else if constexpr (std::is_floating_point_v<Value>) {
    wire::append_fixed(to, 4, std::bit_cast<std::uint64_t>(static_cast<double>(value)));
  } else if constexpr (std::is_same_v<Value, const char*>) {
    wire::append_bytes(to, 1, cut(value, length));
  } else if constexpr (std::is_same_v<Value, otel::nostd::string_view>) {
    wire::append_bytes(to, 1, cut({value.data(), value.size()}, length));
  }
}

std::uint64_t nanoseconds(otel::common::SystemTimestamp time) {
  return static_cast<std::uint64_t>(time.time_since_epoch().count());
}

std::string_view view(otel::nostd::string_view text) { return {text.data(), text.size()}; }

template <typename Id>
std::string_view bytes_of(const Id& id) {
  return {reinterpret_cast<const char*>(id.Id().data()), id.Id().size()};
}

}  // namespace

bool EncodedAttributes::set(std::size_t limit, std::string_view key, const otel::common::AttributeValue& value) {
  const auto same = std::ranges::find_if(
      places_, [&](const Place& one) { return std::string_view(bytes_).substr(one.key, one.key_size) == key; });
  if (same != places_.end()) {
    const auto end = std::next(same) == places_.end() ? bytes_.size() : std::next(same)->begin;
    const auto size = end - same->begin;
    bytes_.erase(same->begin, size);
    for (auto& later : std::ranges::subrange(places_.erase(same), places_.end())) {
      later.begin -= size;
      later.key -= size;
    }
  } else if (places_.size() >= limit) {
    return false;
  }
  if (places_.empty()) {  // enough for a span of ours
    constexpr std::size_t kAttributes = 14;
    constexpr std::size_t kBytes = 480;
    places_.reserve(kAttributes);
    bytes_.reserve(kBytes);
  }
  const auto append = [&](auto& to) {
    otel::nostd::visit([&](const auto& one) { append_value(to, one, value_length_); }, value);
  };
  wire::Size size;
  append(size);
  const auto pair = wire::field_bytes(key.size()) + wire::field_bytes(size.bytes);
  const auto begin = bytes_.size();
  bytes_.resize_and_overwrite(begin + wire::field_bytes(pair), [&](char* bytes, std::size_t /*size*/) {
    wire::Memory to{bytes + begin};
    wire::append_length(to, field_, pair);
    wire::append_bytes(to, 1, key);
    places_.push_back({begin, static_cast<std::size_t>(to.end - bytes) - key.size(), key.size()});
    wire::append_length(to, 2, size.bytes);
    append(to);
    return static_cast<std::size_t>(to.end - bytes);
  });
  return true;
}

EncodedSpan SpanRecord::encoded() const {
  const Lock lock(mutex_);
  constexpr std::size_t kOthers = 64;
  std::string span;
  span.reserve(head_.size() + attributes_.bytes().size() + events_.size() + status_.size() + kOthers);
  span += head_;
  wire::append_fixed(span, span_field::kStart, start_);
  if (end_ != 0) wire::append_fixed(span, span_field::kEnd, end_);
  span += attributes_.bytes();
  if (dropped_attributes_ > 0) wire::append_integer(span, span_field::kDroppedAttributes, dropped_attributes_);
  span += events_;
  if (dropped_events_ > 0) wire::append_integer(span, span_field::kDroppedEvents, dropped_events_);
  span += status_;
  return std::make_shared<const std::string>(std::move(span));
}

void SpanRecord::SetIdentity(const otel::trace::SpanContext& context, otel::trace::SpanId parent) noexcept {
  const Lock lock(mutex_);
  std::ranges::copy(context.trace_id().Id(), trace_.begin());
  wire::append_bytes(head_, span_field::kTraceId, bytes_of(context.trace_id()));
  wire::append_bytes(head_, span_field::kSpanId, bytes_of(context.span_id()));
  if (parent.IsValid()) wire::append_bytes(head_, span_field::kParentSpanId, bytes_of(parent));
  if (const auto state = context.trace_state()->ToHeader(); !state.empty()) {
    wire::append_bytes(head_, span_field::kTraceState, state);
  }
}

void SpanRecord::SetAttribute(otel::nostd::string_view key, const otel::common::AttributeValue& value) noexcept {
  const Lock lock(mutex_);
  if (!attributes_.set(limits_.attributes, view(key), value)) ++dropped_attributes_;
}

void SpanRecord::AddEvent(otel::nostd::string_view name, otel::common::SystemTimestamp time,
                          const otel::common::KeyValueIterable& attributes) noexcept {
  EncodedAttributes own(3, limits_.value_length);
  std::uint32_t dropped = 0;
  attributes.ForEachKeyValue([&](otel::nostd::string_view key, const otel::common::AttributeValue& value) noexcept {
    if (!own.set(limits_.event_attributes, view(key), value)) ++dropped;
    return true;
  });
  std::string event;
  wire::append_message(event, span_field::kEvents, [&] {
    wire::append_fixed(event, 1, nanoseconds(time));
    wire::append_bytes(event, 2, view(name));
    event += own.bytes();
    if (dropped > 0) wire::append_integer(event, 4, dropped);
  });
  const Lock lock(mutex_);
  if (event_count_ >= limits_.events) {
    ++dropped_events_;
    return;
  }
  ++event_count_;
  events_ += event;
}

void SpanRecord::SetStatus(otel::trace::StatusCode code, otel::nostd::string_view text) noexcept {
  std::string status;
  wire::append_message(status, span_field::kStatus, [&] {
    if (code == otel::trace::StatusCode::kError && !text.empty()) wire::append_bytes(status, 2, view(text));
    wire::append_integer(status, 3, static_cast<std::uint64_t>(code));  // the same numbers
  });
  const Lock lock(mutex_);
  status_ = std::move(status);
}

void SpanRecord::SetName(otel::nostd::string_view name) noexcept {
  const Lock lock(mutex_);
  wire::append_bytes(head_, span_field::kName, view(name));
}

void SpanRecord::SetTraceFlags(otel::trace::TraceFlags flags) noexcept {
  const Lock lock(mutex_);
  wire::append_fixed(head_, span_field::kFlags, std::uint32_t{flags.flags()});
}

void SpanRecord::SetSpanKind(otel::trace::SpanKind kind) noexcept {
  const Lock lock(mutex_);
  // SPAN_KIND_INTERNAL, SPAN_KIND_SERVER, SPAN_KIND_CLIENT
  wire::append_integer(head_, span_field::kKind,
                       kind == otel::trace::SpanKind::kServer   ? 2
                       : kind == otel::trace::SpanKind::kClient ? 3
                                                                : 1);
}

void SpanRecord::SetStartTime(otel::common::SystemTimestamp time) noexcept {
  const Lock lock(mutex_);
  start_ = nanoseconds(time);
}

void SpanRecord::SetDuration(std::chrono::nanoseconds duration) noexcept {
  const Lock lock(mutex_);
  end_ = start_ + static_cast<std::uint64_t>(duration.count());
}

std::string encode(const otel::sdk::resource::Resource& resource) {
  EncodedAttributes attributes(1);
  for (const auto& [key, value] : resource.GetAttributes()) {
    otel::nostd::visit(
        [&, name = to_utf8(key)](const auto& one) {
          constexpr auto kNoLimit = std::numeric_limits<std::size_t>::max();
          using Value = std::decay_t<decltype(one)>;
          if constexpr (std::is_same_v<Value, std::string>) attributes.set(kNoLimit, name, to_utf8(one).c_str());
          else if constexpr (std::is_arithmetic_v<Value>) attributes.set(kNoLimit, name, one);
        },
        value);
  }
  return attributes.bytes();
}

}  // namespace dice

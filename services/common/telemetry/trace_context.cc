#include "common/telemetry/trace_context.h"

#include <algorithm>
#include <cstddef>

namespace dice {
namespace {

constexpr std::string_view kDigits = "0123456789abcdef";

template <std::size_t N>
void append_hex(std::string& out, const std::array<std::uint8_t, N>& bytes) {
  char text[2 * N];
  for (std::size_t i = 0; i < N; ++i) {
    text[2 * i] = kDigits[bytes[i] >> 4U];
    text[2 * i + 1] = kDigits[bytes[i] & 0xFU];
  }
  out.append(text, sizeof text);
}

/// Upper-case digits are not allowed on the wire.
template <std::size_t N>
bool parse_hex(std::string_view text, std::array<std::uint8_t, N>& bytes) {
  if (text.size() != 2 * N) return false;
  for (std::size_t i = 0; i < N; ++i) {
    const auto high = kDigits.find(text[2 * i]);
    const auto low = kDigits.find(text[2 * i + 1]);
    if (high == std::string_view::npos || low == std::string_view::npos) return false;
    bytes[i] = static_cast<std::uint8_t>(high << 4U | low);
  }
  return true;
}

}  // namespace

std::string to_hex(const TraceId& id) {
  std::string text;
  append_hex(text, id);
  return text;
}

std::string to_hex(const SpanId& id) {
  std::string text;
  append_hex(text, id);
  return text;
}

std::optional<TraceId> parse_trace_id(std::string_view text) {
  TraceId id{};
  if (!parse_hex(text, id) || id == TraceId{}) return std::nullopt;
  return id;
}

std::optional<TraceContext> parse_traceparent(std::string_view header) {
  // version "-" trace-id "-" parent-id "-" trace-flags; later versions may append, version 0 may not, 255 is forbidden.
  constexpr std::size_t kLength = 55;
  std::array<std::uint8_t, 1> version{};
  std::array<std::uint8_t, 1> flags{};
  TraceContext context;
  if (header.size() < kLength || header[2] != '-' || header[35] != '-' || header[52] != '-') return std::nullopt;
  if (!parse_hex(header.substr(0, 2), version) || version[0] == 0xFF) return std::nullopt;
  if (header.size() > kLength && (version[0] == 0 || header[kLength] != '-')) return std::nullopt;
  if (!parse_hex(header.substr(3, 32), context.trace_id) || !parse_hex(header.substr(36, 16), context.span_id) ||
      !parse_hex(header.substr(53, 2), flags) || !context.valid()) {
    return std::nullopt;
  }
  context.sampled = (flags[0] & 1U) != 0;
  return context;
}

std::string to_traceparent(const TraceContext& context) {
  std::string text = "00-";
  append_hex(text, context.trace_id);
  text += '-';
  append_hex(text, context.span_id);
  text += context.sampled ? "-01" : "-00";
  return text;
}

}  // namespace dice

#include "common/telemetry/trace_context.h"

#include <algorithm>
#include <cstddef>
#include <vector>

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

/// Upper-case digits are invalid.
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

// Limits for what is passed on.
constexpr std::size_t kMaxStateMembers = 32;    // W3C Trace Context, section 3.3.1.1
constexpr std::size_t kMaxStateBytes = 8192;    // at least 512, section 3.3.1.5
constexpr std::size_t kMaxBaggageBytes = 8192;  // W3C Baggage, section 3.3.2

bool is_blank(char c) { return c == ' ' || c == '\t'; }

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

bool is_lower_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

/// W3C Trace Context, level 2, section 3.3.1.3.1.
bool is_state_key(std::string_view key) {
  constexpr std::size_t kMaxKey = 256;
  return !key.empty() && key.size() <= kMaxKey && is_lower_or_digit(key.front()) &&
         std::ranges::all_of(key, [](char c) { return is_lower_or_digit(c) || std::string_view("_-*/@").contains(c); });
}

/// Section 3.3.1.3.2, without trailing white space.
bool is_state_value(std::string_view value) {
  constexpr std::size_t kMaxValue = 256;
  return !value.empty() && value.size() <= kMaxValue &&
         std::ranges::all_of(value, [](char c) { return c >= ' ' && c <= '~' && c != ',' && c != '='; });
}

/// RFC 9110, section 5.6.2.
bool is_token(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return is_lower_or_digit(c) || (c >= 'A' && c <= 'Z') || std::string_view("!#$%&'*+-.^_`|~").contains(c);
  });
}

/// W3C Baggage, section 3.3.1.
bool is_baggage_value(std::string_view text) {
  return std::ranges::all_of(
      text, [](char c) { return c > ' ' && c <= '~' && c != '"' && c != ',' && c != ';' && c != '\\'; });
}

struct Pair {
  std::string_view key;
  std::string_view value;
};

/// The parts before and after the first `=`; empty if there is none.
std::optional<Pair> split(std::string_view member) {
  const auto equals = member.find('=');
  if (equals == std::string_view::npos) return std::nullopt;
  return Pair{member.substr(0, equals), member.substr(equals + 1)};
}

/// key=value, followed by properties (each a key or key=value) after `;`.
bool is_baggage_member(std::string_view member) {
  const auto end = std::min(member.find(';'), member.size());
  const auto pair = split(member.substr(0, end));
  if (!pair || !is_token(trimmed(pair->key)) || !is_baggage_value(trimmed(pair->value))) return false;
  for (auto rest = member.substr(end); !rest.empty();) {
    rest.remove_prefix(1);
    const auto property = rest.substr(0, rest.find(';'));
    rest.remove_prefix(property.size());
    const auto parts = split(property).value_or(Pair{property, {}});
    if (!is_token(trimmed(parts.key)) || !is_baggage_value(trimmed(parts.value))) return false;
  }
  return true;
}

/// The members of a list for which `accept` is true, up to `max_bytes`.
template <typename Accept>
std::string kept_members(std::string_view list, std::size_t max_bytes, const Accept& accept) {
  std::string kept;
  while (!list.empty()) {
    const auto end = std::min(list.find(','), list.size());
    const auto member = trimmed(list.substr(0, end));
    list.remove_prefix(std::min(end + 1, list.size()));
    if (member.empty() || !accept(member)) continue;
    if (kept.size() + 1 + member.size() > max_bytes) break;
    if (!kept.empty()) kept += ',';
    kept += member;
  }
  return kept;
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
  header = trimmed(header);
  if (header.contains(',')) return std::nullopt;  // there were two headers
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

std::string parse_tracestate(std::string_view header) {
  std::vector<std::string_view> keys;
  return kept_members(header, kMaxStateBytes, [&keys](std::string_view member) {
    const auto pair = split(member);
    if (!pair || !is_state_key(pair->key) || !is_state_value(pair->value)) return false;
    if (keys.size() == kMaxStateMembers || std::ranges::find(keys, pair->key) != keys.end()) return false;
    keys.push_back(pair->key);
    return true;
  });
}

std::string parse_baggage(std::string_view header) { return kept_members(header, kMaxBaggageBytes, is_baggage_member); }

std::string to_traceparent(const TraceContext& context) {
  std::string text = "00-";
  append_hex(text, context.trace_id);
  text += '-';
  append_hex(text, context.span_id);
  text += context.sampled ? "-01" : "-00";
  return text;
}

}  // namespace dice

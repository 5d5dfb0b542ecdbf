#include "common/telemetry/otlp_json.h"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace dice {
namespace {

using rapidjson::Value;
using Allocator = rapidjson::Document::AllocatorType;

std::optional<std::string> base64_to_hex(std::string_view text) {
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  constexpr std::string_view kHex = "0123456789abcdef";
  while (text.ends_with('=')) text.remove_suffix(1);
  std::string hex;
  std::uint32_t bits = 0;
  unsigned count = 0;
  for (const char c : text) {
    const auto digit = kAlphabet.find(c);
    if (digit == std::string_view::npos) return std::nullopt;
    bits = bits << 6U | static_cast<std::uint32_t>(digit);
    count += 6;
    if (count >= 8) {
      count -= 8;
      const auto byte = bits >> count & 0xFFU;
      hex += kHex[byte >> 4U];
      hex += kHex[byte & 0xFU];
    }
  }
  return hex;
}

/// `bytes` is the id's length; hex of that length is left alone, since it is never base64 of it.
void id_to_hex(Value& object, const char* name, std::size_t bytes, Allocator& allocator) {
  const auto member = object.FindMember(name);
  if (member == object.MemberEnd() || !member->value.IsString()) return;
  const std::string_view text(member->value.GetString(), member->value.GetStringLength());
  if (text.size() == 2 * bytes) return;
  const auto hex = base64_to_hex(text);
  if (hex) member->value.SetString(hex->data(), static_cast<rapidjson::SizeType>(hex->size()), allocator);
}

template <std::size_t N>
void name_to_number(Value& object, const char* name, std::string_view prefix,
                    const std::array<std::string_view, N>& names) {
  const auto member = object.FindMember(name);
  if (member == object.MemberEnd() || !member->value.IsString()) return;
  std::string_view text(member->value.GetString(), member->value.GetStringLength());
  if (!text.starts_with(prefix)) return;
  text.remove_prefix(prefix.size());
  for (std::size_t i = 0; i < N; ++i) {
    if (names[i] == text) return void(member->value.SetInt(static_cast<int>(i)));
  }
}

Value* array(Value& object, const char* name) {
  if (!object.IsObject()) return nullptr;
  const auto member = object.FindMember(name);
  return member != object.MemberEnd() && member->value.IsArray() ? &member->value : nullptr;
}

void convert_span(Value& span, Allocator& allocator) {
  constexpr std::array<std::string_view, 6> kKinds = {"UNSPECIFIED", "INTERNAL", "SERVER",
                                                      "CLIENT",      "PRODUCER", "CONSUMER"};
  constexpr std::array<std::string_view, 3> kCodes = {"UNSET", "OK", "ERROR"};
  id_to_hex(span, "traceId", 16, allocator);
  id_to_hex(span, "spanId", 8, allocator);
  id_to_hex(span, "parentSpanId", 8, allocator);
  name_to_number(span, "kind", "SPAN_KIND_", kKinds);
  const auto status = span.FindMember("status");
  if (status != span.MemberEnd() && status->value.IsObject()) {
    name_to_number(status->value, "code", "STATUS_CODE_", kCodes);
  }
  if (Value* links = array(span, "links")) {
    for (auto& link : links->GetArray()) {
      if (!link.IsObject()) continue;
      id_to_hex(link, "traceId", 16, allocator);
      id_to_hex(link, "spanId", 8, allocator);
    }
  }
}

}  // namespace

bool to_otlp_json(rapidjson::Document& trace) {
  if (!trace.IsObject()) return false;
  auto& allocator = trace.GetAllocator();
  if (const auto batches = trace.FindMember("batches"); batches != trace.MemberEnd()) {
    batches->name.SetString("resourceSpans", allocator);
  }
  Value* resources = array(trace, "resourceSpans");
  if (resources == nullptr) {
    if (trace.HasMember("resourceSpans")) return false;
    trace.AddMember("resourceSpans", Value(rapidjson::kArrayType), allocator);
    return true;
  }
  for (auto& resource : resources->GetArray()) {
    Value* scopes = array(resource, "scopeSpans");
    if (scopes == nullptr) continue;
    for (auto& scope : scopes->GetArray()) {
      Value* spans = array(scope, "spans");
      if (spans == nullptr) continue;
      for (auto& span : spans->GetArray()) {
        if (span.IsObject()) convert_span(span, allocator);
      }
    }
  }
  return true;
}

}  // namespace dice

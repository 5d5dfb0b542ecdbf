// Lenient access to a parsed JSON document: absent values and values of another type read as empty.
#pragma once

#include <rapidjson/document.h>

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace dice {

/// Checks what RapidJSON does not: that arrays and objects are nested at most 64 deep (OTLP, the deepest of our
/// formats, uses fewer than twenty levels), since writing a document exhausts the stack otherwise; and that no low
/// surrogate such as \udc00 is escaped without a high one before it, which would not be UTF-8.
inline bool can_be_written(std::string_view json) {
  constexpr int kMaxDepth = 64;
  int depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (in_string && c == '\\') {
      const auto escape = json.substr(i + 1, 3);
      const bool surrogate = escape.size() == 3 && (escape.starts_with("ud") || escape.starts_with("uD"));
      if (surrogate && std::string_view("cdefCDEF").contains(escape[2])) return false;
      const bool high = surrogate && std::string_view("89abAB").contains(escape[2]);
      i += high ? 11 : 1;  // RapidJSON requires that a low one follows
    } else if (c == '"') {
      in_string = !in_string;
    } else if (!in_string && (c == '[' || c == '{') && ++depth > kMaxDepth) {
      return false;
    } else if (!in_string && (c == ']' || c == '}')) {
      --depth;
    }
  }
  return true;
}

/// Empty if `text` is not valid JSON in UTF-8, or nested more than 64 deep.
inline std::optional<rapidjson::Document> parse_json(std::string_view text) {
  if (!can_be_written(text)) return std::nullopt;
  rapidjson::Document document;
  document.Parse<rapidjson::kParseIterativeFlag | rapidjson::kParseValidateEncodingFlag>(text.data(), text.size());
  if (document.HasParseError()) return std::nullopt;
  return document;
}

/// A view into a document, which must outlive the view and the text it returns. Cheap to copy.
class JsonView {
 public:
  JsonView() = default;
  explicit JsonView(const rapidjson::Value& value) : value_(&value) {}

  explicit operator bool() const { return value_ != nullptr; }
  bool is_object() const { return value_ != nullptr && value_->IsObject(); }
  bool is_array() const { return value_ != nullptr && value_->IsArray(); }

  JsonView operator[](std::string_view name) const {
    if (!is_object()) return {};
    const rapidjson::Value key(rapidjson::StringRef(name.data(), name.size()));
    const auto found = value_->FindMember(key);
    return found == value_->MemberEnd() ? JsonView() : JsonView(found->value);
  }

  std::optional<std::string_view> text() const {
    if (value_ == nullptr || !value_->IsString()) return std::nullopt;
    return std::string_view(value_->GetString(), value_->GetStringLength());
  }

  std::optional<bool> boolean() const {
    if (value_ == nullptr || !value_->IsBool()) return std::nullopt;
    return value_->GetBool();
  }

  std::optional<double> number() const {
    if (value_ == nullptr || !value_->IsNumber()) return std::nullopt;
    return value_->GetDouble();
  }

  std::optional<std::int64_t> integer() const {
    if (value_ == nullptr || !value_->IsInt64()) return std::nullopt;
    return value_->GetInt64();
  }

  /// Protobuf's JSON writes 64-bit integers as strings; some writers use numbers.
  std::optional<std::int64_t> integer_or_digits() const {
    const auto digits = text();
    if (!digits) return integer();
    std::int64_t parsed = 0;
    const auto [end, error] = std::from_chars(digits->data(), digits->data() + digits->size(), parsed);
    if (error != std::errc() || end != digits->data() + digits->size()) return std::nullopt;
    return parsed;
  }

  std::vector<JsonView> elements() const {
    std::vector<JsonView> all;
    if (!is_array()) return all;
    for (const auto& element : value_->GetArray()) all.emplace_back(element);
    return all;
  }

  std::vector<std::pair<std::string_view, JsonView>> members() const {
    std::vector<std::pair<std::string_view, JsonView>> all;
    if (!is_object()) return all;
    for (const auto& member : value_->GetObject()) {
      all.emplace_back(std::string_view(member.name.GetString(), member.name.GetStringLength()),
                       JsonView(member.value));
    }
    return all;
  }

 private:
  const rapidjson::Value* value_ = nullptr;
};

}  // namespace dice

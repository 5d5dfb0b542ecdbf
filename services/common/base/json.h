// JSON output: helpers on top of RapidJSON's writer.
#pragma once

#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

namespace dice {

using JsonWriter = rapidjson::Writer<rapidjson::StringBuffer>;

/// Strings must be UTF-8 (see utf8.h). Whole numbers are written without a fraction, NaN and infinity as null.
template <typename Value>
void write_value(JsonWriter& writer, const Value& value) {
  if constexpr (std::is_same_v<Value, bool>) {
    writer.Bool(value);
  } else if constexpr (std::is_integral_v<Value>) {
    writer.Int64(static_cast<std::int64_t>(value));
  } else if constexpr (std::is_floating_point_v<Value>) {
    if (!std::isfinite(value)) {
      writer.Null();
    } else if (value == std::trunc(value) && std::abs(value) < 1e15) {
      writer.Int64(static_cast<std::int64_t>(value));
    } else {
      writer.Double(value);
    }
  } else if constexpr (std::is_convertible_v<Value, std::string_view>) {
    const std::string_view text = value;
    writer.String(text.data(), static_cast<rapidjson::SizeType>(text.size()));
  } else {
    writer.StartArray();
    for (const auto& element : value) write_value(writer, element);
    writer.EndArray();
  }
}

inline void write_key(JsonWriter& writer, std::string_view key) {
  writer.Key(key.data(), static_cast<rapidjson::SizeType>(key.size()));
}

template <typename Value>
void write_member(JsonWriter& writer, std::string_view key, const Value& value) {
  write_key(writer, key);
  write_value(writer, value);
}

/// "key": [{…}, …]; `members(row)` writes the members of one object.
template <typename Rows, typename Members>
void write_objects(JsonWriter& writer, std::string_view key, const Rows& rows, const Members& members) {
  write_key(writer, key);
  writer.StartArray();
  for (const auto& row : rows) {
    writer.StartObject();
    members(row);
    writer.EndObject();
  }
  writer.EndArray();
}

/// `members(writer)` writes the members of the object.
template <typename Members>
std::string json_object(Members&& members) {
  rapidjson::StringBuffer buffer;
  JsonWriter writer(buffer);
  writer.StartObject();
  members(writer);
  writer.EndObject();
  return {buffer.GetString(), buffer.GetSize()};
}

}  // namespace dice

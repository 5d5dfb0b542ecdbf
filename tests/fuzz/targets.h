// The fuzz targets: each takes any bytes, and throws, or is stopped by a sanitizer, if something does not hold.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/json_view.h"
#include "contract/error.h"

namespace dice::fuzz {

void answers(std::string_view input);
void connection(std::string_view input);
void dice_file(std::string_view input);
void die(std::string_view input);
void faults(std::string_view input);
void log_line(std::string_view input);
void loki(std::string_view input);
void metrics(std::string_view input);
void parser(std::string_view input);
void query(std::string_view input);
void settings(std::string_view input);
void spans(std::string_view input);
void summary(std::string_view input);
void trace(std::string_view input);
void trace_context(std::string_view input);

struct Target {
  /// Of its program, and of its folder in corpus/.
  std::string_view name;
  void (*run)(std::string_view input);
};

inline constexpr std::array kTargets = {
    Target{"answers", answers}, Target{"connection", connection}, Target{"dice_file", dice_file},
    Target{"die", die},         Target{"faults", faults},         Target{"log_line", log_line},
    Target{"loki", loki},       Target{"metrics", metrics},       Target{"parser", parser},
    Target{"query", query},     Target{"settings", settings},     Target{"spans", spans},
    Target{"summary", summary}, Target{"trace", trace},           Target{"trace_context", trace_context}};

inline void require(bool holds, const std::string& what) {
  if (!holds) throw std::logic_error(what);
}

/// In the inputs of several targets, this byte stands between two parts.
inline constexpr char kCut = '\xFF';

inline std::vector<std::string_view> parts(std::string_view input, char separator = kCut) {
  std::vector<std::string_view> all;
  for (std::size_t at = 0; at <= input.size();) {
    const auto end = std::min(input.find(separator, at), input.size());
    all.push_back(input.substr(at, end - at));
    at = end + 1;
  }
  return all;
}

/// RapidJSON reads numbers of many digits with an error in the last one.
inline bool almost_equal(double one, double other) {
  return one == other || std::abs(one - other) <= 1e-14 * std::abs(one) || std::abs(one - other) < 1e-300;
}

/// No line break and no other control character.
inline bool is_one_line(std::string_view text) {
  return !text.empty() && std::ranges::none_of(text, [](unsigned char c) { return c < ' '; });
}

/// An error that is the client's own fault.
inline void require_client_error(const Error& error) {
  const auto status = status_of(error.code);
  require((status >= 400 && status < 500) || error.code == ErrorCode::not_implemented, "another status");
  require(!error.message.empty(), "there is no message");
  require(parse_json(error_body(error, "")).has_value(), "the body is not JSON");
}

}  // namespace dice::fuzz

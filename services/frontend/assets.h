// The files of the web page, embedded in the program.
#pragma once

#include <span>
#include <string_view>

namespace dice {

struct Asset {
  /// The path of the URL.
  std::string_view path;
  std::string_view content_type;
  std::string_view content;
};

std::span<const Asset> assets();

}  // namespace dice

// The files of the page, embedded into the program.
#pragma once

#include <span>
#include <string_view>

namespace dice {

struct Asset {
  /// As a browser asks for it.
  std::string_view path;
  std::string_view content_type;
  std::string_view content;
};

std::span<const Asset> assets();

}  // namespace dice

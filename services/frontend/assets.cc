#include "frontend/assets.h"

#include <array>

// services/CMakeLists.txt writes assets.inc: ASSET(name of the symbols in assets.S, "file") for each file of the page.
#define ASSET(name, file)                \
  extern const char dice_asset_##name[]; \
  extern const char dice_asset_##name##_end[];
extern "C" {
#include "assets.inc"
}
#undef ASSET

namespace dice {
namespace {

Asset asset(std::string_view path, std::string_view content) {
  std::string_view type = "text/html; charset=utf-8";
  if (path.ends_with(".css")) type = "text/css; charset=utf-8";
  if (path.ends_with(".js")) type = "text/javascript; charset=utf-8";
  if (path.ends_with(".svg")) type = "image/svg+xml";
  return {path == "/index.html" ? "/" : path, type, content};
}

}  // namespace

std::span<const Asset> assets() {
#define ASSET(name, file) asset("/" file, {dice_asset_##name, dice_asset_##name##_end}),
  static const std::array all = {
#include "assets.inc"
  };
  return all;
}

}  // namespace dice

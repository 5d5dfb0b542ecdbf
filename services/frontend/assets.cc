#include "frontend/assets.h"

#include <array>
#include <cstdint>
#include <string>

// services/CMakeLists.txt writes assets.inc: ASSET(name of the symbols in assets.S, "file", "file.gz") for each file of
// the page.
#define ASSET(name, file, compressed)           \
  extern const char dice_asset_##name[];        \
  extern const char dice_asset_##name##_gzip[]; \
  extern const char dice_asset_##name##_end[];
extern "C" {
#include "assets.inc"
}
#undef ASSET

namespace dice {
namespace {

/// FNV-1a.
std::string etag_of(std::string_view content) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : content) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return '"' + std::to_string(hash) + '"';
}

Asset asset(std::string_view path, std::string_view plain, std::string_view gzip) {
  std::string_view type = "text/html; charset=utf-8";
  if (path.ends_with(".css")) type = "text/css; charset=utf-8";
  if (path.ends_with(".js")) type = "text/javascript; charset=utf-8";
  if (path.ends_with(".svg")) type = "image/svg+xml";
  return {path == "/index.html" ? "/" : path, type, {plain, etag_of(plain)}, {gzip, etag_of(gzip)}};
}

}  // namespace

std::span<const Asset> assets() {
#define ASSET(name, file, compressed) \
  asset("/" file, {dice_asset_##name, dice_asset_##name##_gzip}, {dice_asset_##name##_gzip, dice_asset_##name##_end}),
  static const std::array all = {
#include "assets.inc"
  };
  return all;
}

}  // namespace dice

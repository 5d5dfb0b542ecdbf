#include "frontend/assets.h"

#include <array>

// Each pair of symbols is in assets.S.
#define DICE_ASSETS(ASSET)                                               \
  ASSET(index_html, "/", "text/html; charset=utf-8")                     \
  ASSET(style_css, "/style.css", "text/css; charset=utf-8")              \
  ASSET(app_js, "/app.js", "text/javascript; charset=utf-8")             \
  ASSET(api_js, "/api.js", "text/javascript; charset=utf-8")             \
  ASSET(trace_js, "/trace.js", "text/javascript; charset=utf-8")         \
  ASSET(waterfall_js, "/waterfall.js", "text/javascript; charset=utf-8") \
  ASSET(dice_js, "/dice.js", "text/javascript; charset=utf-8")           \
  ASSET(favicon_svg, "/favicon.svg", "image/svg+xml")

#define DICE_DECLARE(name, path, type)   \
  extern const char dice_asset_##name[]; \
  extern const char dice_asset_##name##_end[];
extern "C" {
DICE_ASSETS(DICE_DECLARE)
}

namespace dice {

std::span<const Asset> assets() {
#define DICE_ASSET(name, path, type) Asset{path, type, {dice_asset_##name, dice_asset_##name##_end}},
  static const std::array all = {DICE_ASSETS(DICE_ASSET)};
  return all;
}

}  // namespace dice

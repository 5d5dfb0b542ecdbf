/* The page, as it is in web/. */
#define ASSET(name, file)               \
  .global dice_asset_##name;            \
  dice_asset_##name: .incbin file;      \
  .global dice_asset_##name##_end;      \
  dice_asset_##name##_end: .byte 0

.section .rodata
ASSET(index_html, "index.html")
ASSET(style_css, "style.css")
ASSET(app_js, "app.js")
ASSET(api_js, "api.js")
ASSET(trace_js, "trace.js")
ASSET(waterfall_js, "waterfall.js")
ASSET(dice_js, "dice.js")
ASSET(favicon_svg, "favicon.svg")
.section .note.GNU-stack, "", %progbits

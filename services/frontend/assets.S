/* The files of the web page, embedded unchanged. */
#define ASSET(name, file)               \
  .global dice_asset_##name;            \
  dice_asset_##name: .incbin file;      \
  .global dice_asset_##name##_end;      \
  dice_asset_##name##_end: .byte 0

.section .rodata
#include "assets.inc"
.section .note.GNU-stack, "", %progbits

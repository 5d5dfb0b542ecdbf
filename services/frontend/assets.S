/* The files of the web page, each as it is and then compressed. */
#ifdef __CET__
#include <cet.h> /* the note that it goes with control-flow protection, which the compiler only writes for C++ */
#endif

#define ASSET(name, file, compressed)   \
  .global dice_asset_##name;            \
  dice_asset_##name: .incbin file;      \
  .global dice_asset_##name##_gzip;     \
  dice_asset_##name##_gzip: .incbin compressed; \
  .global dice_asset_##name##_end;      \
  dice_asset_##name##_end: .byte 0

.section .rodata
#include "assets.inc"
.section .note.GNU-stack, "", %progbits

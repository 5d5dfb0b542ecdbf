// The program of one target: libFuzzer calls it with each input.
#include <cstddef>
#include <cstdint>

#include "fuzz/targets.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  dice::fuzz::TARGET({reinterpret_cast<const char*>(data), size});
  return 0;
}

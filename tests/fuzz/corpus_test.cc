// Every input that fuzzing has found worth keeping, as a test that requires no fuzzer.
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "fuzz/targets.h"

namespace dice {
namespace {

namespace fs = std::filesystem;

TEST_CASE("fuzz: every target accepts its corpus") {
  const fs::path corpus = DICE_SOURCE_DIR "/tests/fuzz/corpus";
  for (const auto& target : fuzz::kTargets) {
    CAPTURE(target.name);
    std::size_t inputs = 0;
    for (const auto& file : fs::directory_iterator(corpus / target.name)) {
      CAPTURE(file.path().filename().string());
      std::ifstream stream(file.path(), std::ios::binary);
      const std::string input((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
      CHECK_NOTHROW(target.run(input));
      ++inputs;
    }
    CHECK(inputs > 0);
  }
  const fs::directory_iterator folders(corpus);
  CHECK(static_cast<std::size_t>(std::distance(begin(folders), end(folders))) == fuzz::kTargets.size());
}

}  // namespace
}  // namespace dice

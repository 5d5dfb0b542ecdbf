#include <doctest/doctest.h>

#include <chrono>
#include <filesystem>

#include "die-service/specifications.h"
#include "unit/helpers.h"

namespace dice {
namespace {

namespace fs = std::filesystem;
using test::TemporaryFolder;
using test::write_file;

TEST_CASE("file watch: an unchanged file") {
  const TemporaryFolder folder;
  write_file(folder / "dice.yaml", "a");
  FileWatch watch(folder / "dice.yaml");
  for (int i = 0; i < 3; ++i) CHECK_FALSE(watch.changed());
}

TEST_CASE("file watch: a modified file has changed, once") {
  const TemporaryFolder folder;
  const auto file = folder / "dice.yaml";
  write_file(file, "a");
  FileWatch watch(file);
  write_file(file, "longer");
  CHECK(watch.changed());
  CHECK_FALSE(watch.changed());
}

TEST_CASE("file watch: different content of the same size is a change") {
  const TemporaryFolder folder;
  const auto file = folder / "dice.yaml";
  write_file(file, "a");
  FileWatch watch(file);
  const auto before = fs::last_write_time(file);
  write_file(file, "b");
  fs::last_write_time(file, before + std::chrono::microseconds(1));
  CHECK(watch.changed());
}

TEST_CASE("file watch: a file that replaces it is a change, even with the same size and time") {
  const TemporaryFolder folder;
  const auto file = folder / "dice.yaml";
  write_file(file, "a");
  FileWatch watch(file);
  write_file(folder / "next", "b");
  fs::last_write_time(folder / "next", fs::last_write_time(file));
  fs::rename(folder / "next", file);
  CHECK(watch.changed());
  CHECK_FALSE(watch.changed());
}

TEST_CASE("file watch: a new target of a link, as Kubernetes updates a ConfigMap, is a change") {
  const TemporaryFolder folder;
  for (const auto* version : {"v1", "v2"}) {
    fs::create_directory(folder / version);
    write_file(folder / version / "dice.yaml", version);
    fs::last_write_time(folder / version / "dice.yaml", fs::file_time_type{});
  }
  fs::create_symlink("v1", folder / "..data");
  fs::create_symlink("..data/dice.yaml", folder / "dice.yaml");
  FileWatch watch(folder / "dice.yaml");
  CHECK_FALSE(watch.changed());
  fs::create_symlink("v2", folder / "..data_tmp");
  fs::rename(folder / "..data_tmp", folder / "..data");
  CHECK(watch.changed());
  CHECK_FALSE(watch.changed());
}

TEST_CASE("file watch: a missing file is not a change; its return is one, unless it is the same file") {
  const TemporaryFolder folder;
  const auto file = folder / "dice.yaml";
  write_file(file, "a");
  FileWatch watch(file);
  fs::rename(file, folder / "aside");
  CHECK_FALSE(watch.changed());
  fs::rename(folder / "aside", file);
  CHECK_FALSE(watch.changed());
  fs::remove(file);
  CHECK_FALSE(watch.changed());
  write_file(file, "another");
  CHECK(watch.changed());
}

TEST_CASE("file watch: a file that appears later is a change") {
  const TemporaryFolder folder;
  FileWatch watch(folder / "dice.yaml");
  CHECK_FALSE(watch.changed());
  write_file(folder / "dice.yaml", "a");
  CHECK(watch.changed());
}

}  // namespace
}  // namespace dice

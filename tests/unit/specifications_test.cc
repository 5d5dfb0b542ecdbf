#include "die-service/specifications.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <atomic>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "unit/helpers.h"

namespace dice {
namespace {

using test::TemporaryFolder;
using test::write_file;

constexpr const char* kIdentifierRule =
    "an identifier must be 1 to 64 letters, digits, '-', '_' or '.', not starting with '_', and not . or ..";
constexpr const char* kFacesRule = "'a.faces' must be a list of 1 to 100 whole numbers";
constexpr const char* kRateRule = "'a.error_rate' must be a number from 0 to 1";

Specifications good(const std::string& text) {
  auto parsed = parse_specifications(text);
  CAPTURE(text);
  if (!parsed) FAIL(parsed.error());
  return std::move(*parsed);
}

std::string bad(const std::string& text) {
  const auto parsed = parse_specifications(text);
  CAPTURE(text);
  REQUIRE_FALSE(parsed);
  return parsed.error();
}

std::string line(int number, const std::string& reason) { return "line " + std::to_string(number) + ": " + reason; }

std::vector<std::string> identifiers(const Specifications& all) {
  std::vector<std::string> names;
  for (const auto& die : all) names.push_back(die.identifier);
  return names;
}

TEST_CASE("specifications: the shipped file has fair and risky") {
  const auto file = std::filesystem::path(DICE_SOURCE_DIR) / "services/die-service/dice.yaml";
  const auto read = read_specifications(file);
  REQUIRE(read);
  CHECK(*read == Specifications{{"fair", {1, 2, 3, 4, 5, 6}, 0}, {"risky", {1, 2, 3, 4, 5, 6}, 0.3}});
}

TEST_CASE("specifications: both YAML styles and JSON are equivalent") {
  const Specifications expected = {{"coin", {0, 1}, 0.5}, {"one", {-7}, 0}};
  CHECK(good("coin:\n  faces:\n    - 0\n    - 1\n  error_rate: 0.5\none: {faces: [-7]}\n") == expected);
  CHECK(good("coin: {error_rate: 0.5, faces: [0, 1]}\none: {faces: [-7], error_rate: 0}") == expected);
  CHECK(good(R"({"coin":{"faces":[0,1],"error_rate":0.5},"one":{"faces":[-7],"error_rate":0}})") == expected);
  CHECK(good("{\n\t\"coin\": {\"faces\": [0, 1], \"error_rate\": 5e-1},\n\t\"one\": {\"faces\": [-7]}\n}\n") ==
        expected);
}

TEST_CASE("specifications: dice keep the order of the file") {
  CHECK(identifiers(good("z: {faces: [1]}\na: {faces: [1]}\nM: {faces: [1]}\n\"1\": {faces: [1]}")) ==
        std::vector<std::string>{"z", "a", "M", "1"});
}

TEST_CASE("specifications: faces keep their order and may repeat; the bounds themselves are allowed") {
  CHECK(good("a: {faces: [3, 1, 3, 1000000, -1000000]}")[0].faces == std::vector<int>{3, 1, 3, 1000000, -1000000});
  std::string hundred = "1";
  for (int i = 1; i < 100; ++i) hundred += ",1";
  CHECK(good("a: {faces: [" + hundred + "]}")[0].faces.size() == 100);
  CHECK(bad("a: {faces: [" + hundred + ",1]}") == line(1, kFacesRule));
  CHECK(good("a: {faces: [1], error_rate: 1}")[0].error_rate == 1);
  CHECK(good(std::string(64, 'x') + ": {faces: [1]}").size() == 1);
}

TEST_CASE("specifications: each error has its line number") {
  struct {
    std::string text, error;
  } const cases[] = {
      // faces
      {"a:\n  error_rate: 0\n", line(1, "'a.faces' is missing")},
      {"ok: {faces: [1]}\na:\n  error_rate: 0\n", line(2, "'a.faces' is missing")},
      {"a:\n  faces: []\n", line(2, kFacesRule)},
      {"a:\n  faces: 6\n", line(2, kFacesRule)},
      {"a:\n  faces:\n", line(2, kFacesRule)},
      {"a:\n  faces: {x: 1}\n", line(2, kFacesRule)},
      {"a:\n  faces:\n    - 1\n    - two\n", line(4, kFacesRule)},
      {"a:\n  faces: [1, 2.5]\n", line(2, kFacesRule)},
      {"a:\n  faces: [1, \"2\"]\n", line(2, kFacesRule)},
      {"a:\n  faces: [1, '2']\n", line(2, kFacesRule)},
      {"a:\n  faces: [1, ~]\n", line(2, kFacesRule)},
      {"a:\n  faces: [1, true]\n", line(2, kFacesRule)},
      {"a:\n  faces: [1, [2]]\n", line(2, kFacesRule)},
      {"a:\n  faces: [1, 3000000000]\n", line(2, kFacesRule)},
      {"a:\n  faces:\n    - 1\n    - 1000001\n", line(4, "'a.faces' must be within ±1000000")},
      {"a:\n  faces: [-1000001]\n", line(2, "'a.faces' must be within ±1000000")},
      // error_rate
      {"a:\n  faces: [1]\n  error_rate: 1.1\n", line(3, kRateRule)},
      {"a:\n  faces: [1]\n  error_rate: -0.1\n", line(3, kRateRule)},
      {"a:\n  faces: [1]\n  error_rate: .nan\n", line(3, kRateRule)},
      {"a:\n  faces: [1]\n  error_rate: .inf\n", line(3, kRateRule)},
      {"a:\n  faces: [1]\n  error_rate: \"0.1\"\n", line(3, kRateRule)},
      {"a:\n  faces: [1]\n  error_rate: often\n", line(3, kRateRule)},
      {"a:\n  faces: [1]\n  error_rate: 10%\n", line(3, kRateRule)},
      {"a:\n  faces: [1]\n  error_rate: [0]\n", line(3, kRateRule)},
      // fields
      {"a:\n  faces: [1]\n  faces: [2]\n", line(3, "'a.faces' appears twice")},
      {"a:\n  error_rate: 0\n  faces: [1]\n  error_rate: 0\n", line(4, "'a.error_rate' appears twice")},
      {"a:\n  faces: [1]\n  rate: 0\n", line(3, "'a.rate' is not a field; allowed: faces, error_rate")},
      {"a:\n  faces: [1]\n  Faces: [1]\n", line(3, "'a.Faces' is not a field; allowed: faces, error_rate")},
      {"a:\n  [x]: 1\n", line(2, "'a.?' is not a field; allowed: faces, error_rate")},
      {"a: [1, 2]\n", line(1, "'a' must have faces and error_rate")},
      {"ok: {faces: [1]}\na:\n", line(2, "'a' must have faces and error_rate")},
      // identifiers
      {"ok: {faces: [1]}\na: {faces: [1]}\nok: {faces: [2]}\n", line(3, "'ok' appears twice")},
      {"{\"a\":{\"faces\":[1]},\n\"a\":{\"faces\":[1]}}", line(2, "'a' appears twice")},
      {"_unknown: {faces: [1]}\n", line(1, kIdentifierRule)},
      {"ok: {faces: [1]}\n\"\": {faces: [1]}\n", line(2, kIdentifierRule)},
      {"a b: {faces: [1]}\n", line(1, kIdentifierRule)},
      {".: {faces: [1]}\n", line(1, kIdentifierRule)},
      {"..: {faces: [1]}\n", line(1, kIdentifierRule)},
      {"a/b: {faces: [1]}\n", line(1, kIdentifierRule)},
      {"\"a\\nb\": {faces: [1]}\n", line(1, kIdentifierRule)},
      {"würfel: {faces: [1]}\n", line(1, kIdentifierRule)},
      {std::string(65, 'x') + ": {faces: [1]}\n", line(1, kIdentifierRule)},
      {"[a]: {faces: [1]}\n", line(1, kIdentifierRule)},
      // tags
      {"a: {faces: [1, !odd 3]}\n", line(1, "tags are not allowed, such as '!odd'")},
      {"a:\n  faces: !list [1]\n", line(2, "tags are not allowed, such as '!list'")},
      {"a:\n  faces: [1]\n  error_rate: !!str 0.5\n", line(3, "tags are not allowed, such as 'tag:yaml.org,2002:str'")},
      {"a:\n  !key faces: [1]\n", line(2, "tags are not allowed, such as '!key'")},
      {"a: !die {faces: [1]}\n", line(1, "tags are not allowed, such as '!die'")},
      {"!name a: {faces: [1]}\n", line(1, "tags are not allowed, such as '!name'")},
      {"!<x> {a: {faces: [1]}}\n", line(1, "tags are not allowed, such as 'x'")},
      {"a: &a !die {faces: [1]}\nb: *a\n", line(1, "tags are not allowed, such as '!die'")},
      // the whole
      {"a: {faces: [1]}\n---\nb: {faces: [1]}\n", line(2, "there must be only one YAML document")},
      {"a: {faces: [1]}\n...\nb: {faces: [1]}\n", line(3, "there must be only one YAML document")},
      {"{\"a\":{\"faces\":[1]}}\n{\"b\":{\"faces\":[1]}}\n", line(2, "there must be only one YAML document")},
      {"- a\n- b\n", line(1, "there must be at least one die: identifier: specification")},
      {"{}\n", line(1, "there must be at least one die: identifier: specification")},
      {"fair\n", line(1, "there must be at least one die: identifier: specification")},
  };
  for (const auto& [text, error] : cases) CHECK(bad(text) == error);
}

TEST_CASE("specifications: the minimum integer is too small for a face") {
  CHECK(bad("a: {faces: [-2147483648]}") == line(1, "'a.faces' must be within ±1000000"));
}

TEST_CASE("specifications: an empty file is rejected") {
  for (const auto* text : {"", "\n", "# only a comment\n", "---\n", "~\n"}) {
    CHECK(bad(text).ends_with("there must be at least one die: identifier: specification"));
  }
}

TEST_CASE("specifications: a syntax error has its line number") {
  for (const auto& [text, start] : std::vector<std::pair<std::string, std::string>>{
           {"a: {faces: [1]}\nb: {faces: [1}\n", "line 2: "},
           {"a:\n  faces: [1]\n error_rate: 0\n", "line 3: "},
           {"a: {faces: [1]}\n\tb: 1\n", "line 2: "},
           {"{\"a\": {\"faces\": [1]}\n", "line "},
           {"a: *nowhere\n", "line 1: "},
           {"a: \"open\n", "line "},
       }) {
    const auto error = bad(text);
    CAPTURE(error);
    CHECK(error.starts_with(start));
    CHECK(error.size() > start.size() + 5);
  }
}

TEST_CASE("specifications: an error is always one line") {
  for (const auto* text :
       {"a: {faces: [1], \"x\\ny\": 1}", "a: {faces: [1], ? |\n  x\n  y\n  : 1}",
        "a:\n  faces: [1]\n  ? |\n    x\n    y\n  : 1\n", "a: !<x\ny> 1", "\x01\n\n", "%YAML 9\n%x"}) {
    CHECK(bad(text).find('\n') == std::string::npos);
  }
}

TEST_CASE("specifications: at most 100 dice") {
  std::string text;
  for (int i = 0; i < 100; ++i) text += "d" + std::to_string(i) + ": {faces: [1]}\n";
  CHECK(good(text).size() == 100);
  CHECK(bad(text + "last: {faces: [1]}\n") == line(101, "there may be at most 100 dice"));
}

TEST_CASE("specifications: anchors and aliases are read") {
  CHECK(good("a: &die {faces: &six [1, 2, 3, 4, 5, 6], error_rate: 0}\nb: *die\nc: {faces: *six, error_rate: 0.1}\n") ==
        Specifications{{"a", {1, 2, 3, 4, 5, 6}, 0}, {"b", {1, 2, 3, 4, 5, 6}, 0}, {"c", {1, 2, 3, 4, 5, 6}, 0.1}});
}

TEST_CASE("specifications: hostile YAML is rejected without a crash") {
  const std::string brackets(100'000, '[');
  for (const auto& text : {
           "a: &a {faces: *a}\n" + std::string(),
           "a: {faces: &a [*a]}\n" + std::string(),
           "&a a: *a\n" + std::string(),
           "a: {faces: " + brackets,
           brackets,
           std::string(100'000, '{'),
           "a: {faces: " + brackets + std::string(100'000, ']') + "}",
           std::string(100'000, '&'),
           std::string("a: {faces: [1]}\0b: {faces: [1", 29),
           std::string("\xFF\xFE\x00\xD8", 4),
           std::string("a: {faces: [!!binary x]}"),
       }) {
    CHECK_FALSE(parse_specifications(text));
  }
  // Each level multiplies by ten: 10^9 faces in total.
  std::string laughs = "a0: &a0 [1]\n";
  for (int i = 1; i < 10; ++i) {
    const auto below = "*a" + std::to_string(i - 1);
    laughs += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + below;
    for (int k = 1; k < 10; ++k) laughs += ", " + below;
    laughs += "]\n";
  }
  CHECK(bad(laughs + "die: {faces: *a9}\n").starts_with("line 1: "));
  std::string dice;  // each die an alias of a large list
  for (int i = 0; i < 100; ++i) dice += "\nd" + std::to_string(i) + ": *a9";
  CHECK(bad(laughs + dice).starts_with("line 1: "));
}

TEST_CASE("specifications: the start and the end of the only document may be marked") {
  CHECK(good("---\na: {faces: [1]}\n...\n# end\n").size() == 1);
  CHECK(bad("---\n---\na: {faces: [1]}\n") == line(2, "there must be only one YAML document"));
  CHECK(bad("a: {faces: [1]}\n---\n") == line(2, "there must be only one YAML document"));
}

TEST_CASE("specifications: errors begin with the name of the file") {
  const TemporaryFolder folder;
  const auto file = folder / "dice.yaml";
  const auto error = [&] {
    const auto read = read_specifications(file);
    REQUIRE_FALSE(read);
    return read.error();
  };
  CHECK(error() == file.string() + ": cannot be read");
  write_file(file, "a:\n  faces: []\n");
  CHECK(error() == file.string() + ": " + line(2, kFacesRule));
  write_file(file, "a: {faces: [1]}");
  CHECK(read_specifications(file)->size() == 1);
}

TEST_CASE("specifications: a folder instead of a file is an error") {
  const TemporaryFolder folder;  // as with a wrong volume mount
  std::filesystem::create_directory(folder / "dice.yaml");
  const auto read = read_specifications(folder / "dice.yaml");
  REQUIRE_FALSE(read);
  CHECK(read.error() == (folder / "dice.yaml").string() + ": must be a regular file");
}

TEST_CASE("specifications: a pipe or a device is an error, and is not waited for") {
  const TemporaryFolder folder;
  REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);
  std::filesystem::create_symlink("/dev/zero", folder / "link");
  for (const auto& file : {(folder / "pipe").string(), (folder / "link").string(), std::string("/dev/zero")}) {
    const auto read = read_specifications(file);
    REQUIRE_FALSE(read);
    CHECK(read.error() == file + ": must be a regular file");
  }
}

TEST_CASE("specifications: a file has at most 262144 bytes") {
  const TemporaryFolder folder;
  const auto file = folder / "dice.yaml";
  std::string text = "a: {faces: [1]}\n#";
  text.resize(262'144, 'x');
  write_file(file, text);
  CHECK(read_specifications(file));
  write_file(file, text + "x");
  const auto read = read_specifications(file);
  REQUIRE_FALSE(read);
  CHECK(read.error() == file.string() + ": must have at most 262144 bytes");
  std::filesystem::resize_file(file, 100UL << 20U);
  CHECK_FALSE(read_specifications(file));
}

TEST_CASE("specifications: 100 dice with 100 faces fit into a file") {
  const TemporaryFolder folder;
  std::string text;
  for (int die = 100; die < 200; ++die) {
    text += std::string(61, 'x') + std::to_string(die) + ":\n    faces:\n";
    for (int face = 0; face < 100; ++face) text += "        - -1000000\n";
    text += "    error_rate: 0.123456789\n";
  }
  write_file(folder / "dice.yaml", text);
  CHECK(read_specifications(folder / "dice.yaml")->size() == 100);
}

TEST_CASE("specifications: an error is one line, whatever the name of the file") {
  const auto read = read_specifications("no\n\x1B[31m\xC2\x9B");
  REQUIRE_FALSE(read);
  CHECK(read.error() == "no\xEF\xBF\xBD\xEF\xBF\xBD[31m\xEF\xBF\xBD: cannot be read");
}

TEST_CASE("specifications: the responses are exactly those of the contract") {
  const SpecificationStore store({{"fair", {1, 2, 3, 4, 5, 6}, 0}, {"risky", {1, -2}, 0.3}, {"never", {1}, 1}});
  const auto set = store.current();
  CHECK(set->size() == 3);
  CHECK(set->list() == R"({"identifiers":["fair","risky","never"]})");
  REQUIRE(set->find("fair"));
  CHECK(*set->find("fair") == R"({"identifier":"fair","specification":{"faces":[1,2,3,4,5,6],"error_rate":0}})");
  CHECK(*set->find("risky") == R"({"identifier":"risky","specification":{"faces":[1,-2],"error_rate":0.3}})");
  CHECK(*set->find("never") == R"({"identifier":"never","specification":{"faces":[1],"error_rate":1}})");
  for (const auto* name : {"", "Fair", "fair ", "fai", "fairr", "_unknown"}) CHECK(set->find(name) == nullptr);
}

TEST_CASE("specifications: a new set takes effect immediately, and the old one stays valid for those who use it") {
  SpecificationStore store({{"old", {1}, 0}});
  const auto before = store.current();
  store.replace({{"new", {1}, 0}, {"newer", {1}, 0}});
  CHECK(store.current()->list() == R"({"identifiers":["new","newer"]})");
  CHECK(store.current()->find("old") == nullptr);
  CHECK(before->find("old") != nullptr);
  CHECK(before->size() == 1);
}

TEST_CASE("specifications: readers see the old set or the new one, never a mixture") {
  SpecificationStore store({{"a", {1}, 0}});
  std::atomic<bool> stop = false;
  {
    const std::jthread reader([&] {
      while (!stop) {
        const auto set = store.current();
        CHECK((set->find("a") != nullptr) == (set->list() == R"({"identifiers":["a"]})"));
      }
    });
    for (int i = 0; i < 200; ++i) store.replace({{i % 2 == 0 ? "b" : "a", {1}, 0}});
    stop = true;
  }
}

}  // namespace
}  // namespace dice

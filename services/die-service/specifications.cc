#include "die-service/specifications.h"

#include <sys/stat.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

#include "common/base/json.h"

namespace dice {
namespace {

constexpr std::size_t kMaxDice = 100;
constexpr std::size_t kMaxFaces = 100;
constexpr std::size_t kMaxIdentifierLength = 64;
constexpr int kMaxFace = 1'000'000;

/// Thrown and caught only in this file, like yaml-cpp's exceptions.
struct Mistake {
  YAML::Mark mark;
  std::string reason;
};

/// A single line, whatever names the file contains.
std::string at(const YAML::Mark& mark, std::string reason) {
  std::ranges::replace_if(reason, [](unsigned char c) { return c < ' '; }, ' ');
  return (mark.is_null() ? "" : "line " + std::to_string(mark.line + 1) + ": ") + reason;
}

template <typename Value>
Value read(const YAML::Node& node, const std::string& what, const std::string& allowed) {
  try {
    if (node.IsScalar() && node.Tag() != "!") return node.as<Value>();  // "!" is a quoted string
  } catch (const YAML::Exception&) {                                    // reported below
  }
  throw Mistake{node.Mark(), what + " must be " + allowed};
}

std::string read_identifier(const YAML::Node& node) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '.';
  };
  const auto text = node.IsScalar() ? node.Scalar() : std::string();
  // A leading underscore is reserved for label values such as _unknown; "." and ".." are special in a URL.
  if (text.empty() || text.size() > kMaxIdentifierLength || text.front() == '_' || text == "." || text == ".." ||
      !std::ranges::all_of(text, allowed)) {
    throw Mistake{
        node.Mark(),
        "an identifier must be 1 to 64 letters, digits, '-', '_' or '.', not starting with '_', and not . or .."};
  }
  return text;
}

DieSpecification read_die(const YAML::Node& name, const YAML::Node& node) {
  DieSpecification die{read_identifier(name), {}, 0};
  const auto field = [&die](const std::string& member) { return "'" + die.identifier + "." + member + "'"; };
  if (!node.IsMap()) throw Mistake{name.Mark(), "'" + die.identifier + "' must have faces and error_rate"};
  bool has_rate = false;
  for (const auto& member : node) {
    const auto key = member.first.IsScalar() ? member.first.Scalar() : std::string("?");
    if (key == "faces" && die.faces.empty()) {
      const auto allowed = "a list of 1 to " + std::to_string(kMaxFaces) + " whole numbers";
      if (!member.second.IsSequence() || member.second.size() < 1 || member.second.size() > kMaxFaces) {
        throw Mistake{member.first.Mark(), field("faces") + " must be " + allowed};
      }
      for (const auto& face : member.second) {
        const int value = read<int>(face, field("faces"), allowed);
        if (value < -kMaxFace || value > kMaxFace)
          throw Mistake{face.Mark(), field("faces") + " must be within ±1000000"};
        die.faces.push_back(value);
      }
    } else if (key == "error_rate" && !std::exchange(has_rate, true)) {
      const std::string allowed = "a number from 0 to 1";
      die.error_rate = read<double>(member.second, field("error_rate"), allowed);
      if (!(die.error_rate >= 0 && die.error_rate <= 1)) {
        throw Mistake{member.second.Mark(), field("error_rate") + " must be " + allowed};
      }
    } else {
      throw Mistake{member.first.Mark(), field(key) + (key == "faces" || key == "error_rate"
                                                           ? " appears twice"
                                                           : " is not a field; allowed: faces, error_rate")};
    }
  }
  if (die.faces.empty()) throw Mistake{name.Mark(), field("faces") + " is missing"};
  return die;
}

Specifications read_all(const YAML::Node& root) {
  if (!root.IsMap() || root.size() == 0)
    throw Mistake{root.Mark(), "there must be at least one die: identifier: specification"};
  Specifications all;
  for (const auto& entry : root) {
    auto die = read_die(entry.first, entry.second);
    if (std::ranges::find(all, die.identifier, &DieSpecification::identifier) != all.end()) {
      throw Mistake{entry.first.Mark(), "'" + die.identifier + "' appears twice"};
    }
    all.push_back(std::move(die));
    if (all.size() > kMaxDice) throw Mistake{entry.first.Mark(), "there may be at most 100 dice"};
  }
  return all;
}

}  // namespace

std::expected<Specifications, std::string> parse_specifications(const std::string& text) {
  try {
    return read_all(YAML::Load(text));
  } catch (const Mistake& mistake) {
    return std::unexpected(at(mistake.mark, mistake.reason));
  } catch (const YAML::Exception& error) {
    return std::unexpected(at(error.mark, error.msg));
  }
}

std::expected<Specifications, std::string> read_specifications(const std::string& file) {
  std::error_code ignored;
  if (std::filesystem::is_directory(file, ignored)) return std::unexpected(file + ": cannot be read");
  std::ifstream stream(file);
  const std::string text((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
  if (!stream) return std::unexpected(file + ": cannot be read");
  auto parsed = parse_specifications(text);
  if (!parsed) return std::unexpected(file + ": " + parsed.error());
  return parsed;
}

SpecificationStore::Set::Set(Specifications specifications) {
  list_ = json_object([&](JsonWriter& writer) {
    write_key(writer, "identifiers");
    writer.StartArray();
    for (const auto& die : specifications) write_value(writer, die.identifier);
    writer.EndArray();
  });
  for (auto& die : specifications) {
    auto json = json_object([&](JsonWriter& writer) {
      write_member(writer, "identifier", die.identifier);
      write_key(writer, "specification");
      writer.StartObject();
      write_member(writer, "faces", die.faces);
      write_member(writer, "error_rate", die.error_rate);
      writer.EndObject();
    });
    dice_.push_back({std::move(die.identifier), std::move(json)});
  }
}

const std::string* SpecificationStore::Set::find(std::string_view identifier) const {
  const auto found = std::ranges::find(dice_, identifier, &Die::identifier);
  return found == dice_.end() ? nullptr : &found->json;
}

SpecificationStore::SpecificationStore(Specifications specifications) { replace(std::move(specifications)); }

std::shared_ptr<const SpecificationStore::Set> SpecificationStore::current() const {
  const Lock lock(mutex_);
  return current_;
}

void SpecificationStore::replace(Specifications specifications) {
  auto next = std::make_shared<const Set>(std::move(specifications));
  const Lock lock(mutex_);
  current_ = std::move(next);
}

FileWatch::FileWatch(std::string file) : file_(std::move(file)), last_(fingerprint()) {}

std::string FileWatch::fingerprint() const {
  struct stat info{};
  if (stat(file_.c_str(), &info) != 0) return {};
  std::string text;
  for (const auto part : {static_cast<std::uint64_t>(info.st_dev), static_cast<std::uint64_t>(info.st_ino),
                          static_cast<std::uint64_t>(info.st_size), static_cast<std::uint64_t>(info.st_mtim.tv_sec),
                          static_cast<std::uint64_t>(info.st_mtim.tv_nsec)}) {
    text += std::to_string(part) + ' ';
  }
  return text;
}

bool FileWatch::changed() {
  auto now = fingerprint();
  // While the file is being replaced, it may be missing; this does not count as a change.
  if (now.empty() || now == last_) return false;
  last_ = std::move(now);
  return true;
}

}  // namespace dice

#include "die-service/specifications.h"

#include <sys/stat.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>

#include "common/base/json.h"
#include "common/base/utf8.h"

namespace dice {
namespace {

/// Enough for the largest valid file; the main thread parses it in well under a second, whatever it contains.
constexpr std::size_t kMaxFileBytes = 256UL << 10U;
constexpr std::size_t kMaxDice = 100;
constexpr std::size_t kMaxFaces = 100;
constexpr std::size_t kMaxIdentifierLength = 64;
constexpr int kMaxFace = 1'000'000;

/// Thrown and caught only in this file, like yaml-cpp's exceptions.
struct Mistake {
  YAML::Mark mark;
  std::string reason;
};

std::string at(const YAML::Mark& mark, const std::string& reason) {
  return (mark.is_null() ? "" : "line " + std::to_string(mark.line + 1) + ": ") + reason;
}

void check_tag(const YAML::Node& node) {
  const auto& tag = node.Tag();  // "?" if there is none, and "!" for a quoted string
  if (!tag.empty() && tag != "?" && tag != "!")
    throw Mistake{node.Mark(), "tags are not allowed, such as '" + printable(tag) + "'"};
}

template <typename Value>
Value read(const YAML::Node& node, const std::string& what, const std::string& allowed) {
  check_tag(node);
  try {
    if (node.IsScalar() && node.Tag() != "!") return node.as<Value>();
  } catch (const YAML::Exception&) {  // reported below
  }
  throw Mistake{node.Mark(), what + " must be " + allowed};
}

std::string read_identifier(const YAML::Node& node) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '.';
  };
  check_tag(node);
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
  check_tag(node);
  if (!node.IsMap()) throw Mistake{name.Mark(), "'" + die.identifier + "' must have faces and error_rate"};
  bool has_rate = false;
  for (const auto& member : node) {
    check_tag(member.first);
    check_tag(member.second);
    const auto key = member.first.IsScalar() ? printable(member.first.Scalar()) : "?";
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

/// Knows where the last document began. YAML::LoadAll does not end if yaml-cpp finds a document without reading on.
class LastDocument final : public YAML::EventHandler {
 public:
  YAML::Mark mark;

  void OnDocumentStart(const YAML::Mark& start) override { mark = start; }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& /*mark*/, YAML::anchor_t /*anchor*/) override {}
  void OnAlias(const YAML::Mark& /*mark*/, YAML::anchor_t /*anchor*/) override {}
  void OnScalar(const YAML::Mark& /*mark*/, const std::string& /*tag*/, YAML::anchor_t /*anchor*/,
                const std::string& /*value*/) override {}
  void OnSequenceStart(const YAML::Mark& /*mark*/, const std::string& /*tag*/, YAML::anchor_t /*anchor*/,
                       YAML::EmitterStyle::value /*style*/) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark& /*mark*/, const std::string& /*tag*/, YAML::anchor_t /*anchor*/,
                  YAML::EmitterStyle::value /*style*/) override {}
  void OnMapEnd() override {}
};

Specifications read_all(const std::string& text) {
  std::istringstream stream(text);
  YAML::Parser parser(stream);
  LastDocument last;
  if (parser.HandleNextDocument(last) && parser.HandleNextDocument(last))
    throw Mistake{last.mark, "there must be only one YAML document"};
  const auto root = YAML::Load(text);
  check_tag(root);
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
    return read_all(text);
  } catch (const Mistake& mistake) {
    return std::unexpected(at(mistake.mark, mistake.reason));
  } catch (const YAML::Exception& error) {
    return std::unexpected(at(error.mark, printable(error.msg)));
  }
}

std::expected<Specifications, std::string> read_specifications(const std::string& file) {
  const auto failure = [&file](const std::string& reason) { return std::unexpected(printable(file) + ": " + reason); };
  std::error_code ignored;
  const auto status = std::filesystem::status(file, ignored);
  // To read from a pipe or a device could block.
  if (exists(status) && !is_regular_file(status)) return failure("must be a regular file");
  std::ifstream stream(file);
  std::string text(kMaxFileBytes + 1, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (!stream.is_open() || stream.bad()) return failure("cannot be read");
  text.resize(static_cast<std::size_t>(stream.gcount()));
  if (text.size() > kMaxFileBytes) return failure("must have at most " + std::to_string(kMaxFileBytes) + " bytes");
  auto parsed = parse_specifications(text);
  if (!parsed) return failure(parsed.error());
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

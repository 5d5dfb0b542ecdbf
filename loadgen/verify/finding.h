// A finding of verify: a difference between what was expected and what was found.
#pragma once

#include <concepts>
#include <string>
#include <utility>
#include <vector>

namespace dice::loadgen {

struct Finding {
  enum class Kind {
    /// Something arrived, but differs.
    wrong,
    /// Something has not arrived.
    missing,
    /// Something arrived more than once.
    duplicated,
    /// Follows from other findings, or says why there are some; not counted.
    consequence,
  };

  std::string what;
  std::string expected;
  std::string found;
  Kind kind = Kind::wrong;
  /// The span, log line or counter that it is about. Several findings about one are counted once.
  std::string item = {};
};

inline std::string sentence(const Finding& finding) {
  return finding.what + ": expected " + finding.expected + ", found " + finding.found;
}

class Findings {
 public:
  /// The item of all further findings; empty = each is about an item of its own.
  void about(std::string item) { item_ = std::move(item); }

  void add(std::string what, std::string expected, std::string found, Finding::Kind kind = Finding::Kind::wrong) {
    all_.push_back({std::move(what), std::move(expected), std::move(found), kind, item_});
  }

  /// Adds a finding unless `found` equals `expected`.
  void require(const std::string& what, const std::string& expected, const std::string& found) {
    if (expected != found) add(what, expected, found);
  }
  void require(const std::string& what, std::integral auto expected, std::integral auto found) {
    if (std::cmp_not_equal(expected, found)) add(what, std::to_string(expected), std::to_string(found));
  }

  bool empty() const { return all_.empty(); }
  std::vector<Finding> take() && { return std::move(all_); }

 private:
  std::vector<Finding> all_;
  std::string item_;
};

}  // namespace dice::loadgen

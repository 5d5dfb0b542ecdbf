// A finding of verify: a difference between what was expected and what was found.
#pragma once

#include <concepts>
#include <string>
#include <utility>
#include <vector>

namespace dice::loadgen {

struct Finding {
  std::string what;
  std::string expected;
  std::string found;
};

class Findings {
 public:
  void add(std::string what, std::string expected, std::string found) {
    all_.push_back({std::move(what), std::move(expected), std::move(found)});
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
};

}  // namespace dice::loadgen

// Die specifications: reads and validates the dice file, keeping its order.
#pragma once

#include <expected>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/concurrency/mutex.h"

namespace dice {

struct DieSpecification {
  std::string identifier;
  std::vector<int> faces;
  /// Fraction of the rolls that fail, 0 to 1.
  double error_rate = 0;

  bool operator==(const DieSpecification&) const = default;
};

using Specifications = std::vector<DieSpecification>;

/// Parses YAML, which includes JSON. The error is "line N: reason".
std::expected<Specifications, std::string> parse_specifications(const std::string& text);

/// The error is one line: file, line and reason.
std::expected<Specifications, std::string> read_specifications(const std::string& file);

/// The loaded dice, with prepared responses. Thread-safe.
class SpecificationStore {
 public:
  class Set {
   public:
    explicit Set(Specifications specifications);

    std::size_t size() const { return dice_.size(); }
    /// {"identifiers":[…]}
    const std::string& list() const { return list_; }
    /// {"identifier":…,"specification":{…}}; null if there is no such die.
    const std::string* find(std::string_view identifier) const;

   private:
    struct Die {
      std::string identifier;
      std::string json;
    };
    std::vector<Die> dice_;
    std::string list_;
  };

  explicit SpecificationStore(Specifications specifications);

  std::shared_ptr<const Set> current() const;
  void replace(Specifications specifications);

 private:
  mutable Mutex mutex_;
  std::shared_ptr<const Set> current_ GUARDED_BY(mutex_);
};

/// Detects changes of a file, or of the target of a link. Not thread-safe.
class FileWatch {
 public:
  explicit FileWatch(std::string file);
  bool changed();

 private:
  /// Device, inode, size and modification time; empty if the file cannot be read.
  std::string fingerprint() const;

  const std::string file_;
  std::string last_;
};

}  // namespace dice

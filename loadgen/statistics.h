// Statistics, and their formatting as text.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace dice::loadgen {

struct Summary {
  double mean = 0;
  /// Of the sample (n − 1).
  double standard_deviation = 0;
  double min = 0;
  double median = 0;
  double max = 0;
};

/// All members are zero if there are no values.
Summary summarize(std::vector<double> values);

/// Counts durations in buckets that are 2 % wide, so that memory use does not grow with the length of a run.
class LatencyHistogram {
 public:
  void add(double seconds);
  void add(const LatencyHistogram& other);

  std::uint64_t count() const { return count_; }
  double max() const { return max_; }
  /// The counts by bucket, without empty ones. Bucket n ends at 1 µs × 1.02ⁿ.
  std::map<std::size_t, std::uint64_t> buckets() const;
  /// Adds `count` durations in bucket `bucket`, none longer than `max` seconds. False if there is no such bucket.
  bool add(std::size_t bucket, std::uint64_t count, double max);
  /// `share` from 0 to 1. At most 2 % above the true value; 0 without values.
  double percentile(double share) const;

 private:
  /// From 1 µs to over an hour.
  static constexpr std::size_t kBuckets = 1120;

  std::array<std::uint64_t, kBuckets> buckets_{};
  std::uint64_t count_ = 0;
  double max_ = 0;
};

/// "0.123 s", "4.5 ms"
std::string show_seconds(double seconds);

/// With `decimals` digits after the point.
std::string fixed(double value, int decimals);

/// `text` padded with spaces to `width` characters (not bytes).
std::string pad(const std::string& text, std::size_t width);

/// A bar whose length is `share` (0 to 1) of `width`, in steps of an eighth of a character.
std::string bar(double share, std::size_t width);

}  // namespace dice::loadgen

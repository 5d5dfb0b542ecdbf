#include "loadgen/statistics.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>

namespace dice::loadgen {
namespace {

constexpr double kMinSeconds = 1e-6;
constexpr double kGrowth = 1.02;

}  // namespace

Summary summarize(std::vector<double> values) {
  if (values.empty()) return {};
  std::ranges::sort(values);
  const auto count = static_cast<double>(values.size());
  Summary summary;
  summary.mean = std::accumulate(values.begin(), values.end(), 0.0) / count;
  double squares = 0;
  for (const auto value : values) squares += (value - summary.mean) * (value - summary.mean);
  if (values.size() > 1) summary.standard_deviation = std::sqrt(squares / (count - 1));
  summary.min = values.front();
  summary.median = (values[(values.size() - 1) / 2] + values[values.size() / 2]) / 2;
  summary.max = values.back();
  return summary;
}

void LatencyHistogram::add(double seconds) {
  const auto position = std::ceil(std::log(std::max(seconds, kMinSeconds) / kMinSeconds) / std::log(kGrowth));
  ++buckets_[std::min(static_cast<std::size_t>(position), kBuckets - 1)];
  ++count_;
  max_ = std::max(max_, seconds);
}

void LatencyHistogram::add(const LatencyHistogram& other) {
  for (std::size_t i = 0; i < kBuckets; ++i) buckets_[i] += other.buckets_[i];
  count_ += other.count_;
  max_ = std::max(max_, other.max_);
}

bool LatencyHistogram::add(std::size_t bucket, std::uint64_t count, double max) {
  if (bucket >= kBuckets) return false;
  buckets_[bucket] += count;
  count_ += count;
  max_ = std::max(max_, max);
  return true;
}

std::map<std::size_t, std::uint64_t> LatencyHistogram::buckets() const {
  std::map<std::size_t, std::uint64_t> filled;
  for (std::size_t i = 0; i < kBuckets; ++i) {
    if (buckets_[i] > 0) filled[i] = buckets_[i];
  }
  return filled;
}

double LatencyHistogram::percentile(double share) const {
  const auto rank = static_cast<std::uint64_t>(std::ceil(share * static_cast<double>(count_)));
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < kBuckets && count_ > 0; ++i) {
    seen += buckets_[i];
    if (seen >= rank && seen > 0) return std::min(max_, kMinSeconds * std::pow(kGrowth, static_cast<double>(i)));
  }
  return max_;
}

std::string fixed(double value, int decimals) {
  char buffer[64];
  (void)std::snprintf(buffer, sizeof buffer, "%.*f", decimals, value);
  return buffer;
}

std::string show_seconds(double seconds) {
  return seconds < 0.1 ? fixed(seconds * 1000, 1) + " ms" : fixed(seconds, 3) + " s";
}

std::string pad(const std::string& text, std::size_t width) {
  const auto characters = static_cast<std::size_t>(
      std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
  return text + std::string(characters < width ? width - characters : 0, ' ');
}

std::string bar(double share, std::size_t width) {
  static constexpr std::array<const char*, 8> kPart = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  const auto eighths =
      static_cast<std::size_t>(std::lround(std::clamp(share, 0.0, 1.0) * static_cast<double>(width) * 8));
  std::string text;
  for (std::size_t i = 0; i < eighths / 8; ++i) text += "█";
  return text + kPart[eighths % 8];
}

}  // namespace dice::loadgen

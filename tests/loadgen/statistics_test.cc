#include "loadgen/statistics.h"

#include <doctest/doctest.h>

using namespace dice::loadgen;

TEST_CASE("the summary of a sample") {
  const auto summary = summarize({2, 4, 4, 4, 5, 5, 7, 9});
  CHECK(summary.mean == 5);
  CHECK(summary.standard_deviation == doctest::Approx(2.138).epsilon(0.001));
  CHECK(summary.min == 2);
  CHECK(summary.median == 4.5);
  CHECK(summary.max == 9);
  CHECK(summarize({3}).standard_deviation == 0);
  CHECK(summarize({3}).median == 3);
  CHECK(summarize({}).max == 0);
}

TEST_CASE("percentiles are at most 2 % above the true value, and never above the maximum") {
  LatencyHistogram latency;
  for (int i = 1; i <= 1000; ++i) latency.add(i / 1000.0);
  CHECK(latency.count() == 1000);
  for (const double share : {0.5, 0.9, 0.99}) {
    CHECK(latency.percentile(share) >= share);
    CHECK(latency.percentile(share) <= share * 1.02);
  }
  CHECK(latency.percentile(1) == 1);
  CHECK(latency.max() == 1);
}

TEST_CASE("durations outside the range are counted, too") {
  LatencyHistogram latency;
  CHECK(latency.percentile(0.5) == 0);
  latency.add(0);
  latency.add(-1);
  latency.add(1e9);
  CHECK(latency.count() == 3);
  CHECK(latency.percentile(0.5) <= 1e-6);
  CHECK(latency.max() == 1e9);
  LatencyHistogram other;
  other.add(0.5);
  other.add(latency);
  CHECK(other.count() == 4);
  CHECK(other.max() == 1e9);
}

TEST_CASE("text") {
  CHECK(show_seconds(0.0123) == "12.3 ms");
  CHECK(show_seconds(1.5) == "1.500 s");
  CHECK(pad("10 ×", 6) == "10 ×  ");
  CHECK(pad("too long", 3) == "too long");
  CHECK(bar(1, 3) == "███");
  CHECK(bar(0.5, 3) == "█▌");
  CHECK(bar(0, 3).empty());
}

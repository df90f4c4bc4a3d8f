#include "tests/bench/latency_histogram.h"

#include <cstdint>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace slipstream::bench {
namespace {

TEST(LatencyHistogramTest, AnEmptyOneHasPercentilesOfZero) {
  EXPECT_EQ(LatencyHistogram().Percentile(0.5), 0u);
  EXPECT_EQ(LatencyHistogram().count(), 0u);
}

TEST(LatencyHistogramTest, SmallValuesAreExact) {
  LatencyHistogram histogram;
  for (uint64_t value = 1; value <= 100; ++value) histogram.Record(value);
  EXPECT_EQ(histogram.count(), 100u);
  EXPECT_EQ(histogram.Percentile(0), 1u);
  EXPECT_EQ(histogram.Percentile(0.5), 50u);
  EXPECT_EQ(histogram.Percentile(0.99), 99u);
  EXPECT_EQ(histogram.Percentile(0.999), 100u);
  EXPECT_EQ(histogram.Percentile(1), 100u);
}

TEST(LatencyHistogramTest, EveryValueIsReportedNoLowerAndAtMostOnePercentHigher) {
  for (uint64_t value = 1; value < uint64_t{1} << 39; value += value / 7 + 1) {
    LatencyHistogram histogram;
    histogram.Record(value);
    const uint64_t reported = histogram.Percentile(0.5);
    EXPECT_GE(reported, value);
    EXPECT_LE(reported - value, value / 100) << value;
  }
}

TEST(LatencyHistogramTest, WhatIsBeyondTheRangeCountsAsItsEnd) {
  LatencyHistogram histogram;
  histogram.Record(~uint64_t{0});
  EXPECT_EQ(histogram.Percentile(1), (uint64_t{1} << 40) - 1);
}

TEST(LatencyHistogramTest, ATailOfOneInAThousandIsSeenAtTheRightPercentile) {
  LatencyHistogram histogram;
  for (int i = 0; i < 9'989; ++i) histogram.Record(100);
  for (int i = 0; i < 11; ++i) histogram.Record(200);
  EXPECT_EQ(histogram.Percentile(0.99), 100u);
  EXPECT_EQ(histogram.Percentile(0.999), 200u);
}

TEST(LatencyHistogramTest, MergingCountsBoth) {
  LatencyHistogram fast;
  LatencyHistogram slow;
  for (int i = 0; i < 50; ++i) fast.Record(10);
  for (int i = 0; i < 50; ++i) slow.Record(90);
  fast.Merge(slow);
  EXPECT_EQ(fast.count(), 100u);
  EXPECT_EQ(fast.Percentile(0.5), 10u);
  EXPECT_EQ(fast.Percentile(0.51), 90u);
}

}  // namespace
}  // namespace slipstream::bench

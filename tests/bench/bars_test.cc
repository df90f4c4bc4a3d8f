#include "tests/bench/bars.h"

#include <string>

#include "absl/types/optional.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/bench/result_row.h"

namespace slipstream::bench {
namespace {

ResultRow Row(const std::string& engine, double ops_per_s) {
  return {.workload = "w", .engine = engine, .ops_per_s = ops_per_s};
}

const Results& ThreeRounds() {
  static const Results* const results =
      new Results{{{"w", "ours"}, {Row("ours", 10), Row("ours", 40), Row("ours", 60)}},
                  {{"w", "theirs"}, {Row("theirs", 10), Row("theirs", 20), Row("theirs", 20)}}};
  return *results;
}

TEST(BarsTest, ARatioIsTakenWithinEachRound) {
  const Bar bar{.name = "",
                .numerator = {.workload = "w", .engine = "ours"},
                .denominator = RowField{.workload = "w", .engine = "theirs"},
                .bar = 2};
  const absl::optional<Judgement> judgement = Judge(bar, ThreeRounds());
  ASSERT_TRUE(judgement.has_value());
  EXPECT_EQ(judgement->least, 1);
  EXPECT_EQ(judgement->median, 2);
  EXPECT_EQ(judgement->greatest, 3);
  EXPECT_TRUE(judgement->met);
}

TEST(BarsTest, TheMedianDecidesInEitherDirection) {
  Bar bar{.name = "", .numerator = {.workload = "w", .engine = "ours"}, .divisor = 10, .bar = 4.1};
  EXPECT_FALSE(Judge(bar, ThreeRounds())->met);
  bar.direction = Bar::Direction::kAtMost;
  EXPECT_TRUE(Judge(bar, ThreeRounds())->met);
  bar.bar = 3.9;
  EXPECT_FALSE(Judge(bar, ThreeRounds())->met);
}

TEST(BarsTest, WhatIsMissingIsNotJudged) {
  Bar bar{.name = "", .numerator = {.workload = "w", .engine = "nobody"}};
  EXPECT_FALSE(Judge(bar, ThreeRounds()).has_value());
  bar.numerator.engine = "ours";
  bar.numerator.field = &ResultRow::p99_us;
  EXPECT_FALSE(Judge(bar, ThreeRounds()).has_value());
  bar.numerator.field = &ResultRow::ops_per_s;
  bar.denominator = RowField{.workload = "x", .engine = "ours"};
  EXPECT_FALSE(Judge(bar, ThreeRounds()).has_value());
  Results uneven = ThreeRounds();
  uneven[{"w", "theirs"}].pop_back();
  bar.denominator = RowField{.workload = "w", .engine = "theirs"};
  EXPECT_FALSE(Judge(bar, uneven).has_value());
}

}  // namespace
}  // namespace slipstream::bench

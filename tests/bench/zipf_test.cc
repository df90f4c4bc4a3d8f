#include "tests/bench/zipf.h"

#include <cmath>
#include <cstdint>
#include <set>
#include <vector>

#include "base/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace slipstream::bench {
namespace {

TEST(ZipfRanksTest, RanksAreAsFrequentAsTheDefinitionSays) {
  constexpr uint64_t kCount = 1'000;
  constexpr int kDraws = 400'000;
  const ZipfRanks ranks(kCount, 0.99);
  base::Random rng(1);
  std::vector<int> seen(kCount);
  for (int i = 0; i < kDraws; ++i) ++seen[ranks.Draw(rng)];
  const auto expected = [&](uint64_t rank) {
    return kDraws * ranks.top_share() / std::pow(static_cast<double>(rank + 1), 0.99);
  };
  EXPECT_NEAR(seen[0], expected(0), expected(0) * 0.03);
  EXPECT_NEAR(seen[1], expected(1), expected(1) * 0.03);
  // The method is exact for the first two ranks and an approximation for the rest.
  int seen_of_a_hundred = 0;
  double expected_of_a_hundred = 0;
  for (uint64_t rank = 100; rank < 200; ++rank) {
    seen_of_a_hundred += seen[rank];
    expected_of_a_hundred += expected(rank);
  }
  EXPECT_NEAR(seen_of_a_hundred, expected_of_a_hundred, expected_of_a_hundred * 0.15);
}

TEST(ZipfRanksTest, TheTopShareIsOneThroughTheSumOfAll) {
  // 1 + 2^-0.5 + 3^-0.5 = 2.2844570503761733.
  EXPECT_NEAR(ZipfRanks(3, 0.5).top_share(), 1 / 2.2844570503761733, 1e-12);
}

TEST(ZipfIndexesTest, DrawsStayBelowTheCountAndStrewTheFrequentOnes) {
  constexpr uint64_t kCount = 10'000;
  const ZipfIndexes indexes(kCount, 0.99);
  base::Random rng(2);
  for (int i = 0; i < 10'000; ++i) ASSERT_LT(indexes.Draw(rng), kCount);
  std::set<uint64_t> tenths;
  for (uint64_t rank = 0; rank < 100; ++rank) {
    tenths.insert(indexes.IndexOf(rank) / (kCount / 10));
  }
  EXPECT_EQ(tenths.size(), 10u);
}

}  // namespace
}  // namespace slipstream::bench

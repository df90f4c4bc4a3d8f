#include "base/random.h"

#include <cstdint>
#include <set>
#include <string>

#include "gtest/gtest.h"

namespace slipstream::base {
namespace {

// The reference code of xoshiro256** started from splitmix64(0): computed by hand from the two
// published algorithms, so that the sequence of a seed never changes between releases.
TEST(RandomTest, GivesThePublishedSequence) {
  Random rng(0);
  EXPECT_EQ(rng.Next(), 0x99ec5f36cb75f2b4u);
  EXPECT_EQ(rng.Next(), 0xbf6e1f784956452au);
}

TEST(RandomTest, IsTheSameForTheSameSeed) {
  Random a(42);
  Random b(42);
  Random c(43);
  int same_as_other_seed = 0;
  for (int i = 0; i < 1000; ++i) {
    const uint64_t number = a.Next();
    EXPECT_EQ(number, b.Next());
    same_as_other_seed += number == c.Next() ? 1 : 0;
  }
  EXPECT_EQ(same_as_other_seed, 0);
}

TEST(RandomTest, StaysBelowTheBoundAndReachesAllOfIt) {
  Random rng(7);
  std::set<uint64_t> seen;
  for (int i = 0; i < 1000; ++i) {
    const uint64_t number = rng.Below(10);
    ASSERT_LT(number, 10u);
    seen.insert(number);
  }
  EXPECT_EQ(seen.size(), 10u);
  EXPECT_EQ(rng.Below(1), 0u);
}

TEST(RandomTest, ForksAnIndependentSequence) {
  Random a(9);
  Random b(9);
  Random fork_of_a = a.Fork();
  Random fork_of_b = b.Fork();
  a.Next();
  EXPECT_EQ(fork_of_a.Next(), fork_of_b.Next());
}

TEST(RandomTest, DrawsFractionsOfTheUnitInterval) {
  Random rng(11);
  double sum = 0;
  for (int i = 0; i < 10'000; ++i) {
    const double fraction = rng.Fraction();
    ASSERT_GE(fraction, 0.0);
    ASSERT_LT(fraction, 1.0);
    sum += fraction;
  }
  EXPECT_NEAR(sum / 10'000, 0.5, 0.02);
}

TEST(RandomTest, DrawsAsManyBytesAsAsked) {
  Random rng(12);
  EXPECT_EQ(rng.Bytes(0).size(), 0u);
  EXPECT_EQ(rng.Bytes(33).size(), 33u);
  EXPECT_NE(rng.Bytes(16), rng.Bytes(16));
}

}  // namespace
}  // namespace slipstream::base

#include "gossip/difference.h"

#include "absl/time/time.h"
#include "base/digest.h"
#include "base/random.h"
#include "gtest/gtest.h"

namespace slipstream::gossip {
namespace {

constexpr absl::Duration kInterval = absl::Seconds(1);

class DifferenceTest : public testing::Test {
 protected:
  static base::Digest Root(char name) { return base::Sha256(std::string(1, name)); }

  absl::Time now_ = absl::FromUnixSeconds(1'000'000);
  base::Random rng_{1};
  Difference difference_{kInterval};
};

TEST_F(DifferenceTest, ExistsWhileRootsDiffer) {
  EXPECT_FALSE(difference_.exists());
  difference_.Observe(Root('a'), Root('b'), now_);
  EXPECT_TRUE(difference_.exists());
  difference_.Observe(Root('a'), Root('a'), now_);
  EXPECT_FALSE(difference_.exists());
}

TEST_F(DifferenceTest, IsNeglectedWhenNeitherRootMovesForHalfAnInterval) {
  difference_.Observe(Root('a'), Root('b'), now_);
  EXPECT_FALSE(difference_.neglected(now_));
  EXPECT_FALSE(difference_.neglected(now_ + kInterval / 2 - absl::Milliseconds(1)));
  EXPECT_TRUE(difference_.neglected(now_ + kInterval / 2));
}

TEST_F(DifferenceTest, IsNotNeglectedWhileOneRootMoves) {
  for (int step = 0; step < 2 * (Difference::kPatienceIntervals - 1); ++step) {
    difference_.Observe(Root('a'), Root(static_cast<char>(step)), now_);
    EXPECT_FALSE(difference_.neglected(now_)) << step;
    now_ += kInterval / 2;
  }
}

TEST_F(DifferenceTest, IsNeglectedInTheEndEvenIfTheRootsMove) {
  const absl::Time start = now_;
  while (now_ - start < kInterval * Difference::kPatienceIntervals) {
    difference_.Observe(Root('a'), base::Sha256(absl::FormatTime(now_)), now_);
    EXPECT_FALSE(difference_.neglected(now_));
    now_ += kInterval / 4;
  }
  difference_.Observe(Root('a'), Root('z'), now_);
  EXPECT_TRUE(difference_.neglected(now_));
}

TEST_F(DifferenceTest, BacksOffLongerEachTimeUpToTheBound) {
  difference_.Observe(Root('a'), Root('b'), now_);
  absl::Duration bound = kInterval;
  for (int round = 0; round < 8; ++round) {
    difference_.OnSessionEnded(round % 2 == 0 ? SessionOutcome::kFailed : SessionOutcome::kNothing,
                               now_, rng_);
    EXPECT_GE(difference_.not_before(), now_ + bound);
    EXPECT_LE(difference_.not_before(), now_ + bound * 1.5);
    EXPECT_FALSE(difference_.prompt());
    bound = std::min(bound * 2, kInterval * Difference::kBackoffIntervalsMax);
  }
  EXPECT_EQ(bound, kInterval * Difference::kBackoffIntervalsMax);
}

TEST_F(DifferenceTest, ASessionOfUseEndsTheBackoffAndMakesTheNextOnePrompt) {
  difference_.Observe(Root('a'), Root('b'), now_);
  difference_.OnSessionEnded(SessionOutcome::kFailed, now_, rng_);
  difference_.OnSessionEnded(SessionOutcome::kRepaired, now_, rng_);
  EXPECT_LE(difference_.not_before(), now_);
  EXPECT_TRUE(difference_.prompt());
}

TEST_F(DifferenceTest, EqualRootsForgetTheBackoff) {
  difference_.Observe(Root('a'), Root('b'), now_);
  difference_.OnSessionEnded(SessionOutcome::kFailed, now_, rng_);
  difference_.Observe(Root('a'), Root('a'), now_);
  EXPECT_LE(difference_.not_before(), now_);
}

}  // namespace
}  // namespace slipstream::gossip

#include "base/version.h"

#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/testing/status_matchers.h"
#include "gtest/gtest.h"

namespace slipstream::base {
namespace {

using ::slipstream::base::testing::IsOkAndHolds;
using ::slipstream::base::testing::StatusIs;

constexpr int64_t kMilliseconds = 1'790'000'000'123;

TEST(HlcTest, PutsMillisecondsAboveSixteenBits) {
  const absl::Time time = absl::FromUnixMillis(kMilliseconds);
  EXPECT_EQ(HlcFromTime(time), static_cast<uint64_t>(kMilliseconds) << 16);
  EXPECT_EQ(TimeFromHlc(HlcFromTime(time) + 77), time);
}

TEST(HlcTest, StaysInRangeForAbsurdTimes) {
  EXPECT_EQ(HlcFromTime(absl::FromUnixMillis(-1)), 0u);
  EXPECT_EQ(HlcFromTime(absl::InfinitePast()), 0u);
  EXPECT_EQ(HlcFromTime(absl::InfiniteFuture()), 0xffff'ffff'ffff'0000u);
}

TEST(VersionTest, ComparesByHlcThenByActor) {
  const Version low{.hlc = 1, .actor = ActorId{9}};
  const Version high{.hlc = 2, .actor = ActorId{1}};
  EXPECT_LT(low, high);
  EXPECT_LT(high, (Version{.hlc = 2, .actor = ActorId{2}}));
}

TEST(VersionTest, ParsesItsOwnText) {
  const Version version{.hlc = 0x0102030405060708, .actor = ActorId{0xfedcba9876543210}};
  EXPECT_EQ(ToString(version), "0102030405060708-fedcba9876543210");
  EXPECT_THAT(ParseVersion(ToString(version)), IsOkAndHolds(version));
}

TEST(VersionTest, RefusesOtherText) {
  for (const char* bad :
       {"", "1-2", "0102030405060708fedcba9876543210x", "0102030405060708-fedcba987654321g",
        "0x02030405060708-fedcba9876543210", "0102030405060708-fedcba9876543210 "}) {
    EXPECT_THAT(ParseVersion(bad), StatusIs(absl::StatusCode::kInvalidArgument)) << bad;
  }
}

TEST(HybridClockTest, FollowsTheWallClock) {
  HybridClock clock(0);
  const absl::Time time = absl::FromUnixMillis(kMilliseconds);
  EXPECT_EQ(clock.Next(time), HlcFromTime(time));
  EXPECT_EQ(clock.Next(time), HlcFromTime(time) + 1);
  EXPECT_EQ(clock.Next(time + absl::Milliseconds(1)), HlcFromTime(time + absl::Milliseconds(1)));
}

TEST(HybridClockTest, NeverGoesBackWithTheWallClock) {
  HybridClock clock(0);
  const absl::Time time = absl::FromUnixMillis(kMilliseconds);
  const Hlc first = clock.Next(time);
  EXPECT_EQ(clock.Next(time - absl::Hours(24 * 365)), first + 1);
}

TEST(HybridClockTest, StartsAboveItsFloor) {
  const Hlc floor = HlcFromTime(absl::FromUnixMillis(kMilliseconds));
  HybridClock clock(floor);
  EXPECT_EQ(clock.Next(absl::UnixEpoch()), floor + 1);
}

TEST(HybridClockTest, GivesSeveralThatFollowEachOther) {
  HybridClock clock(0);
  const absl::Time time = absl::FromUnixMillis(kMilliseconds);
  EXPECT_EQ(clock.Next(time, 5), HlcFromTime(time));
  EXPECT_EQ(clock.last(), HlcFromTime(time) + 4);
  EXPECT_EQ(clock.Next(time), HlcFromTime(time) + 5);
}

TEST(HybridClockTest, GoesAboveWhatItObserves) {
  HybridClock clock(0);
  const absl::Time time = absl::FromUnixMillis(kMilliseconds);
  const Hlc ahead = HlcFromTime(time + absl::Seconds(30)) + 5;
  clock.Observe(ahead);
  EXPECT_EQ(clock.last(), ahead);
  EXPECT_EQ(clock.Next(time), ahead + 1);
  clock.Observe(7);
  EXPECT_EQ(clock.last(), ahead + 1);
}

TEST(HybridClockTest, GivesEachThreadItsOwnNumbers) {
  constexpr int kThreads = 4;
  constexpr int kDraws = 5'000;
  HybridClock clock(0);
  std::vector<std::vector<Hlc>> drawn(kThreads);
  std::vector<std::thread> threads;
  for (std::vector<Hlc>& mine : drawn) {
    threads.emplace_back([&clock, &mine] {
      for (int i = 0; i < kDraws; ++i) mine.push_back(clock.Next(absl::UnixEpoch()));
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::vector<bool> seen(kThreads * kDraws + 1);
  for (const std::vector<Hlc>& mine : drawn) {
    for (const Hlc hlc : mine) {
      ASSERT_LT(hlc, seen.size());
      EXPECT_FALSE(seen[hlc]);
      seen[hlc] = true;
    }
  }
}

}  // namespace
}  // namespace slipstream::base

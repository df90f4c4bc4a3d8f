#include "node/background_pace.h"

#include <sys/resource.h>

#include <thread>

#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "storage/engine.h"

namespace slipstream::node {
namespace {

constexpr absl::Duration kPeriod = absl::Milliseconds(50);

int NiceOfThisThread() { return getpriority(PRIO_PROCESS, 0); }

TEST(BackgroundPaceTest, LowersTheThreadThatAsksAndNoOther) {
  const int before = NiceOfThisThread();
  int lowered = before;
  std::thread([&lowered] {
    if (BackgroundPace::LowerPriority()) lowered = NiceOfThisThread();
  }).join();
  EXPECT_EQ(lowered, 10);
  EXPECT_EQ(NiceOfThisThread(), before);
}

TEST(BackgroundPaceTest, PausesAPeriodWithNothingToDo) {
  EXPECT_EQ(BackgroundPace(kPeriod).PauseAfter(absl::Milliseconds(2), /*has_more=*/false), kPeriod);
}

TEST(BackgroundPaceTest, WorksAQuarterOfTheTimeButPausesNoLongerThanAPeriod) {
  const BackgroundPace pace(kPeriod);
  EXPECT_EQ(pace.PauseAfter(absl::Milliseconds(2), /*has_more=*/true), absl::Milliseconds(6));
  EXPECT_EQ(pace.PauseAfter(absl::Milliseconds(40), /*has_more=*/true), kPeriod);
}

TEST(BackgroundPaceTest, WorksWithoutPauseWhileAQuarterOfTheLogIsToBeFreed) {
  BackgroundPace pace(kPeriod);
  pace.Observe({.log_bytes = 1000, .compaction_debt_bytes = 251});
  EXPECT_EQ(pace.PauseAfter(absl::Milliseconds(2), /*has_more=*/true), absl::ZeroDuration());
  EXPECT_EQ(pace.PauseAfter(absl::Milliseconds(2), /*has_more=*/false), kPeriod);
  pace.Observe({.log_bytes = 1000, .compaction_debt_bytes = 250});
  EXPECT_EQ(pace.PauseAfter(absl::Milliseconds(2), /*has_more=*/true), absl::Milliseconds(6));
}

TEST(BackgroundPaceTest, WorksWithoutPauseWhileACheckpointIsLate) {
  BackgroundPace pace(kPeriod);
  pace.Observe({.checkpoint_debt_bytes = 1});
  EXPECT_EQ(pace.PauseAfter(absl::Milliseconds(2), /*has_more=*/true), absl::ZeroDuration());
  pace.Observe({.checkpoint_debt_bytes = 0});
  EXPECT_EQ(pace.PauseAfter(absl::Milliseconds(2), /*has_more=*/true), absl::Milliseconds(6));
}

}  // namespace
}  // namespace slipstream::node

#include "tests/sim/scheduler.h"

#include <vector>

#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace slipstream::sim {
namespace {

using testing::ElementsAre;

constexpr auto kNeverStop = [] { return false; };

class SchedulerTest : public testing::Test {
 protected:
  const absl::Time start_ = absl::FromUnixSeconds(1000);
  Scheduler scheduler_{start_};
  std::vector<int> done_;
};

TEST_F(SchedulerTest, RunsInTheOrderOfTimeThenOfScheduling) {
  scheduler_.After(absl::Seconds(2), [this] { done_.push_back(3); });
  scheduler_.After(absl::Seconds(1), [this] { done_.push_back(1); });
  scheduler_.After(absl::Seconds(1), [this] { done_.push_back(2); });
  scheduler_.RunUntil(start_ + absl::Seconds(5), kNeverStop);
  EXPECT_THAT(done_, ElementsAre(1, 2, 3));
  EXPECT_EQ(scheduler_.now(), start_ + absl::Seconds(5));
}

TEST_F(SchedulerTest, TimeStandsAtTheActionThatRuns) {
  scheduler_.After(absl::Seconds(1), [this] {
    EXPECT_EQ(scheduler_.now(), start_ + absl::Seconds(1));
    scheduler_.After(absl::Seconds(1), [this] { done_.push_back(1); });
    scheduler_.At(start_, [this] { done_.push_back(0); });  // Past: at once.
  });
  scheduler_.RunUntil(start_ + absl::Seconds(2), kNeverStop);
  EXPECT_THAT(done_, ElementsAre(0, 1));
}

TEST_F(SchedulerTest, LeavesWhatIsNotDue) {
  scheduler_.After(absl::Seconds(2), [this] { done_.push_back(1); });
  scheduler_.RunUntil(start_ + absl::Seconds(1), kNeverStop);
  EXPECT_TRUE(done_.empty());
  scheduler_.RunUntil(start_ + absl::Seconds(2), kNeverStop);
  EXPECT_THAT(done_, ElementsAre(1));
}

TEST_F(SchedulerTest, StopsWhenTold) {
  for (int i = 0; i < 5; ++i) {
    scheduler_.After(absl::Seconds(i), [this, i] { done_.push_back(i); });
  }
  scheduler_.RunUntil(start_ + absl::Seconds(9), [this] { return done_.size() == 2; });
  EXPECT_THAT(done_, ElementsAre(0, 1));
  EXPECT_EQ(scheduler_.now(), start_ + absl::Seconds(1));
}

}  // namespace
}  // namespace slipstream::sim

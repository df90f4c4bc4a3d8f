#include "tests/sim/network.h"

#include "absl/time/time.h"
#include "base/random.h"
#include "gtest/gtest.h"
#include "tests/sim/scheduler.h"

namespace slipstream::sim {
namespace {

class NetworkTest : public testing::Test {
 protected:
  // Sends `count` messages and returns how many arrived.
  int Send(int count, Duplicates duplicates = Duplicates::kPossible) {
    int arrived = 0;
    for (int i = 0; i < count; ++i) {
      network_.Send(0, 1, duplicates, [&arrived] { ++arrived; });
    }
    Run();
    return arrived;
  }

  void Run() {
    scheduler_.RunUntil(scheduler_.now() + absl::Seconds(10), [] { return false; });
  }

  Scheduler scheduler_{absl::FromUnixSeconds(1000)};
  Network network_{&scheduler_, base::Random(1)};
};

TEST_F(NetworkTest, DeliversEveryMessageOnceIfNothingIsWrong) { EXPECT_EQ(Send(1000), 1000); }

TEST_F(NetworkTest, Loses) {
  network_.set_options({.loss = 0.5});
  const int arrived = Send(1000);
  EXPECT_GT(arrived, 400);
  EXPECT_LT(arrived, 600);
}

TEST_F(NetworkTest, DuplicatesWhatMayArriveTwice) {
  network_.set_options({.duplicate = 0.5});
  EXPECT_GT(Send(1000), 1400);
  EXPECT_EQ(Send(1000, Duplicates::kNever), 1000);
}

TEST_F(NetworkTest, Reorders) {
  int last = -1;
  int overtaken_count = 0;
  for (int i = 0; i < 100; ++i) {
    network_.Send(0, 1, Duplicates::kNever, [&, i] {
      if (i < last) ++overtaken_count;
      last = i;
    });
  }
  Run();
  EXPECT_GT(overtaken_count, 0);
}

TEST_F(NetworkTest, CutsOneDirectionOfALink) {
  network_.Cut(0, 1);
  EXPECT_EQ(Send(10), 0);
  int arrived = 0;
  network_.Send(1, 0, Duplicates::kNever, [&arrived] { ++arrived; });
  Run();
  EXPECT_EQ(arrived, 1);
  network_.Mend(0, 1);
  EXPECT_EQ(Send(10), 10);
}

TEST_F(NetworkTest, LosesWhatIsUnderWayWhenALinkIsCut) {
  int arrived = 0;
  network_.Send(0, 1, Duplicates::kNever, [&arrived] { ++arrived; });
  network_.Cut(0, 1);
  Run();
  EXPECT_EQ(arrived, 0);
}

TEST_F(NetworkTest, ClogsOneDirectionOfALink) {
  network_.Clog(0, 1, absl::Seconds(5));
  absl::Time arrived;
  const absl::Time start = scheduler_.now();
  network_.Send(0, 1, Duplicates::kNever, [&] { arrived = scheduler_.now(); });
  Run();
  EXPECT_GE(arrived, start + absl::Seconds(5));
}

}  // namespace
}  // namespace slipstream::sim

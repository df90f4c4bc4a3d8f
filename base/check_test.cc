#include "base/check.h"

#include "absl/status/status.h"
#include "gtest/gtest.h"

namespace slipstream::base {
namespace {

TEST(CheckDeathTest, NamesTheConditionThatFailed) {
  EXPECT_DEATH(SLIP_CHECK(1 + 1 == 3), "check_test.cc:[0-9]+: check failed: 1 \\+ 1 == 3");
}

TEST(CheckDeathTest, ShowsTheStatusThatWasNotOk) {
  EXPECT_DEATH(SLIP_CHECK_OK(absl::DataLossError("gone")), "check failed: .*DATA_LOSS: gone");
}

TEST(CheckTest, EvaluatesOnceAndGoesOn) {
  int evaluations = 0;
  SLIP_CHECK(++evaluations == 1);
  SLIP_CHECK_OK((++evaluations, absl::OkStatus()));
  EXPECT_EQ(evaluations, 2);
}

}  // namespace
}  // namespace slipstream::base

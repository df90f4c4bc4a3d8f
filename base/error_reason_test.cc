#include "base/error_reason.h"

#include "absl/status/status.h"
#include "gtest/gtest.h"

namespace slipstream::base {
namespace {

TEST(ErrorReasonTest, TravelsWithTheStatus) {
  const absl::Status status = WithReason(absl::InvalidArgumentError("too long"), kReasonKeySize);
  EXPECT_EQ(ReasonOf(status), "KEY_SIZE");
  EXPECT_EQ(status.message(), "too long");
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
}

TEST(ErrorReasonTest, ReplacesAnEarlierReason) {
  const absl::Status status =
      WithReason(WithReason(absl::UnavailableError("stopping"), kReasonTooBusy), kReasonDraining);
  EXPECT_EQ(ReasonOf(status), "DRAINING");
}

TEST(ErrorReasonTest, IsEmptyWhereNoneWasGiven) {
  EXPECT_EQ(ReasonOf(absl::InternalError("")), "");
  EXPECT_EQ(ReasonOf(absl::OkStatus()), "");
}

}  // namespace
}  // namespace slipstream::base

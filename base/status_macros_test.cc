#include "base/status_macros.h"

#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/testing/status_matchers.h"
#include "gtest/gtest.h"

namespace slipstream::base {
namespace {

using ::slipstream::base::testing::IsOk;
using ::slipstream::base::testing::StatusIs;

absl::Status PassOn(const absl::Status& status, bool& reached) {
  SLIP_RETURN_IF_ERROR(status);
  reached = true;
  return absl::OkStatus();
}

absl::StatusOr<int> Unwrap(absl::StatusOr<std::unique_ptr<int>> statusor) {
  SLIP_ASSIGN_OR_RETURN(const std::unique_ptr<int> number, std::move(statusor));
  return *number;
}

TEST(StatusMacrosTest, ReturnsAnErrorAtOnce) {
  bool reached = false;
  EXPECT_THAT(PassOn(absl::AbortedError("x"), reached), StatusIs(absl::StatusCode::kAborted, "x"));
  EXPECT_FALSE(reached);
}

TEST(StatusMacrosTest, GoesOnAfterOk) {
  bool reached = false;
  EXPECT_THAT(PassOn(absl::OkStatus(), reached), IsOk());
  EXPECT_TRUE(reached);
}

TEST(StatusMacrosTest, MovesTheValueOut) {
  EXPECT_EQ(Unwrap(std::make_unique<int>(7)).value(), 7);
  EXPECT_THAT(Unwrap(absl::NotFoundError("none")), StatusIs(absl::StatusCode::kNotFound, "none"));
}

}  // namespace
}  // namespace slipstream::base

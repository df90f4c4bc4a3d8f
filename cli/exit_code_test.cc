#include "cli/exit_code.h"

#include "absl/status/status.h"
#include "gtest/gtest.h"

namespace slipstream::cli {
namespace {

TEST(ExitCodeTest, TellsTheUsersMistakeFromTheServersRefusal) {
  EXPECT_EQ(ExitCodeOf(UsageError("no such flag")), ExitCode::kUsage);
  EXPECT_EQ(ExitCodeOf(absl::InvalidArgumentError("key too long")), ExitCode::kError);
}

TEST(ExitCodeTest, HasOneCodeForEachKindOfEnd) {
  EXPECT_EQ(ExitCodeOf(absl::OkStatus()), ExitCode::kOk);
  EXPECT_EQ(ExitCodeOf(absl::NotFoundError("")), ExitCode::kNotFound);
  EXPECT_EQ(ExitCodeOf(absl::UnavailableError("")), ExitCode::kUnreachable);
  EXPECT_EQ(ExitCodeOf(absl::AbortedError("")), ExitCode::kConflict);
  EXPECT_EQ(ExitCodeOf(absl::DataLossError("")), ExitCode::kCorrupt);
  EXPECT_EQ(ExitCodeOf(absl::DeadlineExceededError("")), ExitCode::kTimeout);
  EXPECT_EQ(ExitCodeOf(absl::InternalError("")), ExitCode::kError);
  EXPECT_EQ(ExitCodeOf(absl::ResourceExhaustedError("")), ExitCode::kError);
}

TEST(ExitCodeTest, KeepsTheNumbersThatScriptsRelyOn) {
  EXPECT_EQ(static_cast<int>(ExitCode::kOk), 0);
  EXPECT_EQ(static_cast<int>(ExitCode::kError), 1);
  EXPECT_EQ(static_cast<int>(ExitCode::kUsage), 2);
  EXPECT_EQ(static_cast<int>(ExitCode::kNotFound), 3);
  EXPECT_EQ(static_cast<int>(ExitCode::kUnreachable), 4);
  EXPECT_EQ(static_cast<int>(ExitCode::kNotConverged), 5);
  EXPECT_EQ(static_cast<int>(ExitCode::kConflict), 6);
  EXPECT_EQ(static_cast<int>(ExitCode::kCorrupt), 7);
  EXPECT_EQ(static_cast<int>(ExitCode::kTimeout), 124);
}

}  // namespace
}  // namespace slipstream::cli

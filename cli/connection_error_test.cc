#include "cli/connection_error.h"

#include "absl/status/status.h"
#include "base/testing/status_matchers.h"
#include "gtest/gtest.h"

namespace slipstream::cli {
namespace {

using base::testing::StatusIs;

TEST(ConnectionErrorTest, FindsTheCauseInWhatGrpcSays) {
  EXPECT_EQ(ExplainConnectionFailure("failed to connect to all addresses; last error: UNKNOWN: "
                                     "ipv4:127.0.0.1:1: Failed to connect to remote host: "
                                     "Connection refused"),
            "connection refused");
  EXPECT_EQ(ExplainConnectionFailure("DNS resolution failed for nowhere:1: Domain name not found"),
            "the name is not known");
  EXPECT_EQ(ExplainConnectionFailure("Deadline Exceeded"), "no answer in time");
}

TEST(ConnectionErrorTest, KeepsTheLastClauseOfWhatItDoesNotKnow) {
  EXPECT_EQ(ExplainConnectionFailure("failed: last error: Permission denied."),
            "Permission denied");
  EXPECT_EQ(ExplainConnectionFailure("something\x1b else"), "something\\x1b else");
  EXPECT_EQ(ExplainConnectionFailure(""), "the connection failed");
}

TEST(ConnectionErrorTest, SaysWhatToLookAt) {
  EXPECT_THAT(UnreachableError({{"127.0.0.1:7400", "connection refused"}}),
              StatusIs(absl::StatusCode::kUnavailable,
                       "cannot reach 127.0.0.1:7400: connection refused\n"
                       "hint: is slipstreamd running there? Start one here with: slipstreamd"));
}

TEST(ConnectionErrorTest, NamesTheCauseOfEachEndpoint) {
  EXPECT_THAT(UnreachableError({{"a:1", "the name is not known"}, {"b:2", "connection refused"}}),
              StatusIs(absl::StatusCode::kUnavailable,
                       "cannot reach any of 2 endpoints: a:1: the name is not known; "
                       "b:2: connection refused\n"
                       "hint: check the spelling in --endpoint or SLIPCTL_ENDPOINT"));
}

}  // namespace
}  // namespace slipstream::cli

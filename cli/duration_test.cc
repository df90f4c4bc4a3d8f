#include "cli/duration.h"

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace slipstream::cli {
namespace {

using base::testing::IsOkAndHolds;
using base::testing::StatusIs;
using ::testing::HasSubstr;

TEST(DurationTest, ParsesWhatPeopleWrite) {
  EXPECT_THAT(ParseDuration("500ms"), IsOkAndHolds(absl::Milliseconds(500)));
  EXPECT_THAT(ParseDuration("2s"), IsOkAndHolds(absl::Seconds(2)));
  EXPECT_THAT(ParseDuration("1m30s"), IsOkAndHolds(absl::Seconds(90)));
  EXPECT_THAT(ParseDuration("1.5h"), IsOkAndHolds(absl::Minutes(90)));
}

TEST(DurationTest, SaysWhatWouldBeRight) {
  for (const char* text : {"", "2", "2 s", "2sec", "s", "abc"}) {
    EXPECT_THAT(ParseDuration(text),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("write 500ms")))
        << text;
  }
}

TEST(DurationTest, RefusesWhatIsNoTimeToWait) {
  for (const char* text : {"0", "0s", "-1s", "inf", "8761h"}) {
    EXPECT_THAT(ParseDuration(text),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("out of range")))
        << text;
  }
  EXPECT_THAT(ParseDuration("8760h"), IsOkAndHolds(kDurationMax));
}

TEST(DurationTest, DescribesTheTwoUnitsThatMatter) {
  EXPECT_EQ(DescribeDuration(absl::ZeroDuration()), "0 ms");
  EXPECT_EQ(DescribeDuration(absl::Milliseconds(999)), "999 ms");
  EXPECT_EQ(DescribeDuration(absl::Milliseconds(2560)), "2.5 s");
  EXPECT_EQ(DescribeDuration(absl::Milliseconds(9999)), "9.9 s");
  EXPECT_EQ(DescribeDuration(absl::Seconds(59)), "59 s");
  EXPECT_EQ(DescribeDuration(absl::Seconds(60)), "1 min");
  EXPECT_EQ(DescribeDuration(absl::Seconds(200)), "3 min 20 s");
  EXPECT_EQ(DescribeDuration(absl::Minutes(301)), "5 h 1 min");
  EXPECT_EQ(DescribeDuration(absl::Hours(24)), "1 day");
  EXPECT_EQ(DescribeDuration(absl::Hours(51)), "2 days 3 h");
}

}  // namespace
}  // namespace slipstream::cli

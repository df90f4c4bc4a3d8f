#include "tests/bench/result_row.h"

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace slipstream::bench {
namespace {

using ::slipstream::base::testing::IsOkAndHolds;
using ::slipstream::base::testing::StatusIs;

TEST(ResultRowTest, TheLineHasExactlyTheAgreedKeysInOrder) {
  const ResultRow row{.workload = "load_100",
                      .engine = "slipstream",
                      .ops_per_s = 1234.5,
                      .p50_us = 1.25,
                      .rss_bytes = 4096,
                      .seconds = 2};
  EXPECT_EQ(ToJson(row),
            R"({"workload":"load_100","engine":"slipstream","ops_per_s":1234.5,"p50_us":1.25,)"
            R"("p99_us":null,"p999_us":null,"rss_bytes":4096,"disk_bytes":null,)"
            R"("bytes_per_key":null,"seconds":2.0})");
}

TEST(ResultRowTest, ALineBecomesTheSameRowAgain) {
  const ResultRow row{.workload = "w", .engine = "e", .p99_us = 0.125, .disk_bytes = 1e12};
  EXPECT_THAT(ResultRowFromJson(ToJson(row)), IsOkAndHolds(row));
}

TEST(ResultRowTest, OtherLinesAreRefused) {
  for (const char* const line :
       {"", "{", "[]", "7", R"({"workload":1,"engine":"e"})", R"({"workload":"w","engine":"e"})"}) {
    EXPECT_THAT(ResultRowFromJson(line), StatusIs(absl::StatusCode::kInvalidArgument)) << line;
  }
}

TEST(ResultRowTest, TheMedianIsOfEachFieldForItself) {
  const ResultRow rounds[] = {
      {.workload = "w", .engine = "e", .ops_per_s = 10, .p50_us = 3, .p99_us = 1},
      {.workload = "w", .engine = "e", .ops_per_s = 30, .p50_us = 1},
      {.workload = "w", .engine = "e", .ops_per_s = 20, .p50_us = 2, .p99_us = 1}};
  EXPECT_EQ(MedianOf(rounds),
            (ResultRow{.workload = "w", .engine = "e", .ops_per_s = 20, .p50_us = 2}));
}

}  // namespace
}  // namespace slipstream::bench

#include "tests/bench/engine/device.h"

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/bench/result_row.h"

namespace slipstream::bench {
namespace {

using ::slipstream::base::testing::StatusIs;

TEST(DeviceTest, TheRateAndTheLatenciesAreTakenFromFiosOutput) {
  constexpr char kOutput[] = R"(fio: a note
{"fio version":"fio-3.33","jobs":[{"jobname":"device","read":{"iops":50123.5,"runtime":5001,
 "clat_ns":{"percentile":{"50.000000":610304,"99.000000":1003520,"99.900000":1499136}}}}]})";
  ASSERT_OK_AND_ASSIGN(const ResultRow row, ResultRowFromFio(kOutput));
  EXPECT_EQ(row.ops_per_s, 50123.5);
  EXPECT_EQ(row.p50_us, 610.304);
  EXPECT_EQ(row.p99_us, 1003.52);
  EXPECT_EQ(row.p999_us, 1499.136);
  EXPECT_EQ(row.seconds, 5.001);
  EXPECT_FALSE(row.rss_bytes.has_value());
}

TEST(DeviceTest, OtherOutputIsRefused) {
  for (const char* const output : {"", "fio: failed", "{}", R"({"jobs":[{"read":{"iops":1}}]})"}) {
    EXPECT_THAT(ResultRowFromFio(output), StatusIs(absl::StatusCode::kInvalidArgument)) << output;
  }
}

}  // namespace
}  // namespace slipstream::bench

#include "tests/sim/value.h"

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "base/testing/status_matchers.h"
#include "gtest/gtest.h"

namespace slipstream::sim {
namespace {

using base::testing::IsOkAndHolds;
using base::testing::StatusIs;

TEST(ValueTest, TellsWhichOperationWroteIt) {
  EXPECT_THAT(OperationOf("key", MakeValue(7, "key", 0)), IsOkAndHolds(7));
  EXPECT_THAT(OperationOf("key", MakeValue(8, "key", 300)), IsOkAndHolds(8));
}

TEST(ValueTest, BelongsToOneKey) {
  EXPECT_THAT(OperationOf("other", MakeValue(7, "key", 10)), StatusIs(absl::StatusCode::kDataLoss));
}

TEST(ValueTest, ShowsEveryBitThatChanged) {
  const std::string value = MakeValue(7, "key", 10);
  for (size_t bit = 0; bit < value.size() * 8; ++bit) {
    std::string changed = value;
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_THAT(OperationOf("key", changed), StatusIs(absl::StatusCode::kDataLoss)) << bit;
  }
  EXPECT_THAT(OperationOf("key", value.substr(1)), StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_THAT(OperationOf("key", value.substr(0, value.size() - 1)),
              StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_THAT(OperationOf("key", ""), StatusIs(absl::StatusCode::kDataLoss));
}

}  // namespace
}  // namespace slipstream::sim

#include "storage/run_filter.h"

#include <cstdint>
#include <string>

#include "gtest/gtest.h"
#include "storage/run_format.h"
#include "storage/testing/small_runs.h"

namespace slipstream::storage {
namespace {

using testing::NumberedKeyId;

TEST(RunFilterTest, SetsTheBitsThatTheFormatSays) {
  base::KeyId key_id;
  // 0x...: the 9-bit numbers 1, 511, 0, 0, 0, 0, 0 from the lowest bit on.
  key_id.bytes[12] = 0x01;
  key_id.bytes[13] = 0xfe;
  key_id.bytes[14] = 0x03;
  std::string block(kFilterBlockBytes, '\0');
  AddToFilterBlock(key_id, block.data());
  std::string expected(kFilterBlockBytes, '\0');
  expected[0] = 0x03;
  expected[63] = static_cast<char>(0x80);
  EXPECT_EQ(block, expected);
}

TEST(RunFilterTest, EmptyBlockContainsNothing) {
  const std::string block(kFilterBlockBytes, '\0');
  for (uint64_t i = 0; i < 1000; ++i) {
    EXPECT_FALSE(FilterBlockMayContain(block.data(), NumberedKeyId(i)));
  }
}

TEST(RunFilterTest, FullPageGivesFewFalsePositivesAndNoFalseNegative) {
  uint64_t false_positives = 0;
  uint64_t asked = 0;
  for (uint64_t page = 0; page < 300; ++page) {
    std::string block(kFilterBlockBytes, '\0');
    const uint64_t first = page * kRunEntriesPerPage;
    for (uint64_t i = 0; i < kRunEntriesPerPage; ++i) {
      AddToFilterBlock(NumberedKeyId(first + i), block.data());
    }
    for (uint64_t i = 0; i < kRunEntriesPerPage; ++i) {
      EXPECT_TRUE(FilterBlockMayContain(block.data(), NumberedKeyId(first + i)));
    }
    for (uint64_t i = 0; i < 300; ++i, ++asked) {
      if (FilterBlockMayContain(block.data(), NumberedKeyId(1'000'000 + asked))) ++false_positives;
    }
  }
  EXPECT_LT(static_cast<double>(false_positives) / static_cast<double>(asked), 0.01);
  EXPECT_GT(false_positives, 0u);
}

}  // namespace
}  // namespace slipstream::storage

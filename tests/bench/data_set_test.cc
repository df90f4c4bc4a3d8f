#include "tests/bench/data_set.h"

#include <cstdint>
#include <set>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace slipstream::bench {
namespace {

TEST(BenchKeyTest, KeysAreSixteenBytesAndDiffer) {
  std::set<std::string> keys;
  for (uint64_t index = 0; index < 10'000; ++index) {
    keys.insert(std::string(BenchKey(index).view()));
  }
  EXPECT_EQ(keys.size(), 10'000u);
  EXPECT_EQ(keys.begin()->size(), 16u);
  EXPECT_EQ(BenchKey(5).view(), BenchKey(5).view());
}

TEST(DataSetTest, AValueBelongsToItsKeyAndGeneration) {
  for (const DataSet::Kind kind : {DataSet::Kind::kIncompressible, DataSet::Kind::kText}) {
    const DataSet data(kind, 100);
    EXPECT_EQ(data.ValueOf(3, 1).size(), 100u);
    EXPECT_EQ(data.ValueOf(3, 1), DataSet(kind, 100).ValueOf(3, 1));
    EXPECT_NE(data.ValueOf(3, 0), data.ValueOf(3, 1));
    EXPECT_NE(data.ValueOf(3, 0), data.ValueOf(4, 0));
    EXPECT_TRUE(data.IsValueOf(data.ValueOf(3, 1), 3, 2));
    EXPECT_FALSE(data.IsValueOf(data.ValueOf(3, 1), 3, 1));
    EXPECT_FALSE(data.IsValueOf(data.ValueOf(4), 3, 2));
    EXPECT_FALSE(data.IsValueOf("", 3));
  }
}

}  // namespace
}  // namespace slipstream::bench

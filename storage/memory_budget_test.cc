#include "storage/memory_budget.h"

#include <cstdint>

#include "gtest/gtest.h"

namespace slipstream::storage {
namespace {

constexpr uint64_t kMiB = 1 << 20;

// 120,000 keys, a tenth of which are deleted; 100,000 are in memory, and the runs have some twice.
MemoryUse SomeUse() {
  return {.key_count = 120'000,
          .hot_key_count = 100'000,
          .keydir_bytes = 7'000'000,
          .run_entry_count = 150'000,
          .run_memory_bytes = 300'000,
          .tree_key_count = 108'000,
          .tree_bytes = 324'000};
}

TEST(HotBudgetBytesTest, IsWhatTheOthersLeaveOfNineTenths) {
  EXPECT_EQ(HotBudgetBytes(1000, 0), 900u);
  EXPECT_EQ(HotBudgetBytes(1000, 400), 500u);
}

TEST(HotBudgetBytesTest, IsNeverLessThanASixteenth) {
  EXPECT_EQ(HotBudgetBytes(1600, 1341), 100u);
  EXPECT_EQ(HotBudgetBytes(1600, 1440), 100u);
  EXPECT_EQ(HotBudgetBytes(1600, UINT64_MAX), 100u);
}

TEST(MeasureBytesPerKeyTest, DividesWhatEachPartTakesByItsOwnKeys) {
  const BytesPerKey per_key = MeasureBytesPerKey(SomeUse());
  EXPECT_DOUBLE_EQ(per_key.keydir, 70);
  EXPECT_DOUBLE_EQ(per_key.runs, 2);
  EXPECT_DOUBLE_EQ(per_key.tree, 3);
}

TEST(MeasureBytesPerKeyTest, TakesTypicalFiguresForFewKeys) {
  MemoryUse use = SomeUse();
  const BytesPerKey none = MeasureBytesPerKey({});
  use.hot_key_count = kMeasuredKeysMin - 1;
  EXPECT_DOUBLE_EQ(MeasureBytesPerKey(use).keydir, none.keydir);
  EXPECT_DOUBLE_EQ(MeasureBytesPerKey(use).runs, 2);
  use.hot_key_count = kMeasuredKeysMin;
  EXPECT_DOUBLE_EQ(MeasureBytesPerKey(use).keydir, 7'000'000.0 / kMeasuredKeysMin);
  // Between 60 and 72 bytes, all overhead counted: the KeyDir's bound.
  EXPECT_GT(none.keydir, 60);
  EXPECT_LT(none.keydir, 72);
  EXPECT_GT(none.runs, 1);
  EXPECT_LT(none.runs + none.tree, 4.5);
}

TEST(ForecastMemoryTest, KeepsAllKeysInMemoryWithoutALimit) {
  const MemoryForecast forecast =
      ForecastMemory(SomeUse(), {.value_cache_bytes = kMiB, .buffer_bytes = kMiB}, 10);
  EXPECT_EQ(forecast.key_count, 1'200'000u);
  EXPECT_EQ(forecast.keydir_bytes, 84'000'000u);
  EXPECT_EQ(forecast.run_memory_bytes, 2'400'000u);
  EXPECT_EQ(forecast.tree_bytes, 3'240'000u);
  EXPECT_EQ(forecast.value_cache_bytes, kMiB);
  EXPECT_EQ(forecast.all_hot_bytes, 84'000'000u + 2'400'000u + 3'240'000u + kMiB);
  EXPECT_EQ(forecast.memory_bytes, forecast.all_hot_bytes);
  EXPECT_DOUBLE_EQ(forecast.hot_share, 1);
}

TEST(ForecastMemoryTest, LeavesTheKeysInMemoryThatTheLimitHasRoomFor) {
  const MemoryForecast forecast =
      ForecastMemory(SomeUse(), {.limit_bytes = 50'000'000, .buffer_bytes = 1'000'000}, 10);
  // 45,000,000 less the buffers, filters and tree.
  constexpr uint64_t kHotBytes = 45'000'000 - 1'000'000 - 2'400'000 - 3'240'000;
  EXPECT_DOUBLE_EQ(forecast.hot_share, kHotBytes / 84e6);
  EXPECT_EQ(forecast.memory_bytes, kHotBytes + 2'400'000 + 3'240'000);
  EXPECT_EQ(forecast.all_hot_bytes, 89'640'000u);
}

TEST(ForecastMemoryTest, LeavesAllKeysInMemoryUnderALimitThatIsLargeEnough) {
  const MemoryForecast forecast = ForecastMemory(SomeUse(), {.limit_bytes = 100'000'000}, 10);
  EXPECT_DOUBLE_EQ(forecast.hot_share, 1);
  EXPECT_EQ(forecast.memory_bytes, forecast.all_hot_bytes);
}

TEST(ForecastMemoryTest, SaysSoIfTheRestAloneIsMoreThanTheLimit) {
  const MemoryForecast forecast = ForecastMemory(SomeUse(), {.limit_bytes = 4'000'000}, 10);
  EXPECT_EQ(forecast.memory_bytes, 4'000'000u / 16 + 2'400'000 + 3'240'000);
  EXPECT_GT(forecast.memory_bytes, 4'000'000u);
}

TEST(ForecastMemoryTest, NeedsNothingButTheCacheWithoutKeys) {
  const MemoryForecast forecast =
      ForecastMemory({}, {.limit_bytes = 64 * kMiB, .value_cache_bytes = 3}, 10);
  EXPECT_EQ(forecast.memory_bytes, 3u);
  EXPECT_DOUBLE_EQ(forecast.hot_share, 1);
}

}  // namespace
}  // namespace slipstream::storage

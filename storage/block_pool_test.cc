#include "storage/block_pool.h"

#include <cstdint>
#include <cstring>

#include "gtest/gtest.h"
#include "storage/chunk_arena.h"

namespace slipstream::storage {
namespace {

// Not a power of two, nor a multiple of a word.
constexpr size_t kBlockBytes = 27;

TEST(BlockPoolTest, BlocksKeepTheirContentWhileOthersComeAndGo) {
  ChunkArena arena;
  BlockPool pool(&arena, kBlockBytes);
  const auto fill = [&pool](uint32_t number) {
    std::memset(pool.block(number), static_cast<int>(number % 251), kBlockBytes);
  };
  const auto expect_filled = [&pool](uint32_t count) {
    for (uint32_t number = 0; number < count; ++number) {
      for (size_t i = 0; i < kBlockBytes; ++i) {
        ASSERT_EQ(static_cast<uint8_t>(pool.block(number)[i]), number % 251) << number;
      }
    }
  };
  for (uint32_t number = 0; number < 1000; ++number) {
    ASSERT_EQ(pool.Add(), number);
    fill(number);
  }
  expect_filled(1000);
  while (pool.block_count() > 500) pool.RemoveLast();
  expect_filled(500);
  for (uint32_t number = 500; number < 700; ++number) {
    ASSERT_EQ(pool.Add(), number);
    fill(number);
  }
  expect_filled(700);
}

TEST(BlockPoolTest, CountsWhatItHoldsAndGivesItBack) {
  ChunkArena arena;
  BlockPool pool(&arena, kBlockBytes);
  EXPECT_EQ(pool.bytes(), 0u);
  for (int i = 0; i < 10'000; ++i) pool.Add();
  EXPECT_GE(pool.bytes(), 10'000 * kBlockBytes);
  EXPECT_LE(pool.bytes(), 10'000 * kBlockBytes * 105 / 100);
  while (pool.block_count() > 0) pool.RemoveLast();
  // The directory of chunks stays: 8 bytes for 16 blocks, and an eighth to spare.
  EXPECT_LE(pool.bytes(), 10'000u * 9 / 16 + 64);
  pool.Add();
  pool.Clear();
  EXPECT_EQ(pool.bytes(), 0u);
  EXPECT_EQ(pool.block_count(), 0u);
  EXPECT_EQ(pool.Add(), 0u);
}

}  // namespace
}  // namespace slipstream::storage

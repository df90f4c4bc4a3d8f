#include "storage/segment_table.h"

#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "storage/ceilings.h"

namespace slipstream::storage {
namespace {

TEST(SegmentTableTest, AddsUpForEachSegmentUntilItIsForgotten) {
  SegmentTable table;
  EXPECT_EQ(table.dead(1), 0u);
  table.AddDead(1, 10);
  table.AddDead(1, 5);
  table.AddDead(2, 7);
  table.AddDead(kSegmentNumberMax, uint64_t{1} << 40);
  EXPECT_EQ(table.dead(1), 15u);
  EXPECT_EQ(table.dead(2), 7u);
  EXPECT_EQ(table.dead(kSegmentNumberMax), uint64_t{1} << 40);
  table.Forget(1);
  EXPECT_EQ(table.dead(1), 0u);
  EXPECT_EQ(table.dead(2), 7u);
  table.AddDead(1, 3);
  EXPECT_EQ(table.dead(1), 3u);
}

// A checkpoint needs the account as of when each shard was collected.
TEST(SegmentTableTest, WhatIsRevivedAfterItsShardWasCollectedWasDeadThen) {
  SegmentTable table;
  table.AddDead(1, 10);
  table.AddDead(1, 5, SegmentTable::Shard::kCollected);
  EXPECT_EQ(table.dead_when_collected(1), 10u);
  table.Revive(1, 10, SegmentTable::Shard::kCollected);
  EXPECT_EQ(table.dead(1), 5u);
  EXPECT_EQ(table.dead_when_collected(1), 10u);
  table.Revive(1, 5, SegmentTable::Shard::kCollected);
  EXPECT_EQ(table.dead(1), 0u);
  EXPECT_EQ(table.dead_when_collected(1), 10u);
  table.EndCollection();
  EXPECT_EQ(table.dead_when_collected(1), 0u);
  // What an earlier life counted may be added later.
  table.Revive(2, 7);
  table.AddDead(2, 9);
  EXPECT_EQ(table.dead(2), 2u);
}

TEST(SegmentTableTest, ForgettingWhatWasNeverHeardOfDoesNothing) {
  SegmentTable table;
  table.Forget(12'345'678);
  EXPECT_EQ(table.dead(12'345'678), 0u);
}

TEST(SegmentTableTest, LosesNothingBetweenThreads) {
  SegmentTable table;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&table] {
      for (uint64_t number = 0; number < 20'000; ++number) table.AddDead(number, number % 3);
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (uint64_t number = 0; number < 20'000; ++number) {
    ASSERT_EQ(table.dead(number), 4 * (number % 3));
  }
}

}  // namespace
}  // namespace slipstream::storage

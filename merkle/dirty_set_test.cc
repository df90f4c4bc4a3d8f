#include "merkle/dirty_set.h"

#include <cstdint>
#include <numeric>
#include <set>
#include <vector>

#include "base/key_id.h"
#include "base/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "merkle/testing/fake_replica.h"

namespace slipstream::merkle {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// A key_id of bucket `bucket` of 2^depth.
base::KeyId KeyIdIn(uint32_t bucket, int depth) {
  const uint32_t bits = bucket << (DirtySet::kDepthMax - depth);
  base::KeyId key_id;
  key_id.bytes[0] = 0x77;
  for (size_t i = 0; i < 3; ++i) key_id.bytes[1 + i] = static_cast<uint8_t>(bits >> (16 - 8 * i));
  key_id.bytes[4] = 0xff;
  return key_id;
}

std::vector<uint32_t> TakeAll(DirtySet& set, int depth) {
  std::vector<uint32_t> buckets;
  set.Take(0, (uint32_t{1} << depth) - 1, SIZE_MAX, buckets);
  return buckets;
}

TEST(DirtySetTest, StartsClean) {
  DirtySet set;
  EXPECT_FALSE(set.any());
  EXPECT_THAT(TakeAll(set, 0), IsEmpty());
}

TEST(DirtySetTest, TakesEachMarkedBucketOnce) {
  for (const int depth : {0, 1, 5, 6, 7, 10}) {
    DirtySet set;
    set.Reset(depth);
    TakeAll(set, depth);
    base::Random rng(static_cast<uint64_t>(depth));
    std::set<uint32_t> marked;
    for (int i = 0; i < 30; ++i) {
      const auto bucket = static_cast<uint32_t>(rng.Below(uint64_t{1} << depth));
      set.Mark(KeyIdIn(bucket, depth));
      marked.insert(bucket);
    }
    EXPECT_EQ(TakeAll(set, depth), std::vector<uint32_t>(marked.begin(), marked.end()));
    EXPECT_FALSE(set.any());
  }
}

TEST(DirtySetTest, TakesOnlyWithinTheBounds) {
  DirtySet set;
  set.Reset(8);
  std::vector<uint32_t> buckets;
  set.Take(62, 66, SIZE_MAX, buckets);
  EXPECT_THAT(buckets, ElementsAre(62, 63, 64, 65, 66));
  buckets.clear();
  set.Take(60, 130, 4, buckets);
  EXPECT_THAT(buckets, ElementsAre(60, 61, 67, 68));
  EXPECT_EQ(TakeAll(set, 8).size(), 256u - 9);
}

TEST(DirtySetTest, ResetMakesEverythingDirty) {
  for (const int depth : {0, 3, 6, 9}) {
    DirtySet set;
    set.Reset(depth);
    std::vector<uint32_t> all(size_t{1} << depth);
    std::iota(all.begin(), all.end(), 0);
    EXPECT_EQ(TakeAll(set, depth), all);
  }
}

TEST(DirtySetTest, EveryMarkIsCountedAlsoOfADirtyBucket) {
  DirtySet set;
  set.Mark(KeyIdIn(0, 0));
  set.Mark(KeyIdIn(0, 0));
  EXPECT_EQ(set.mark_count(), 2u);
}

TEST(DirtySetTest, RestoreMakesThoseDirtyAndNoOthers) {
  for (const int depth : {0, 1, 6, 7, 10}) {
    DirtySet set;
    // What was there before does not matter.
    set.Reset(3);
    base::Random rng(static_cast<uint64_t>(depth));
    std::set<uint32_t> dirty;
    for (int i = 0; i < 20; ++i) {
      if (!rng.OneIn(3)) dirty.insert(static_cast<uint32_t>(rng.Below(uint64_t{1} << depth)));
    }
    const std::vector<uint32_t> buckets(dirty.begin(), dirty.end());
    const uint64_t mark_count = set.mark_count();
    set.Restore(depth, buckets);
    EXPECT_EQ(set.any(), !buckets.empty());
    EXPECT_EQ(set.mark_count(), mark_count);
    EXPECT_EQ(TakeAll(set, depth), buckets);
    EXPECT_FALSE(set.any());
  }
}

TEST(DirtySetTest, RestoreOfNoneIsClean) {
  DirtySet set;
  set.Reset(7);
  set.Restore(5, {});
  EXPECT_FALSE(set.any());
  set.Mark(KeyIdIn(31, 5));
  EXPECT_THAT(TakeAll(set, 5), ElementsAre(31));
}

TEST(DirtySetTest, DirtySaysWhatTakeWouldTakeAndTakesNothing) {
  for (const int depth : {0, 1, 6, 9}) {
    DirtySet set;
    set.Restore(depth, {});
    base::Random rng(static_cast<uint64_t>(depth));
    std::vector<bool> expected(size_t{1} << depth);
    for (int i = 0; i < 10; ++i) {
      const auto bucket = static_cast<uint32_t>(rng.Below(uint64_t{1} << depth));
      set.Mark(KeyIdIn(bucket, depth));
      expected[bucket] = true;
      EXPECT_EQ(set.Dirty(), expected);
    }
    std::vector<uint32_t> taken;
    set.Take(0, 0, SIZE_MAX, taken);
    expected[0] = false;
    EXPECT_EQ(set.Dirty(), expected);
  }
}

TEST(BucketOfTest, IsMadeOfTheBitsAfterTheFirstByte) {
  base::Random rng(1);
  for (int depth = 0; depth <= DirtySet::kDepthMax; ++depth) {
    const base::KeyId key_id = testing::RandomKeyId(rng);
    uint32_t expected = 0;
    for (int i = 0; i < depth; ++i) {
      expected = 2 * expected + static_cast<uint32_t>(key_id.bit(8 + i));
    }
    EXPECT_EQ(BucketOf(key_id, depth), expected);
  }
}

TEST(DirtySetTest, ContainsTellsEachBucketFromTheOthers) {
  DirtySet set;
  set.Reset(7);
  TakeAll(set, 7);
  set.Mark(KeyIdIn(64, 7));
  for (uint32_t bucket = 0; bucket < 128; ++bucket) {
    EXPECT_EQ(set.Contains(bucket), bucket == 64) << bucket;
  }
}

}  // namespace
}  // namespace slipstream::merkle

#include "storage/id_table.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <utility>
#include <vector>

#include "base/key_id.h"
#include "base/random.h"
#include "gtest/gtest.h"
#include "storage/chunk_arena.h"

namespace slipstream::storage {
namespace {

// An id and one byte.
constexpr size_t kItemBytes = kIdSuffixBytes + 1;
using Model = std::map<base::KeyId, char>;

base::KeyId RandomId(base::Random& rng, int free_bits) {
  base::KeyId id;
  for (uint8_t& byte : id.bytes) byte = static_cast<uint8_t>(rng.Next());
  return base::MakePrefix(id, 8 + free_bits).bits;
}

base::KeyId WithShardByte(base::KeyId id) {
  id.bytes[0] = 0x5a;
  return id;
}

Model Contents(const IdTable& table, const base::KeyRange& range) {
  Model contents;
  table.Visit(range, [&contents](const char* item) {
    base::KeyId id = WithShardByte({});
    std::memcpy(id.bytes.data() + 1, item, kIdSuffixBytes);
    EXPECT_TRUE(contents.empty() || contents.rbegin()->first < id) << "not in order";
    contents[id] = item[kIdSuffixBytes];
    return true;
  });
  return contents;
}

void RunHistory(uint64_t seed, int free_bits) {
  base::Random rng(seed);
  ChunkArena arena;
  IdTable table(&arena, kItemBytes);
  Model model;
  for (int step = 0; step < 20'000; ++step) {
    const base::KeyId id = WithShardByte(RandomId(rng, free_bits));
    char* const item = table.Find(id);
    ASSERT_EQ(item != nullptr, model.count(id) == 1);
    if (item != nullptr) ASSERT_EQ(item[kIdSuffixBytes], model[id]);
    if (rng.OneIn(3)) {
      table.Erase(id);
      model.erase(id);
    } else if (item == nullptr) {
      model[id] = table.Insert(id)[kIdSuffixBytes] = static_cast<char>(rng.Next());
    }
    ASSERT_EQ(table.item_count(), model.size());
    if (!rng.OneIn(500)) continue;
    base::KeyRange range{.first = id, .last = WithShardByte(RandomId(rng, 152))};
    if (range.last < range.first) std::swap(range.first, range.last);
    ASSERT_EQ(Contents(table, range),
              Model(model.lower_bound(range.first), model.upper_bound(range.last)));
    ASSERT_EQ(Contents(table, base::RangeOf(base::KeyPrefix{})), model);
  }
}

TEST(IdTableTest, AgreesWithAMapWhileItGrowsAndShrinks) {
  for (uint64_t seed = 1; seed <= 3; ++seed) RunHistory(seed, 152);
}

TEST(IdTableTest, AgreesWithAMapWhereIdsAreCrowded) {
  for (const int free_bits : {1, 5, 9, 12}) RunHistory(7, free_bits);
}

TEST(IdTableTest, TellsIdsThatDifferInTheLastByteOnly) {
  ChunkArena arena;
  IdTable table(&arena, kItemBytes);
  base::KeyId id = WithShardByte({});
  for (int last = 255; last >= 0; --last) {
    id.bytes[19] = static_cast<uint8_t>(last);
    table.Insert(id)[kIdSuffixBytes] = static_cast<char>(last);
  }
  for (int last = 0; last < 256; ++last) {
    id.bytes[19] = static_cast<uint8_t>(last);
    ASSERT_NE(table.Find(id), nullptr);
    EXPECT_EQ(table.Find(id)[kIdSuffixBytes], static_cast<char>(last));
  }
}

// Marks, sweeps and clears what RunHistory only puts and erases.
TEST(IdTableTest, SweepsChangesInPlaceAndClearsAgreeWithAMap) {
  size_t buckets_max = 0;
  for (const int free_bits : {3, 12, 152}) {
    base::Random rng(static_cast<uint64_t>(free_bits));
    ChunkArena arena;
    IdTable table(&arena, kItemBytes);
    Model model;
    size_t hand = 0;
    for (int step = 0; step < 400; ++step) {
      for (uint64_t i = rng.Below(700); i > 0; --i) {
        const base::KeyId id = WithShardByte(RandomId(rng, free_bits));
        if (table.Find(id) != nullptr) continue;
        model[id] = table.Insert(id)[kIdSuffixBytes] = static_cast<char>(rng.Below(4));
      }
      base::KeyRange range{.first = WithShardByte(RandomId(rng, 152)),
                           .last = WithShardByte(RandomId(rng, 152))};
      if (range.last < range.first) std::swap(range.first, range.last);
      ASSERT_TRUE(table.VisitMutable(range, [](char* item) {
        item[kIdSuffixBytes] = static_cast<char>((item[kIdSuffixBytes] + 1) % 4);
        return true;
      }));
      for (auto& [id, value] : model) {
        if (range.first <= id && id <= range.last) value = static_cast<char>((value + 1) % 4);
      }
      // Once around, in parts: every item is asked about once, and those of value 0 go.
      std::map<base::KeyId, int> asked;
      size_t removed_count = 0;
      for (size_t left = table.bucket_count(); left > 0;) {
        const size_t count = 1 + rng.Below(left);
        removed_count += table.Sweep(count, hand, [&asked](const char* item) {
          base::KeyId id = WithShardByte({});
          std::memcpy(id.bytes.data() + 1, item, kIdSuffixBytes);
          ++asked[id];
          return item[kIdSuffixBytes] == 0;
        });
        left -= count;
      }
      ASSERT_EQ(asked.size(), model.size());
      for (const auto& [id, count] : asked) ASSERT_EQ(count, 1);
      ASSERT_EQ(std::erase_if(model, [](const auto& item) { return item.second == 0; }),
                removed_count);
      ASSERT_EQ(table.item_count(), model.size());
      ASSERT_EQ(Contents(table, base::RangeOf(base::KeyPrefix{})), model);
      buckets_max = std::max(buckets_max, table.bucket_count());
      if (!rng.OneIn(50)) continue;
      table.Clear();
      model.clear();
      ASSERT_EQ(table.item_count(), 0u);
      ASSERT_LE(table.bytes(), IdTable(&arena, kItemBytes).bytes());
    }
  }
  EXPECT_GE(buckets_max, 8u);
}

TEST(IdTableTest, ASweepOfMoreBucketsThanThereAreGoesAroundOnce) {
  ChunkArena arena;
  IdTable table(&arena, kItemBytes);
  base::Random rng(1);
  for (int i = 0; i < 500; ++i) table.Insert(RandomId(rng, 152));
  size_t hand = 3;
  size_t asked_count = 0;
  table.Sweep(10 * table.bucket_count(), hand, [&asked_count](const char*) {
    ++asked_count;
    return false;
  });
  EXPECT_EQ(asked_count, 500u);
  EXPECT_EQ(hand, 3u);
  // A hand beyond the end, as after a Clear, starts over.
  hand = 1'000'000;
  EXPECT_EQ(table.Sweep(table.bucket_count(), hand, [](const char*) { return true; }), 500u);
  EXPECT_EQ(table.item_count(), 0u);
}

TEST(IdTableTest, VisitMutableStopsWhenToldTo) {
  ChunkArena arena;
  IdTable table(&arena, kItemBytes);
  base::Random rng(1);
  for (int i = 0; i < 500; ++i) table.Insert(RandomId(rng, 152));
  int visited_count = 0;
  EXPECT_FALSE(table.VisitMutable(base::RangeOf(base::KeyPrefix{}),
                                  [&visited_count](char*) { return ++visited_count < 37; }));
  EXPECT_EQ(visited_count, 37);
}

TEST(IdTableTest, ErasedItemsGiveTheirMemoryBack) {
  base::Random rng(1);
  ChunkArena arena;
  IdTable table(&arena, 66);
  std::vector<base::KeyId> ids;
  for (int i = 0; i < 10'000; ++i) ids.push_back(RandomId(rng, 152));
  for (const base::KeyId& id : ids) table.Insert(id);
  EXPECT_GT(table.bytes(), 66u * ids.size());
  for (const base::KeyId& id : ids) table.Erase(id);
  // What is left are the buckets, 16 bytes for some 128 items, and an eighth to spare.
  EXPECT_LT(table.bytes(), ids.size());
  EXPECT_EQ(table.item_count(), 0u);
}

}  // namespace
}  // namespace slipstream::storage

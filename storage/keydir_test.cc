#include "storage/keydir.h"

#include <algorithm>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/key_id.h"
#include "base/testing/status_matchers.h"
#include "gtest/gtest.h"

namespace slipstream::storage {
namespace {

LocatedEntry EntryOf(const base::KeyId& id, base::Hlc hlc) {
  LocatedEntry located;
  located.entry.key_id = id;
  located.entry.version = {.hlc = hlc, .actor = base::ActorId{1}};
  return located;
}

void Put(KeyDir& keydir, const base::KeyId& id, base::Hlc hlc) {
  KeyDir::Exclusive locked(&keydir, StripeOf(id.shard()));
  ASSERT_OK(locked.shard(id.shard()).table.Admit(base::ActorId{1}));
  locked.shard(id.shard()).table.Upsert(EntryOf(id, hlc));
}

TEST(KeyDirTest, VisitsAllShardsInOneOrder) {
  KeyDir keydir;
  for (int i = 0; i < 3000; ++i) Put(keydir, base::KeyIdOf(absl::StrCat(i)), 1);
  std::vector<base::KeyId> visited;
  keydir.Visit(base::RangeOf(base::KeyPrefix{}), [&visited](const LocatedEntry& located) {
    visited.push_back(located.entry.key_id);
    return true;
  });
  EXPECT_EQ(visited.size(), 3000u);
  EXPECT_TRUE(std::is_sorted(visited.begin(), visited.end()));
  EXPECT_EQ(keydir.stats().live_count, 3000u);
}

TEST(KeyDirTest, VisitsExactlyTheRange) {
  KeyDir keydir;
  std::vector<base::KeyId> ids;
  for (int i = 0; i < 1000; ++i) ids.push_back(base::KeyIdOf(absl::StrCat(i)));
  std::sort(ids.begin(), ids.end());
  for (const base::KeyId& id : ids) Put(keydir, id, 1);
  for (const auto& [first, last] : std::vector<std::pair<int, int>>{
           {0, 999}, {0, 0}, {999, 999}, {100, 900}, {400, 402}, {499, 500}}) {
    std::vector<base::KeyId> visited;
    keydir.Visit({.first = ids[first], .last = ids[last]}, [&](const LocatedEntry& located) {
      visited.push_back(located.entry.key_id);
      return true;
    });
    EXPECT_EQ(visited, std::vector<base::KeyId>(ids.begin() + first, ids.begin() + last + 1));
  }
}

TEST(KeyDirTest, VisitStopsAcrossShards) {
  KeyDir keydir;
  for (int i = 0; i < 1000; ++i) Put(keydir, base::KeyIdOf(absl::StrCat(i)), 1);
  int visited_count = 0;
  keydir.Visit(base::RangeOf(base::KeyPrefix{}),
               [&visited_count](const LocatedEntry&) { return ++visited_count < 500; });
  EXPECT_EQ(visited_count, 500);
}

TEST(KeyDirTest, TellsWhetherWhatItLacksMayBeElsewhere) {
  KeyDir keydir;
  const base::KeyId there = base::KeyIdOf("there");
  const base::KeyId absent = base::KeyIdOf("absent");
  const base::KeyId elsewhere = base::KeyIdOf("elsewhere");
  ASSERT_NE(absent.shard(), elsewhere.shard());
  Put(keydir, there, 1);
  EXPECT_TRUE(keydir.Find(absent).complete);
  EXPECT_TRUE(keydir.stats().complete);
  {
    KeyDir::Exclusive locked(&keydir, StripeOf(elsewhere.shard()));
    locked.shard(elsewhere.shard()).complete = false;
  }
  EXPECT_TRUE(keydir.Find(there).located.has_value());
  EXPECT_FALSE(keydir.Find(absent).located.has_value());
  EXPECT_TRUE(keydir.Find(absent).complete);
  EXPECT_FALSE(keydir.Find(elsewhere).located.has_value());
  EXPECT_FALSE(keydir.Find(elsewhere).complete);
  EXPECT_FALSE(keydir.stats().complete);
}

TEST(KeyDirTest, ClearedItIsAsNew) {
  KeyDir keydir;
  for (int i = 0; i < 1000; ++i) Put(keydir, base::KeyIdOf(absl::StrCat(i)), 1);
  {
    KeyDir::Exclusive locked(&keydir, kAllStripes);
    locked.shard(7).last_sequence = 12;
    locked.shard(7).complete = false;
  }
  keydir.Clear();
  const KeyDirStats stats = keydir.stats();
  EXPECT_EQ(stats.live_count, 0u);
  EXPECT_EQ(stats.dirty_count, 0u);
  EXPECT_TRUE(stats.complete);
  // All but the places of one actor a shard.
  EXPECT_LE(stats.bytes, KeyDir().stats().bytes + base::kShardCount * sizeof(base::ActorId));
  KeyDir::Exclusive locked(&keydir, kAllStripes);
  EXPECT_EQ(locked.shard(7).last_sequence, 0u);
}

TEST(KeyDirTest, AReadersLookSparesAnEntryFromTheNextSweep) {
  KeyDir keydir;
  const base::KeyId id = base::KeyIdOf("a");
  Put(keydir, id, 1);
  const auto sweep = [&] {
    KeyDir::Exclusive locked(&keydir, StripeOf(id.shard()));
    std::vector<DirtyEntry> flushed;
    KeyDirShard& table = locked.shard(id.shard()).table;
    table.BeginFlush(flushed);
    table.EndFlush(/*durable=*/true);
    return table.Evict(1);
  };
  EXPECT_EQ(sweep(), 0u);
  keydir.Find(id);
  EXPECT_EQ(sweep(), 0u);
  EXPECT_EQ(sweep(), 1u);
  EXPECT_FALSE(keydir.Find(id).located.has_value());
}

TEST(KeyDirTest, HoldersOfSeveralStripesDoNotBlockEachOther) {
  KeyDir keydir;
  const base::KeyId first = base::KeyIdOf("a");
  const base::KeyId second = base::KeyIdOf("b");
  ASSERT_NE(StripeOf(first.shard()), StripeOf(second.shard()));
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (base::Hlc hlc = 1; hlc <= 500; ++hlc) {
        const StripeMask both = StripeOf(first.shard()) | StripeOf(second.shard());
        KeyDir::Exclusive locked(&keydir, t % 2 == 0 ? both : kAllStripes);
        for (const base::KeyId& id : {first, second}) {
          SLIP_CHECK_OK(locked.shard(id.shard()).table.Admit(base::ActorId{1}));
          locked.shard(id.shard()).table.Upsert(EntryOf(id, hlc));
        }
        // Both move together: nobody ever sees one without the other.
        SLIP_CHECK(locked.shard(first.shard()).table.Find(first)->entry.version ==
                   locked.shard(second.shard()).table.Find(second)->entry.version);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(keydir.Find(first).located->entry.version.hlc, 500u);
}

}  // namespace
}  // namespace slipstream::storage

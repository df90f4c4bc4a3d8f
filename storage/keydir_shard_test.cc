#include "storage/keydir_shard.h"

#include <algorithm>
#include <map>
#include <vector>

#include "base/key_id.h"
#include "base/random.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/ceilings.h"
#include "storage/record.h"

namespace slipstream::storage {
namespace {

using base::testing::StatusIs;
using ::testing::ElementsAre;

using Model = std::map<base::KeyId, LocatedEntry>;

base::KeyId RandomId(base::Random& rng, int free_bits) {
  base::KeyId id;
  for (uint8_t& byte : id.bytes) byte = static_cast<uint8_t>(rng.Next());
  // Fewer free bits crowd the ids into few buckets.
  id = base::MakePrefix(id, free_bits).bits;
  id.bytes[0] = 0x5a;
  return id;
}

std::vector<LocatedEntry> VisitAll(const KeyDirShard& shard, const base::KeyRange& range) {
  std::vector<LocatedEntry> visited;
  EXPECT_TRUE(shard.Visit(range, [&visited](const LocatedEntry& located) {
    visited.push_back(located);
    return true;
  }));
  return visited;
}

std::vector<LocatedEntry> Expected(const Model& model, const base::KeyRange& range) {
  std::vector<LocatedEntry> expected;
  for (auto it = model.lower_bound(range.first); it != model.end() && it->first <= range.last;
       ++it) {
    expected.push_back(it->second);
  }
  return expected;
}

void CompareRanges(const KeyDirShard& shard, const Model& model, base::Random& rng) {
  const base::KeyRange all = base::RangeOf(base::KeyPrefix{});
  ASSERT_EQ(VisitAll(shard, all), Expected(model, all));
  for (int i = 0; i < 20; ++i) {
    base::KeyRange range{.first = RandomId(rng, 160), .last = RandomId(rng, 160)};
    if (range.last < range.first) std::swap(range.first, range.last);
    ASSERT_EQ(VisitAll(shard, range), Expected(model, range));
    const base::KeyRange prefix =
        base::RangeOf(base::MakePrefix(range.first, 8 + static_cast<int>(rng.Below(20))));
    ASSERT_EQ(VisitAll(shard, prefix), Expected(model, prefix));
  }
}

// Returns 0, `max` or what lies between, so that each field's ends occur often.
uint64_t ExtremeOrRandom(uint64_t max, base::Random& rng) {
  switch (rng.Below(4)) {
    case 0:
      return 0;
    case 1:
      return max;
    default:
      return max == UINT64_MAX ? rng.Next() : rng.Below(max + 1);
  }
}

LocatedEntry RandomEntry(const base::KeyId& id, base::Random& rng) {
  constexpr uint64_t kRecordBytesMax = kRecordHeaderBytes + kKeyBytesCeiling + kValueBytesCeiling;
  LocatedEntry located;
  located.entry.key_id = id;
  // Few HLCs, so that versions meet; many actors, so that their index needs its second byte.
  located.entry.version = {.hlc = rng.OneIn(2) ? kHlcCeiling : 1 + rng.Below(50),
                           .actor = base::ActorId{1 + rng.Below(700)}};
  located.entry.sequence = ExtremeOrRandom(kSequenceCeiling, rng);
  located.entry.expires_at_ms = ExtremeOrRandom(UINT64_MAX, rng);
  for (uint8_t& byte : located.entry.value_digest.bytes) byte = static_cast<uint8_t>(rng.Next());
  located.entry.record_bytes = static_cast<uint32_t>(ExtremeOrRandom(kRecordBytesMax, rng));
  located.entry.tombstone = rng.OneIn(4);
  located.location = {
      .segment_number = static_cast<uint32_t>(ExtremeOrRandom(kSegmentNumberMax, rng)),
      .offset = static_cast<uint32_t>(ExtremeOrRandom(kSegmentBytesMax - 1, rng))};
  return located;
}

void RunHistory(uint64_t seed, int free_bits, int step_count) {
  base::Random rng(seed);
  KeyDirShard shard;
  Model model;
  for (int step = 0; step < step_count; ++step) {
    const base::KeyId id = RandomId(rng, free_bits);
    const auto found = model.find(id);
    ASSERT_EQ(shard.Find(id),
              found == model.end() ? absl::nullopt : absl::optional<LocatedEntry>(found->second));
    if (found != model.end() && rng.OneIn(5)) {
      ASSERT_TRUE(shard.MarkDamaged(id, found->second.location));
      found->second.damaged = true;
      continue;
    }
    const LocatedEntry located = RandomEntry(id, rng);
    if (rng.OneIn(5)) {
      // Half of the moves come too late: the record is not where it was.
      const bool here = found != model.end() && rng.OneIn(2);
      Location from = here ? found->second.location : located.location;
      if (found != model.end() && !here && from == found->second.location) from.offset ^= 1;
      ASSERT_EQ(shard.Move(id, from, located.location), here);
      if (here) found->second.location = located.location;
      continue;
    }
    ASSERT_OK(shard.Admit(located.entry.version.actor));
    const bool takes =
        found == model.end() || located.entry.version > found->second.entry.version ||
        (found->second.damaged && located.entry.version == found->second.entry.version);
    ASSERT_EQ(shard.WouldTake(id, located.entry.version), takes);
    const UpsertResult result = shard.Upsert(located);
    ASSERT_EQ(result.taken, takes);
    const bool replaces = takes && found != model.end();
    ASSERT_EQ(result.replaced, replaces ? found->second.location : Location{});
    ASSERT_EQ(result.replaced_bytes, replaces ? found->second.entry.record_bytes : 0u);
    if (takes) model[id] = located;
    if (rng.OneIn(200)) CompareRanges(shard, model, rng);
    if (::testing::Test::HasFatalFailure()) return;
  }
  CompareRanges(shard, model, rng);
  uint64_t tombstone_count = 0;
  uint64_t damaged_count = 0;
  for (const auto& [id, located] : model) {
    damaged_count += located.damaged ? 1 : 0;
    tombstone_count += located.entry.tombstone && !located.damaged ? 1 : 0;
  }
  EXPECT_EQ(shard.damaged_count(), damaged_count);
  EXPECT_EQ(shard.tombstone_count(), tombstone_count);
  EXPECT_EQ(shard.live_count(), model.size() - damaged_count - tombstone_count);
}

TEST(KeyDirShardTest, AgreesWithAMapOverRandomHistories) {
  for (uint64_t seed = 1; seed <= 5; ++seed) RunHistory(seed, 160, 4000);
}

TEST(KeyDirShardTest, AgreesWithAMapWhereIdsAreCrowded) {
  for (const int free_bits : {9, 12, 16, 20}) RunHistory(7, free_bits, 4000);
}

TEST(KeyDirShardTest, AgreesWithAMapAtEverySizeAroundTheFirstSplits) {
  base::Random rng(3);
  KeyDirShard shard;
  Model model;
  ASSERT_OK(shard.Admit(base::ActorId{1}));
  for (int i = 0; i < 300; ++i) {
    const base::KeyId id = RandomId(rng, 160);
    LocatedEntry located;
    located.entry.key_id = id;
    located.entry.version = {.hlc = 1, .actor = base::ActorId{1}};
    ASSERT_TRUE(shard.Upsert(located).taken);
    model[id] = located;
    CompareRanges(shard, model, rng);
  }
}

TEST(KeyDirShardTest, VisitStopsWhenToldTo) {
  base::Random rng(4);
  KeyDirShard shard;
  ASSERT_OK(shard.Admit(base::ActorId{1}));
  for (int i = 0; i < 100; ++i) {
    LocatedEntry located;
    located.entry.key_id = RandomId(rng, 160);
    located.entry.version = {.hlc = 1, .actor = base::ActorId{1}};
    shard.Upsert(located);
  }
  int visited_count = 0;
  EXPECT_FALSE(shard.Visit(base::RangeOf(base::KeyPrefix{}),
                           [&visited_count](const LocatedEntry&) { return ++visited_count < 37; }));
  EXPECT_EQ(visited_count, 37);
}

TEST(KeyDirShardTest, DamageIsMarkedOnlyWhereItWasFound) {
  KeyDirShard shard;
  ASSERT_OK(shard.Admit(base::ActorId{1}));
  LocatedEntry located;
  located.entry.version = {.hlc = 1, .actor = base::ActorId{1}};
  located.location = {.segment_number = 1, .offset = 4160};
  ASSERT_TRUE(shard.Upsert(located).taken);
  EXPECT_FALSE(shard.MarkDamaged(located.entry.key_id, {.segment_number = 1, .offset = 9000}));
  EXPECT_FALSE(shard.Find(located.entry.key_id)->damaged);
  EXPECT_TRUE(shard.MarkDamaged(located.entry.key_id, located.location));
  EXPECT_TRUE(shard.Find(located.entry.key_id)->damaged);
}

TEST(KeyDirShardTest, ActorsAreBounded) {
  KeyDirShard shard;
  for (uint64_t actor = 1; actor <= 3; ++actor) ASSERT_OK(shard.Admit(base::ActorId{actor}));
  ASSERT_OK(shard.Admit(base::ActorId{2}));
  static_assert(kActorsPerShardMax == 65'536, "an index is 16 bits wide");
}

LocatedEntry EntryOf(const base::KeyId& id, base::Hlc hlc, uint64_t expires_at_ms) {
  LocatedEntry located;
  located.entry.key_id = id;
  located.entry.version = {.hlc = hlc, .actor = base::ActorId{1}};
  located.entry.expires_at_ms = expires_at_ms;
  return located;
}

TEST(KeyDirShardTest, TakesAtMost69BytesPerEntryAnd30MoreForAnExpiry) {
  base::Random rng(5);
  KeyDirShard shard;
  ASSERT_OK(shard.Admit(base::ActorId{1}));
  std::vector<base::KeyId> ids;
  const auto bytes_per_entry = [&] {
    return static_cast<double>(shard.bytes()) / static_cast<double>(ids.size());
  };
  for (size_t count = 1; count <= 40'000; ++count) {
    ids.push_back(RandomId(rng, 160));
    shard.Upsert(EntryOf(ids.back(), 1, 0));
    // From a size on at which the fixed part no longer shows, at every phase of the splitting.
    if (count >= 4000 && count % 500 == 0) ASSERT_LE(bytes_per_entry(), 69.0) << count;
  }
  for (const base::KeyId& id : ids) shard.Upsert(EntryOf(id, 2, 7));
  EXPECT_LE(bytes_per_entry(), 99.0);
  // Overwritten by what never expires, all but the expiries' empty buckets is given back.
  for (const base::KeyId& id : ids) shard.Upsert(EntryOf(id, 3, 0));
  EXPECT_LE(bytes_per_entry(), 70.0);
}

}  // namespace
}  // namespace slipstream::storage

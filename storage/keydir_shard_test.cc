#include "storage/keydir_shard.h"

#include <algorithm>
#include <map>
#include <utility>
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
  ChunkArena arena;
  KeyDirShard shard(&arena);
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
  ChunkArena arena;
  KeyDirShard shard(&arena);
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
  ChunkArena arena;
  KeyDirShard shard(&arena);
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
  ChunkArena arena;
  KeyDirShard shard(&arena);
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
  ChunkArena arena;
  KeyDirShard shard(&arena);
  for (uint64_t actor = 1; actor <= 3; ++actor) ASSERT_OK(shard.Admit(base::ActorId{actor}));
  ASSERT_OK(shard.Admit(base::ActorId{2}));
  static_assert(kActorsPerShardMax == 65'536, "an index is 16 bits wide");
}

// What an entry is on its way to a run and out of memory.
struct Kept {
  LocatedEntry located;
  bool dirty = false;
  bool flushing = false;
  bool touched = false;
  bool shadow_counted = false;  // If what is flushing gets into a run.
  bool shadow_if_lost = false;  // If not.
};

// A shard and a plain account of it.
class LifeOfAShard {
 public:
  LifeOfAShard(uint64_t seed, int free_bits) : rng_(seed), free_bits_(free_bits) {}

  void Run(int step_count) {
    for (int step = 0; step < step_count; ++step) {
      Step();
      CheckCounts();
      if (::testing::Test::HasFatalFailure()) return;
    }
    for (const auto& [id, kept] : model_) ASSERT_EQ(shard_.Find(id), kept.located);
  }

 private:
  void Step() {
    const base::KeyId id = RandomId(rng_, free_bits_);
    switch (rng_.Below(40)) {
      case 0:
        return BeginFlush();
      case 1:
        return EndFlush(rng_.OneIn(2));
      case 2:
        return EvictAll();
      case 3:
        return MarkDamaged(id);
      case 4:
        if (rng_.OneIn(20)) Clear();
        return;
      default:
        if (rng_.OneIn(3)) return Read(id);
        if (rng_.OneIn(3)) return InsertClean(id);
        return Upsert(id);
    }
  }

  void Upsert(const base::KeyId& id) {
    const LocatedEntry located = RandomEntry(id, rng_);
    ASSERT_OK(shard_.Admit(located.entry.version.actor));
    const bool takes = shard_.WouldTake(id, located.entry.version);
    ASSERT_EQ(shard_.Upsert(located).taken, takes);
    if (!takes) return;
    Kept next{.located = located, .dirty = true, .touched = true};
    if (const auto found = model_.find(id); found != model_.end()) {
      const Kept& old = found->second;
      const bool in_run = !old.dirty && !old.flushing;
      next.shadow_counted = in_run || old.flushing || old.shadow_counted;
      next.shadow_if_lost = in_run || old.shadow_if_lost;
    }
    model_[id] = next;
  }

  void InsertClean(const base::KeyId& id) {
    if (model_.count(id) != 0) return;
    LocatedEntry located = RandomEntry(id, rng_);
    located.damaged = rng_.OneIn(5);
    ASSERT_OK(shard_.Admit(located.entry.version.actor));
    shard_.InsertClean(located);
    model_[id] = {.located = located};
  }

  void Read(const base::KeyId& id) {
    const auto found = model_.find(id);
    const bool touches = rng_.OneIn(2);
    const absl::optional<LocatedEntry> read = touches ? shard_.FindAndTouch(id) : shard_.Find(id);
    ASSERT_EQ(read.has_value(), found != model_.end());
    if (!read.has_value()) return;
    ASSERT_EQ(*read, found->second.located);
    if (touches) found->second.touched = true;
  }

  void MarkDamaged(const base::KeyId& id) {
    const auto found = model_.find(id);
    if (found == model_.end()) return;
    Kept& kept = found->second;
    ASSERT_TRUE(shard_.MarkDamaged(id, kept.located.location));
    kept.located.damaged = true;
    // The runs must learn of it.
    const bool in_run = !kept.dirty && !kept.flushing;
    kept.shadow_counted = in_run || kept.flushing || kept.shadow_counted;
    kept.shadow_if_lost = in_run || kept.shadow_if_lost;
    kept.dirty = true;
    kept.flushing = false;
  }

  void BeginFlush() {
    // One at a time.
    if (std::exchange(flushing_, true)) return;
    std::vector<DirtyEntry> entries;
    shard_.BeginFlush(entries);
    size_t next = 0;
    for (auto& [id, kept] : model_) {
      if (!kept.dirty) continue;
      ASSERT_LT(next, entries.size());
      ASSERT_EQ(entries[next].located, kept.located);
      ASSERT_EQ(entries[next].shadow_counted, kept.shadow_counted);
      ++next;
      kept.dirty = false;
      kept.flushing = true;
    }
    ASSERT_EQ(next, entries.size());
  }

  void EndFlush(bool durable) {
    if (!std::exchange(flushing_, false)) return;
    shard_.EndFlush(durable);
    for (auto& [id, kept] : model_) {
      if (kept.flushing && !durable) kept.dirty = true;
      kept.flushing = false;
      if (!durable) kept.shadow_counted = kept.shadow_if_lost;
      kept.shadow_if_lost = kept.shadow_counted;
    }
  }

  // Once around, in one sweep or in many.
  void EvictAll() {
    const size_t bucket_count = shard_.bucket_count();
    const size_t turn_count = rng_.OneIn(2) ? 1 : bucket_count;
    size_t evicted_count = 0;
    for (size_t turn = 0; turn < turn_count; ++turn) {
      evicted_count += shard_.Evict(bucket_count / turn_count);
    }
    size_t expected_count = 0;
    for (auto next = model_.begin(); next != model_.end();) {
      Kept& kept = next->second;
      if (kept.dirty || kept.flushing || kept.located.damaged || kept.touched) {
        if (!kept.dirty && !kept.flushing && !kept.located.damaged) kept.touched = false;
        ++next;
      } else {
        next = model_.erase(next);
        ++expected_count;
      }
    }
    ASSERT_EQ(evicted_count, expected_count);
    Model expected;
    for (const auto& [id, kept] : model_) expected[id] = kept.located;
    CompareRanges(shard_, expected, rng_);
  }

  void Clear() {
    shard_.Clear();
    model_.clear();
    flushing_ = false;
  }

  void CheckCounts() const {
    uint64_t dirty_count = 0;
    uint64_t damaged_count = 0;
    uint64_t tombstone_count = 0;
    for (const auto& [id, kept] : model_) {
      dirty_count += kept.dirty ? 1 : 0;
      damaged_count += kept.located.damaged ? 1 : 0;
      tombstone_count += kept.located.entry.tombstone && !kept.located.damaged ? 1 : 0;
    }
    ASSERT_EQ(shard_.entry_count(), model_.size());
    ASSERT_EQ(shard_.dirty_count(), dirty_count);
    ASSERT_EQ(shard_.damaged_count(), damaged_count);
    ASSERT_EQ(shard_.tombstone_count(), tombstone_count);
    ASSERT_EQ(shard_.live_count(), model_.size() - damaged_count - tombstone_count);
  }

  base::Random rng_;
  const int free_bits_;
  ChunkArena arena_;
  KeyDirShard shard_{&arena_};
  std::map<base::KeyId, Kept> model_;
  bool flushing_ = false;
};

TEST(KeyDirShardTest, EntriesGetDirtyCleanAndOutOfMemoryAsAPlainAccountSays) {
  for (uint64_t seed = 1; seed <= 4; ++seed) {
    for (const int free_bits : {11, 14, 160}) LifeOfAShard(seed, free_bits).Run(4000);
  }
}

LocatedEntry EntryOf(const base::KeyId& id, base::Hlc hlc, uint64_t expires_at_ms) {
  LocatedEntry located;
  located.entry.key_id = id;
  located.entry.version = {.hlc = hlc, .actor = base::ActorId{1}};
  located.entry.expires_at_ms = expires_at_ms;
  return located;
}

TEST(KeyDirShardTest, TakesAtMost71BytesPerEntryAnd30MoreForAnExpiry) {
  base::Random rng(5);
  ChunkArena arena;
  KeyDirShard shard(&arena);
  ASSERT_OK(shard.Admit(base::ActorId{1}));
  std::vector<base::KeyId> ids;
  const auto bytes_per_entry = [&] {
    return static_cast<double>(shard.bytes()) / static_cast<double>(ids.size());
  };
  for (size_t count = 1; count <= 40'000; ++count) {
    ids.push_back(RandomId(rng, 160));
    shard.Upsert(EntryOf(ids.back(), 1, 0));
    // From a size on at which the fixed part no longer shows, at every phase of the splitting.
    if (count >= 4000 && count % 500 == 0) ASSERT_LE(bytes_per_entry(), 71.0) << count;
  }
  for (const base::KeyId& id : ids) shard.Upsert(EntryOf(id, 2, 7));
  EXPECT_LE(bytes_per_entry(), 101.0);
  // Overwritten by what never expires, all but the expiries' empty buckets is given back.
  for (const base::KeyId& id : ids) shard.Upsert(EntryOf(id, 3, 0));
  EXPECT_LE(bytes_per_entry(), 70.0);
}

}  // namespace
}  // namespace slipstream::storage

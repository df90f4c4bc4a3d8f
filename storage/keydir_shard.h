// KeyDirShard: the entries of one shard that are in memory, packed by hand.
//
// An entry takes 66 bytes in an IdTable, about 70 with all overhead. What few entries have, an
// expiry, stands in a table beside it. How ids find their place is id_table.h's.
//
// An entry is *dirty* until a checkpoint has written it to a run of the Sorted Log, *flushing*
// while one does, and else *clean*: then it may be evicted (docs/decisions/0005).
#ifndef SLIPSTREAM_STORAGE_KEYDIR_SHARD_H_
#define SLIPSTREAM_STORAGE_KEYDIR_SHARD_H_

#include <compare>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/types/optional.h"
#include "base/key_id.h"
#include "base/version.h"
#include "storage/chunk_arena.h"
#include "storage/entry.h"
#include "storage/id_table.h"

namespace slipstream::storage {

// Where a record stands: segment number, up to kSegmentNumberMax, and offset in its file, below
// kSegmentBytesMax. Grows with the log.
struct Location {
  uint32_t segment_number = 0;
  uint32_t offset = 0;
  friend auto operator<=>(const Location&, const Location&) = default;
};

// An entry and where its record is.
struct LocatedEntry {
  Entry entry;
  Location location;
  bool damaged = false;  // Its record failed its checks.
  friend bool operator==(const LocatedEntry&, const LocatedEntry&) = default;
};

// An entry on its way to a run.
struct DirtyEntry {
  LocatedEntry located;
  // As RunEntry::shadow_counted (run_format.h).
  bool shadow_counted = false;
};

// The outcome of an Upsert.
struct UpsertResult {
  bool taken = false;
  // The record that its key had before, if it had one: 0 bytes if not.
  Location replaced;
  uint32_t replaced_bytes = 0;
};

// Distinct actors that the entries of one shard may name.
inline constexpr size_t kActorsPerShardMax = 65'536;

// Not thread-safe; KeyDir guards it.
class KeyDirShard {
 public:
  // `arena` must outlive the shard.
  explicit KeyDirShard(ChunkArena* arena);
  KeyDirShard(const KeyDirShard&) = delete;
  KeyDirShard& operator=(const KeyDirShard&) = delete;

  absl::optional<LocatedEntry> Find(const base::KeyId& key_id) const;
  // The same for a reader's sake: the next sweep of Evict spares the entry.
  absl::optional<LocatedEntry> FindAndTouch(const base::KeyId& key_id);

  // Returns whether an upsert with `version` would be taken: it is newer than what is stored, or
  // not older and that is damaged.
  bool WouldTake(const base::KeyId& key_id, const base::Version& version) const;

  // Stores `located`, dirty, if WouldTake says so; says whether it did, and what it replaced. Its
  // actor must be admitted, its id's shard byte that of all others, and its fields within
  // ceilings.h.
  UpsertResult Upsert(const LocatedEntry& located);

  // Points the entry of `key_id` to the copy of its record at `to`, and makes it dirty, if the one
  // at `from` is still its record; returns whether it was.
  bool Move(const base::KeyId& key_id, const Location& from, const Location& to);

  // Stores `located`, clean, as the newest run has it; its key has no entry here. The rest as
  // Upsert.
  void InsertClean(const LocatedEntry& located);
  // The same for one whose record compaction has copied: dirty, and what the runs have of its key
  // is counted as dead.
  void InsertMoved(const LocatedEntry& located);

  // Makes room for one more actor if need be. RESOURCE_EXHAUSTED beyond kActorsPerShardMax.
  absl::Status Admit(base::ActorId actor);

  // Marks the entry of `key_id` as damaged if its record is still the one at `location`; returns
  // whether it was.
  bool MarkDamaged(const base::KeyId& key_id, const Location& location);

  // Calls `visit` for each entry of `range` in key_id order, damaged ones too, until it returns
  // false; returns whether it never did. `range` lies in the shard or holds all of it.
  bool Visit(const base::KeyRange& range, absl::FunctionRef<bool(const LocatedEntry&)> visit) const;

  // Forgets all entries and actors.
  void Clear();

  // Appends all dirty entries to `entries`, in key_id order, and makes them flushing.
  void BeginFlush(std::vector<DirtyEntry>& entries);
  // Makes what is still flushing clean, or dirty again if it did not become part of a run.
  void EndFlush(bool durable);

  // Removes clean entries that were not touched since the last sweep from the next `bucket_count`
  // buckets of some 128 entries; returns how many. Damaged ones stay. CLOCK (Corbato, 1969).
  size_t Evict(size_t bucket_count);

  uint64_t entry_count() const { return entries_.item_count(); }
  uint64_t dirty_count() const { return dirty_count_; }
  // Of the buckets that Evict goes through.
  size_t bucket_count() const { return entries_.bucket_count(); }

  // Neither tombstones nor damaged.
  uint64_t live_count() const { return entries_.item_count() - tombstone_count_ - damaged_count_; }
  // Not damaged.
  uint64_t tombstone_count() const { return tombstone_count_; }
  uint64_t damaged_count() const { return damaged_count_; }
  // Memory, the allocator's overhead included.
  uint64_t bytes() const;

 private:
  struct PackedEntry;
  struct PackedExpiry;

  const PackedEntry* FindPacked(const base::KeyId& key_id) const;
  PackedEntry* FindPacked(const base::KeyId& key_id);
  void Count(const PackedEntry& packed, int delta);
  uint16_t ActorIndex(base::ActorId actor) const;
  template <typename Change>
  void Redirty(PackedEntry& packed, Change change);
  bool YieldsTo(const PackedEntry& packed, const base::Version& version) const;
  static uint8_t FlagsOver(const PackedEntry& replaced);
  PackedEntry& InsertPacked(const base::KeyId& key_id);
  void SetExpiry(const Entry& entry, bool had_one);
  void Pack(const LocatedEntry& located, PackedEntry& packed) const;
  base::KeyId IdOf(const PackedEntry& packed) const;
  LocatedEntry Unpack(const PackedEntry& packed) const;
  base::Version VersionOf(const PackedEntry& packed) const;
  static Location LocationOf(const PackedEntry& packed);

  IdTable entries_;
  IdTable expiries_;  // Of those entries that expire.
  uint8_t shard_byte_ = 0;
  uint64_t tombstone_count_ = 0;
  uint64_t damaged_count_ = 0;
  uint64_t dirty_count_ = 0;
  bool is_flushing_ = false;
  size_t evict_hand_ = 0;
  std::vector<base::ActorId> actors_;
};

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_KEYDIR_SHARD_H_

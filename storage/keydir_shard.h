// KeyDirShard: the entries of one shard in memory, in an order that serves points and ranges alike.
//
// Linear hashing whose hash is the key_id itself, its bits after the shard byte read backwards: at
// level k there are 2^k buckets plus one for each bucket that is split already, and a bucket holds
// exactly the ids with one prefix of k or k+1 bits. So a look-up is one bucket, a visit of a range
// touches only the buckets of the range, and growth splits one bucket at a time: no long rehash.
// Within a bucket entries are sorted. (Litwin, "Linear hashing", VLDB 1980.)
#ifndef SLIPSTREAM_STORAGE_KEYDIR_SHARD_H_
#define SLIPSTREAM_STORAGE_KEYDIR_SHARD_H_

#include <compare>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/types/optional.h"
#include "base/key_id.h"
#include "base/version.h"
#include "storage/entry.h"

namespace slipstream::storage {

// Where a record stands: segment number and offset in its file. Grows with the log.
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

// Distinct actors that the entries of one shard may name.
inline constexpr size_t kActorsPerShardMax = 65'536;

// Not thread-safe; KeyDir guards it.
class KeyDirShard {
 public:
  KeyDirShard();
  ~KeyDirShard();
  KeyDirShard(const KeyDirShard&) = delete;
  KeyDirShard& operator=(const KeyDirShard&) = delete;

  absl::optional<LocatedEntry> Find(const base::KeyId& key_id) const;

  // Returns whether an upsert with `version` would be taken: it is newer than what is stored, or
  // not older and that is damaged.
  bool WouldTake(const base::KeyId& key_id, const base::Version& version) const;

  // Stores `located` if WouldTake says so; returns whether it did. Its actor must be admitted.
  bool Upsert(const LocatedEntry& located);

  // Makes room for one more actor if need be. RESOURCE_EXHAUSTED beyond kActorsPerShardMax.
  absl::Status Admit(base::ActorId actor);

  // Marks the entry of `key_id` as damaged if its record is still the one at `location`; returns
  // whether it was.
  bool MarkDamaged(const base::KeyId& key_id, const Location& location);

  // Calls `visit` for each entry of `range` in key_id order, damaged ones too, until it returns
  // false; returns whether it never did.
  bool Visit(const base::KeyRange& range, absl::FunctionRef<bool(const LocatedEntry&)> visit) const;

  // Neither tombstones nor damaged.
  uint64_t live_count() const { return entry_count_ - tombstone_count_ - damaged_count_; }
  // Not damaged.
  uint64_t tombstone_count() const { return tombstone_count_; }
  uint64_t damaged_count() const { return damaged_count_; }
  // Memory, the allocator's overhead included.
  uint64_t bytes() const;

 private:
  struct PackedEntry;
  struct Bucket;

  size_t BucketIndex(const base::KeyId& key_id) const;
  const PackedEntry* FindPacked(const base::KeyId& key_id) const;
  PackedEntry* FindPacked(const base::KeyId& key_id);
  void Insert(const PackedEntry& entry);
  void SplitOne();
  void Count(const PackedEntry& entry, int delta);
  uint16_t ActorIndex(base::ActorId actor) const;
  PackedEntry Pack(const LocatedEntry& located) const;
  LocatedEntry Unpack(const PackedEntry& packed) const;
  base::Version VersionOf(const PackedEntry& packed) const;
  bool VisitBucket(const Bucket& bucket, const base::KeyRange& range,
                   absl::FunctionRef<bool(const LocatedEntry&)> visit) const;

  std::vector<Bucket> buckets_;  // 2^level_ + split_ of them.
  int level_ = 0;
  size_t split_ = 0;  // Buckets below this, of the first 2^level_, are split to level_ + 1.
  uint64_t entry_count_ = 0;
  uint64_t tombstone_count_ = 0;
  uint64_t damaged_count_ = 0;
  uint64_t allocated_bytes_ = 0;  // Of the buckets' arrays.
  std::vector<base::ActorId> actors_;
};

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_KEYDIR_SHARD_H_

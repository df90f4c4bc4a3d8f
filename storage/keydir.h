// KeyDir: where each key's current record is, in memory, for all shards.
//
// Locks are *stripes* of 8 neighbouring shards. One per shard would let a batch of 1,000 keys take
// 256 locks to become visible as one; with 32, a batch costs 32 at most.
#ifndef SLIPSTREAM_STORAGE_KEYDIR_H_
#define SLIPSTREAM_STORAGE_KEYDIR_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/optional.h"
#include "base/key_id.h"
#include "storage/chunk_arena.h"
#include "storage/keydir_shard.h"

namespace slipstream::storage {

inline constexpr int kShardsPerStripe = 8;
inline constexpr int kStripeCount = base::kShardCount / kShardsPerStripe;

// A set of stripes, one bit each.
using StripeMask = uint32_t;
static_assert(kStripeCount == 32);

inline constexpr StripeMask kAllStripes = ~StripeMask{0};

inline StripeMask StripeOf(uint8_t shard) { return StripeMask{1} << (shard / kShardsPerStripe); }

// Returns all key_ids of `shard`.
base::KeyRange RangeOfShard(uint8_t shard);

struct KeyDirStats {
  uint64_t live_count = 0;
  uint64_t tombstone_count = 0;
  uint64_t damaged_count = 0;
  uint64_t dirty_count = 0;
  uint64_t bytes = 0;
  bool complete = true;  // All shards are.
};

// Thread-safe: what changes more than one entry, or must hold the lock for longer, goes through
// `Exclusive`.
class KeyDir {
 public:
  // What a stripe's lock guards for one shard.
  struct Shard {
    explicit Shard(ChunkArena* arena) : table(arena) {}

    KeyDirShard table;
    uint64_t last_sequence = 0;  // Of the dots that this node's actor gave for the shard.
    // Whether the table has every key of the shard. If not, the runs may have more.
    bool complete = true;
    // Whether a checkpoint under way has what the table had.
    bool collected = false;
  };

  // What memory knows of a key.
  struct Lookup {
    absl::optional<LocatedEntry> located;
    bool complete = true;  // If nothing is located: there is none. Else look at the runs.
  };

  // Holds the stripes of `mask` for as long as it lives; several are taken in ascending order, so
  // that two holders never wait for each other.
  class ABSL_SCOPED_LOCKABLE Exclusive {
   public:
    Exclusive(KeyDir* keydir, StripeMask mask);
    ~Exclusive();
    Exclusive(const Exclusive&) = delete;
    Exclusive& operator=(const Exclusive&) = delete;

    // Returns a shard of one of the stripes held.
    Shard& shard(uint8_t shard);

   private:
    KeyDir* const keydir_;
    const StripeMask mask_;
  };

  KeyDir() : stripes_(ArrayOf<Stripe>(&arena_, std::make_index_sequence<kStripeCount>())) {}
  KeyDir(const KeyDir&) = delete;
  KeyDir& operator=(const KeyDir&) = delete;

  // For a reader: spares the entry from the next sweep of the eviction.
  Lookup Find(const base::KeyId& key_id);

  // Calls `visit` as KeyDirShard::Visit does for what is in memory, for all shards of `range`, each
  // in one moment.
  void Visit(const base::KeyRange& range, absl::FunctionRef<bool(const LocatedEntry&)> visit);

  // Forgets all entries and sequences: every shard is empty, and complete.
  void Clear();

  KeyDirStats stats();

 private:
  // Returns an array whose elements are made with `arena`.
  template <typename Element, size_t... kIndexes>
  static std::array<Element, sizeof...(kIndexes)> ArrayOf(ChunkArena* arena,
                                                          std::index_sequence<kIndexes...>) {
    return {((void)kIndexes, Element(arena))...};
  }

  struct alignas(64) Stripe {
    explicit Stripe(ChunkArena* arena)
        : shards(ArrayOf<Shard>(arena, std::make_index_sequence<kShardsPerStripe>())) {}

    absl::Mutex mutex;
    std::array<Shard, kShardsPerStripe> shards ABSL_GUARDED_BY(mutex);
  };

  ChunkArena arena_;  // Of all shards.
  std::array<Stripe, kStripeCount> stripes_;
};

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_KEYDIR_H_

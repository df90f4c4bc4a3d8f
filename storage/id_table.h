// IdTable: items of one size in memory, one per key_id of a shard, found by id and visited in the
// order of ids. What an item says beyond its id is the owner's concern (keydir_shard.h).
//
// Linear hashing whose hash is the key_id itself, its bits after the shard byte read backwards: at
// level k there are 2^k buckets plus one for each bucket that is split already, and a bucket holds
// exactly the ids with one prefix of k or k+1 bits. So a look-up is one bucket, a visit of a range
// touches only the buckets of the range, and growth splits one bucket at a time: no long rehash.
// (Litwin, "Linear hashing", VLDB 1980.)
//
// A bucket is a list of blocks of four items, in no order, from one pool for the table
// (block_pool.h). Beside the number of each block stand its items' *marks*, the 8 bits of the id
// after the bucket's prefix: a look-up reads the list and then, nearly always, one item; an
// insertion writes behind the last one and moves none; a visit sorts the items of one bucket at a
// time, of those only that its range can have. (Marks as the tags of SwissTable and F14.)
#ifndef SLIPSTREAM_STORAGE_ID_TABLE_H_
#define SLIPSTREAM_STORAGE_ID_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/functional/function_ref.h"
#include "base/key_id.h"
#include "storage/block_pool.h"
#include "storage/chunk_arena.h"

namespace slipstream::storage {

// An item starts with its key_id without the shard byte, which all ids of a table share.
inline constexpr size_t kIdSuffixBytes = base::kKeyIdBytes - 1;

// Not thread-safe. Pointers to items are valid until the next Insert, Erase or Sweep.
class IdTable {
 public:
  // Each item has `item_bytes` bytes, at least kIdSuffixBytes and at most a quarter of kChunkBytes,
  // and no alignment. `arena` must outlive the table.
  IdTable(ChunkArena* arena, size_t item_bytes);
  ~IdTable();
  IdTable(const IdTable&) = delete;
  IdTable& operator=(const IdTable&) = delete;

  // Returns the item of `key_id`, null if there is none.
  const char* Find(const base::KeyId& key_id) const;
  char* Find(const base::KeyId& key_id);

  // Adds an item for `key_id`, which must have none; all but its id is for the caller to fill in.
  char* Insert(const base::KeyId& key_id);

  // Removes the item of `key_id`, if there is one. Its memory is given back, its bucket stays.
  void Erase(const base::KeyId& key_id);

  // Removes all items, and gives the memory back.
  void Clear();

  // Calls `visit` for each item of `range`, which lies in the shard or holds all of it, in key_id
  // order, until it returns false; returns whether it never did. `visit` must not change the table.
  bool Visit(const base::KeyRange& range, absl::FunctionRef<bool(const char*)> visit) const;
  // The same for a `visit` that changes items, but for their ids.
  bool VisitMutable(const base::KeyRange& range, absl::FunctionRef<bool(char*)> visit);

  // Calls `remove` for each item of `bucket_count` buckets, and removes those for which it returns
  // true; returns how many. `hand` says where to start and is left where the next call should go
  // on, past the last bucket at the first: so all get their turn. A bucket holds 128 items on
  // average at most, twice that before it is split.
  size_t Sweep(size_t bucket_count, size_t& hand, absl::FunctionRef<bool(char*)> remove);

  uint64_t item_count() const { return item_count_; }
  size_t bucket_count() const { return buckets_.size(); }
  // Memory beyond the object itself, the allocator's overhead included.
  uint64_t bytes() const;

 private:
  static constexpr size_t kItemsPerBlock = 4;

  struct Block {
    uint32_t number;  // In the pool.
    uint8_t marks[kItemsPerBlock];
  };

  // Item i is the (i mod 4)-th of blocks[i / 4]: only the last block has free places, and none is
  // empty.
  struct Bucket {
    Block* blocks = nullptr;
    uint32_t item_count = 0;
  };

  // An item on its way to be visited.
  struct Candidate {
    uint64_t head = 0;  // The first 8 bytes of its id's suffix, as a number.
    const char* item = nullptr;
  };

  static size_t BlockCountOf(size_t item_count);
  size_t BucketIndex(const void* suffix) const;
  int PrefixBits(const Bucket& bucket) const;
  char* ItemAt(const Bucket& bucket, size_t index) const;
  size_t IndexOf(const Bucket& bucket, const void* suffix) const;
  void ResizeBlocks(Bucket& bucket, size_t old_count, size_t block_count);
  char* Append(Bucket& bucket, const void* suffix);
  void MoveItem(const Bucket& bucket, size_t from, size_t to);
  void Truncate(Bucket& bucket, size_t item_count);
  void RemoveBlock(uint32_t number);
  void SplitOne();
  size_t Partition(const Bucket& bucket, uint64_t bit);
  void MoveTail(Bucket& lower, size_t first, Bucket& upper);
  void SetMarks(const Bucket& bucket);
  static void Sort(const std::vector<Candidate>& candidates, int prefix_bits,
                   std::vector<Candidate>& sorted);
  void Collect(const Bucket& bucket, const base::KeyRange& range,
               std::vector<Candidate>& candidates) const;

  const size_t item_bytes_;
  std::vector<Bucket> buckets_;  // 2^level_ + split_ of them.
  int level_ = 0;
  size_t split_ = 0;  // Buckets below this, of the first 2^level_, are split to level_ + 1.
  uint64_t item_count_ = 0;
  BlockPool pool_;
  uint64_t block_list_bytes_ = 0;  // Of the buckets' lists of blocks.
};

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_ID_TABLE_H_

// IdTable: items of one size in memory, one per key_id of a shard, in an order that serves points
// and ranges alike. What an item says beyond its id is the owner's concern (keydir_shard.h).
//
// Linear hashing whose hash is the key_id itself, its bits after the shard byte read backwards: at
// level k there are 2^k buckets plus one for each bucket that is split already, and a bucket holds
// exactly the ids with one prefix of k or k+1 bits. So a look-up is one bucket, a visit of a range
// touches only the buckets of the range, and growth splits one bucket at a time: no long rehash.
// Within a bucket items are sorted. (Litwin, "Linear hashing", VLDB 1980.)
#ifndef SLIPSTREAM_STORAGE_ID_TABLE_H_
#define SLIPSTREAM_STORAGE_ID_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/functional/function_ref.h"
#include "base/key_id.h"

namespace slipstream::storage {

// An item starts with its key_id without the shard byte, which all ids of a table share.
inline constexpr size_t kIdSuffixBytes = base::kKeyIdBytes - 1;

// Not thread-safe. Pointers to items are valid until the next Insert or Erase.
class IdTable {
 public:
  // Each item has `item_bytes` bytes, at least kIdSuffixBytes, and no alignment.
  explicit IdTable(size_t item_bytes);
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
  // on, past the last bucket at the first: so all get their turn. A bucket holds some 24 items at
  // most on average.
  size_t Sweep(size_t bucket_count, size_t& hand, absl::FunctionRef<bool(char*)> remove);

  uint64_t item_count() const { return item_count_; }
  size_t bucket_count() const { return buckets_.size(); }
  // Memory beyond the object itself, the allocator's overhead included.
  uint64_t bytes() const { return array_bytes_ + buckets_.capacity() * sizeof(Bucket); }

 private:
  // A sorted array without a free place: one more item moves it into the allocator's next size.
  struct Bucket {
    char* items = nullptr;
    size_t count = 0;
  };

  size_t BucketIndex(const base::KeyId& key_id) const;
  const char* ItemAt(const Bucket& bucket, size_t index) const {
    return bucket.items + index * item_bytes_;
  }
  size_t LowerBound(const Bucket& bucket, const base::KeyId& key_id) const;
  size_t BinarySearch(const Bucket& bucket, const char* suffix) const;
  bool HoldsAt(const Bucket& bucket, size_t index, const base::KeyId& key_id) const;
  void Resize(Bucket& bucket, size_t count);
  void SplitOne();
  bool VisitBucket(const Bucket& bucket, const base::KeyRange& range,
                   absl::FunctionRef<bool(const char*)> visit) const;

  const size_t item_bytes_;
  std::vector<Bucket> buckets_;  // 2^level_ + split_ of them.
  int level_ = 0;
  size_t split_ = 0;  // Buckets below this, of the first 2^level_, are split to level_ + 1.
  uint64_t item_count_ = 0;
  uint64_t array_bytes_ = 0;  // Of the buckets' arrays.
};

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_ID_TABLE_H_

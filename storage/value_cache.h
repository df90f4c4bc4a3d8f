// ValueCache: values that were read, in bounded memory, so that reading them again needs no disk.
//
// S3-FIFO (Yang, Zhang, Qiu, Yue, Vigfusson: "FIFO queues are all you need for cache eviction",
// SOSP 2023). What is new enters a small queue and leaves it soon unless it is read again: a scan
// passes through without pushing out what is in use, which lives in the main queue. Ghosts, places
// of what left the small queue, let it enter the main one when it comes back.
//
// Keyed by where the record is. A place never gets other bytes while the process lives, so nothing
// needs to be invalidated: what is no longer anyone's current record ages out. Whether the entry
// may be read at all (deleted, expired, damaged) is for the caller to ask the KeyDir.
#ifndef SLIPSTREAM_STORAGE_VALUE_CACHE_H_
#define SLIPSTREAM_STORAGE_VALUE_CACHE_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/optional.h"
#include "base/key_id.h"
#include "storage/keydir_shard.h"

namespace slipstream::storage {

struct ValueCacheStats {
  uint64_t hit_count = 0;
  uint64_t miss_count = 0;
  uint64_t bytes = 0;  // All memory, the allocator's overhead included.
};

// Thread-safe: one lock for each of the parts, which share the bytes and the key_ids evenly.
class ValueCache {
 public:
  static constexpr size_t kPartCount = 32;
  // What takes more than this share of its part is not kept.
  static constexpr uint64_t kItemsPerPartMin = 16;

  // Takes at most `bytes_max` bytes beyond the object itself; 0 keeps nothing.
  explicit ValueCache(uint64_t bytes_max);
  ~ValueCache();
  ValueCache(const ValueCache&) = delete;
  ValueCache& operator=(const ValueCache&) = delete;

  bool is_on() const { return part_bytes_max_ != 0; }

  // Where a record is, and whose.
  struct Place {
    base::KeyId key_id;
    Location location;
  };

  // Returns a copy of the value at `place` if it is kept and `key` is the record's key.
  absl::optional<std::string> Find(const Place& place, absl::string_view key);

  // Keeps `value`, which was read from the record of `key` at `place` and passed its checks.
  void Insert(const Place& place, absl::string_view key, absl::string_view value);

  // The same for a value that was just written, which nobody has asked for: only as long as nothing
  // has ever had to leave its part to make room. Then a store smaller than the cache is never read
  // from disk, and one that is not costs its writers nothing.
  void InsertIfRoom(const Place& place, absl::string_view key, absl::string_view value);

  // Goes on keeping the value at `from`, if it does, for the record's copy at `to`.
  void Move(const Place& from, const Location& to);

  ValueCacheStats stats();

 private:
  struct Item;
  // Linked from the oldest to the newest.
  struct Queue {
    Item* oldest = nullptr;
    Item* newest = nullptr;
    uint64_t bytes = 0;

    void Push(Item* item);
    Item* Pop();
  };
  struct alignas(64) Part {
    absl::Mutex mutex;
    Queue small ABSL_GUARDED_BY(mutex);
    Queue main ABSL_GUARDED_BY(mutex);
    // Chains by hash, and ghosts by hash: a later ghost takes an earlier one's place. Empty until
    // the first Insert, of one size ever after: growing would make one Insert slow.
    std::vector<Item*> index ABSL_GUARDED_BY(mutex);
    std::vector<uint64_t> ghosts ABSL_GUARDED_BY(mutex);
    // Something had to leave. Read without the lock.
    std::atomic<bool> was_full = false;
    uint64_t hit_count ABSL_GUARDED_BY(mutex) = 0;
    uint64_t miss_count ABSL_GUARDED_BY(mutex) = 0;
  };

  Part& PartOf(const base::KeyId& key_id) { return parts_[key_id.shard() % kPartCount]; }
  Item** ChainOf(Part& part, uint64_t number) ABSL_EXCLUSIVE_LOCKS_REQUIRED(part.mutex);
  Item* FindItem(Part& part, uint64_t number) ABSL_EXCLUSIVE_LOCKS_REQUIRED(part.mutex);
  uint64_t BytesOf(const Part& part) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(part.mutex);
  void EvictOne(Part& part) ABSL_EXCLUSIVE_LOCKS_REQUIRED(part.mutex);
  void EvictFromSmall(Part& part) ABSL_EXCLUSIVE_LOCKS_REQUIRED(part.mutex);
  void EvictFromMain(Part& part) ABSL_EXCLUSIVE_LOCKS_REQUIRED(part.mutex);
  void Unchain(Part& part, Item* item) ABSL_EXCLUSIVE_LOCKS_REQUIRED(part.mutex);
  void Drop(Part& part, Item* item) ABSL_EXCLUSIVE_LOCKS_REQUIRED(part.mutex);

  const uint64_t part_bytes_max_;
  const size_t slot_count_;  // Of each part's index and ghosts.
  std::array<Part, kPartCount> parts_;
};

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_VALUE_CACHE_H_

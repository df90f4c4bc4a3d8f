// DirtySet: which buckets of one shard have changed since they were last hashed.
//
// It has a mutex of its own that guards nothing else and is held for a few instructions, so that
// writers can mark under their own locks and never wait for hashing.
#ifndef SLIPSTREAM_MERKLE_DIRTY_SET_H_
#define SLIPSTREAM_MERKLE_DIRTY_SET_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/key_id.h"

namespace slipstream::merkle {

// The 2^depth buckets of a shard: bucket i holds the key_ids whose `depth` bits after the first
// byte are i. Starts with depth 0 and clean. Thread-safe.
class DirtySet {
 public:
  // A shard never has more than 2^kDepthMax buckets.
  static constexpr int kDepthMax = 24;

  DirtySet() : words_(1) {}

  // Marks the bucket of `key_id` at the present depth.
  void Mark(const base::KeyId& key_id) ABSL_LOCKS_EXCLUDED(mutex_);

  // Appends to `buckets` the lowest dirty buckets among first <= i <= last, but no more than
  // `count_max` of them, in order, and makes them clean.
  void Take(uint32_t first, uint32_t last, size_t count_max, std::vector<uint32_t>& buckets)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // Divides the shard into 2^depth buckets, all dirty: no mark made before can be lost by it.
  void Reset(int depth) ABSL_LOCKS_EXCLUDED(mutex_);

  // Divides the shard into 2^depth buckets, of which `buckets` are dirty and no others. Not beside
  // Mark, whose marks it would lose.
  void Restore(int depth, const std::vector<uint32_t>& buckets) ABSL_LOCKS_EXCLUDED(mutex_);

  // Whether bucket `bucket`, one of the present depth, is dirty.
  bool Contains(uint32_t bucket) const ABSL_LOCKS_EXCLUDED(mutex_);

  // Returns for each bucket whether it is dirty.
  std::vector<bool> Dirty() const ABSL_LOCKS_EXCLUDED(mutex_);

  bool any() const ABSL_LOCKS_EXCLUDED(mutex_);

  // Marks made so far. If two calls return the same, nothing was marked between them.
  uint64_t mark_count() const { return mark_count_.load(std::memory_order_acquire); }

  uint64_t memory_bytes() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  mutable absl::Mutex mutex_;
  int depth_ ABSL_GUARDED_BY(mutex_) = 0;
  // Bit i % 64 of word i / 64 is bucket i's.
  std::vector<uint64_t> words_ ABSL_GUARDED_BY(mutex_);
  size_t dirty_count_ ABSL_GUARDED_BY(mutex_) = 0;
  std::atomic<uint64_t> mark_count_ = 0;
};

// Returns the bucket of `key_id` in a shard of 2^depth buckets, depth <= DirtySet::kDepthMax.
uint32_t BucketOf(const base::KeyId& key_id, int depth);

}  // namespace slipstream::merkle

#endif  // SLIPSTREAM_MERKLE_DIRTY_SET_H_

// TreeShard: the part of the Merkle tree below one first byte of key_id.
//
// A complete binary tree of cached digests over 2^depth buckets. The depth follows the number of
// entries. Pictures and the argument why no change is lost: docs/merkle.md, section 2.
#ifndef SLIPSTREAM_MERKLE_TREE_SHARD_H_
#define SLIPSTREAM_MERKLE_TREE_SHARD_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/span.h"
#include "base/key_id.h"
#include "merkle/dirty_set.h"
#include "merkle/leaf_source.h"
#include "merkle/subtree.h"

namespace slipstream::merkle {

// Thread-safe. MarkDirty never waits for hashing or for the source; the others do.
class TreeShard {
 public:
  // The depth, in bits, at which shards start.
  static constexpr int kPrefixBits = 8;
  // Entries per bucket on average: outside of these the depth is chosen anew, so that they are
  // at most kLeavesPerBucketChosenMax and, in a shard of more than one bucket, over half of that.
  static constexpr uint64_t kLeavesPerBucketMin = 8;
  static constexpr uint64_t kLeavesPerBucketChosenMax = 48;
  static constexpr uint64_t kLeavesPerBucketMax = 64;

  // `source` must outlive this object. Starts clean and empty. `index`: the first byte.
  TreeShard(const LeafSource* source, uint8_t index);

  void MarkDirty(const base::KeyId& key_id) { dirty_.Mark(key_id); }

  // Re-hashes at most `bucket_count_max` dirty buckets and what depends on them. Returns how many.
  size_t Settle(size_t bucket_count_max) ABSL_LOCKS_EXCLUDED(mutex_);
  // The same, but does nothing while another call holds the shard.
  size_t SettleUnlessBusy(size_t bucket_count_max) ABSL_LOCKS_EXCLUDED(mutex_);

  // Settles what lies under `prefix`, which is of this shard, then returns its digest.
  Subtree SubtreeAt(const base::KeyPrefix& prefix) ABSL_LOCKS_EXCLUDED(mutex_);

  // Hashes the buckets from `first` on, at most `count_max`, and compares them with what is cached;
  // those that differ become dirty. What is dirty is left out. Settles nothing.
  struct Verified {
    uint32_t next_bucket = 0;  // 0: the last one was among them.
    size_t checked_count = 0;
    size_t difference_count = 0;
  };
  Verified Verify(uint32_t first, size_t count_max) ABSL_LOCKS_EXCLUDED(mutex_);

  // As Tree::Save and Tree::Load. Layout: docs/merkle.md, section 2.
  std::string Save() const ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status Load(absl::string_view saved) ABSL_LOCKS_EXCLUDED(mutex_);

  bool has_dirty() const { return dirty_.any(); }
  // As DirtySet::mark_count.
  uint64_t mark_count() const { return dirty_.mark_count(); }
  // Entries as of the last settling.
  uint64_t leaf_count() const { return leaf_count_.load(std::memory_order_relaxed); }
  // Memory of this object and what it owns.
  uint64_t memory_bytes() const { return memory_bytes_.load(std::memory_order_relaxed); }

 private:
  size_t SettleLocked(size_t bucket_count_max) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Chooses the depth anew if the entries may have outgrown it or become few.
  void AdaptDepth() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void CountMemory() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Starts with 2^depth dirty buckets for `leaf_count` entries.
  void Resize(int depth, uint64_t leaf_count) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Settles at most `count_max` of the dirty buckets among first <= i <= last; returns how many.
  size_t SettleBuckets(uint32_t first, uint32_t last, size_t count_max)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // How many of `buckets`, which are in order, follow the first without a gap and are read with it:
  // about a chunk of leaves. If their entries are on disk, they stand next to each other there.
  uint32_t NeighborCount(absl::Span<const uint32_t> buckets) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Re-hashes the buckets `first` to `first + bucket_count - 1`.
  void HashNeighbors(LeafReader& reader, uint32_t first, uint32_t bucket_count)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Re-computes every node above `buckets`, which are in order, once.
  void HashAbove(std::vector<uint32_t> buckets) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Returns the prefix of bucket `bucket` of 2^depth.
  base::KeyPrefix PrefixOf(uint32_t bucket, int depth) const;

  const LeafSource* const source_;
  const uint8_t index_;

  DirtySet dirty_;

  // Serialises those who settle. Held while the source is read: never take it under the source's
  // locks.
  mutable absl::Mutex mutex_;
  int depth_ ABSL_GUARDED_BY(mutex_) = 0;
  // Node 1 is the shard, nodes 2i and 2i + 1 are the halves of node i, the last 2^depth_ are the
  // buckets. Every inner node is the Join of its halves, whether these are dirty or not.
  std::vector<Subtree> nodes_ ABSL_GUARDED_BY(mutex_);
  // Entries of each bucket as of its last settling.
  std::vector<uint32_t> leaf_counts_ ABSL_GUARDED_BY(mutex_);
  // dirty_.mark_count() when leaf_count_ was last that of all entries.
  uint64_t counted_mark_count_ ABSL_GUARDED_BY(mutex_) = 0;

  // Written under mutex_, readable without.
  std::atomic<uint64_t> leaf_count_ = 0;
  std::atomic<uint64_t> memory_bytes_ = 0;
};

}  // namespace slipstream::merkle

#endif  // SLIPSTREAM_MERKLE_TREE_SHARD_H_

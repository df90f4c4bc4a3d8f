// Tree: keeps the Merkle root of a changing set of entries up to date at little cost.
//
// It caches digests of prefixes, not of entries: one per bucket of some 16 to 64 entries and the
// inner ones above. A change marks its bucket dirty; settling reads the dirty buckets from the
// LeafSource and hashes. The root depends on the entries alone: neither on the tree's shape nor on
// the order of changes. Definition and pictures: docs/merkle.md.
#ifndef SLIPSTREAM_MERKLE_TREE_H_
#define SLIPSTREAM_MERKLE_TREE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/digest.h"
#include "base/key_id.h"
#include "merkle/leaf_source.h"
#include "merkle/proof.h"
#include "merkle/subtree.h"
#include "merkle/tree_shard.h"

namespace slipstream::merkle {

// Thread-safe. `MarkDirty` takes one short lock of its shard and may be called under the source's
// locks; the others read the source and hash, with no lock that MarkDirty needs held meanwhile, and
// must not be called under the source's locks.
class Tree {
 public:
  // `source` must outlive the tree. Everything is clean and empty: mark what exists.
  explicit Tree(const LeafSource* source);
  ~Tree();

  // The entry of `key_id` changed, appeared or went. Called under the lock of the source under
  // which it did, so that none who reads the source sees a change that is not marked.
  void MarkDirty(const base::KeyId& key_id);

  // Re-hashes at most `bucket_count_max` dirty buckets (at least one if any is dirty). Returns
  // whether dirty ones are left. Several threads may share the work: then a shard that one of them
  // is at is left to it, and false does not mean that the others are done.
  bool Settle(size_t bucket_count_max);

  // Where a verification goes on.
  struct VerifyPlace {
    uint8_t shard = 0;
    uint32_t bucket = 0;
  };
  struct Verified {
    VerifyPlace next;  // After the last bucket, the first.
    size_t difference_count = 0;
  };
  // Reads and hashes the clean ones of the next `bucket_count` buckets from `place` on, at most to
  // the end of a shard, and compares them with what is cached. Buckets that differ are counted, and
  // marked dirty: the next settling makes them right. Beside writers it may find none that is not.
  Verified Verify(const VerifyPlace& place, size_t bucket_count);

  // Settles, then returns the digest of all entries. While others write, it is that of a set
  // between the one at the call and the one at the return; it ends after a bounded number of passes
  // even so.
  base::Digest Root();

  // Settles what lies under `prefix`, then returns its digest: zero if there is no live entry, the
  // leaf's if there is one.
  base::Digest DigestOf(const base::KeyPrefix& prefix);

  // Returns a proof of presence or absence of `key_id` and the root that it proves it against, both
  // of one moment: if others write meanwhile, it tries a few times, then ABORTED (reason
  // TREE_BUSY).
  struct RootedProof {
    base::Digest root;
    Proof proof;
  };
  absl::StatusOr<RootedProof> Prove(const base::KeyId& key_id);

  // Returns what is cached for `shard` with the marks of what is dirty, as bytes that Load of the
  // same program version takes. Settles nothing.
  std::string Save(uint8_t shard) const;

  // Puts back what Save returned for `shard`: right if the entries are those of then, or are marked
  // dirty afterwards. DATA_LOSS, changing nothing, if the bytes are not such.
  absl::Status Load(uint8_t shard, absl::string_view saved);

  // Live entries as of the last settling.
  uint64_t leaf_count() const;
  // Memory of the cached digests, all overhead counted.
  uint64_t memory_bytes() const;

 private:
  // Marks made so far in all shards. If two calls return the same, nothing changed between them.
  uint64_t MarkCount() const;
  size_t SettleShards(size_t (TreeShard::*settle)(size_t), size_t bucket_count_max);
  // Returns the subtree of the `count` shards from `first` on: a power of two, aligned.
  Subtree FoldShards(size_t first, size_t count);
  // Returns all subtrees of at most 8 bits. Node 1 is the root; 2i and 2i + 1 are the halves of i.
  std::vector<Subtree> UpperNodes();
  // Returns a proof that holds if nobody writes meanwhile.
  RootedProof ProveOnce(const base::KeyId& key_id);

  const LeafSource* const source_;
  const std::vector<std::unique_ptr<TreeShard>> shards_;
  // Where the next Settle goes on, so that each shard gets its turn.
  std::atomic<size_t> next_shard_ = 0;
};

}  // namespace slipstream::merkle

#endif  // SLIPSTREAM_MERKLE_TREE_H_

// Subtree: the digest of a subtree together with what joining it to its sibling takes, and the
// folder that computes one from sorted leaves in one pass.
//
// A parent's digest depends on whether its children are empty, one leaf or more (docs/merkle.md,
// section 1), which a bare digest does not tell.
#ifndef SLIPSTREAM_MERKLE_SUBTREE_H_
#define SLIPSTREAM_MERKLE_SUBTREE_H_

#include <cstdint>

#include "absl/container/inlined_vector.h"
#include "base/digest.h"
#include "base/key_id.h"

namespace slipstream::merkle {

// How many live entries a subtree has.
enum class SubtreeSize : uint8_t { kEmpty, kOne, kMany };

// The digest of a subtree: zero if empty, a leaf's if it has one entry, a node's otherwise.
struct Subtree {
  base::Digest digest;
  SubtreeSize size = SubtreeSize::kEmpty;
  friend bool operator==(const Subtree&, const Subtree&) = default;
};

// Returns the subtree whose halves are `left` and `right`. Hashes only if it has two or more
// entries.
Subtree Join(const Subtree& left, const Subtree& right);

// Computes the digest of one subtree from its leaves, given in key_id order, without keeping them:
// its memory is what the longest path needs. Not thread-safe.
class SubtreeFolder {
 public:
  // `depth`: how many leading bits all key_ids to come share.
  explicit SubtreeFolder(int depth) : depth_(depth) {}

  // Adds one leaf. `key_id` is greater than every one added before.
  void Add(const base::KeyId& key_id, const base::Digest& leaf);

  // Returns the digest of what was added, and starts anew.
  Subtree Finish();

 private:
  // A finished subtree, the left part of a node at depth `split` whose right part is being added.
  struct Pending {
    Subtree subtree;
    int depth;  // Where `subtree` starts; meaningless for a single leaf.
    int split;
    base::KeyId key_id;  // One of its key_ids: the path along which it is lifted.
  };

  // Joins pending subtrees to the current one while they split below `split`.
  void JoinBelow(int split);

  const int depth_;
  // Splits grow strictly from bottom to top.
  absl::InlinedVector<Pending, 16> pending_;
  // The rightmost subtree; empty before the first leaf.
  Subtree current_;
  int current_depth_ = 0;
  base::KeyId last_;
};

}  // namespace slipstream::merkle

#endif  // SLIPSTREAM_MERKLE_SUBTREE_H_

// LeafSource: where the Merkle tree reads the live entries from, and the loop that reads a range of
// any size from it in bounded pieces.
#ifndef SLIPSTREAM_MERKLE_LEAF_SOURCE_H_
#define SLIPSTREAM_MERKLE_LEAF_SOURCE_H_

#include <vector>

#include "absl/functional/function_ref.h"
#include "base/key_id.h"
#include "merkle/leaf.h"

namespace slipstream::merkle {

// Where the tree reads the live entries from.
class LeafSource {
 public:
  virtual ~LeafSource() = default;
  // Calls `visit` for every live entry in `range`, in key_id order, until it returns false. `visit`
  // is short and does not call back into the source or the tree. Called with no lock held that
  // Tree::MarkDirty needs.
  virtual void VisitLeaves(const base::KeyRange& range,
                           absl::FunctionRef<bool(const Leaf&)> visit) const = 0;
};

// Reads leaves in chunks, so that the source's locks are never held while they are hashed. Not
// thread-safe; `source` must outlive it.
class LeafReader {
 public:
  // The most leaves copied out of one visit.
  static constexpr size_t kChunkLeavesMax = 1024;

  explicit LeafReader(const LeafSource* source) : source_(source) {}

  // Calls `use` for every live entry in `range`, in key_id order, holding no lock of the source. A
  // range of more than a chunk is not read at one moment.
  void ForEach(const base::KeyRange& range, absl::FunctionRef<void(const Leaf&)> use);

 private:
  const LeafSource* const source_;
  std::vector<Leaf> chunk_;
};

// Returns how many live entries `range` has, at the cost of visiting them.
uint64_t CountLeaves(const LeafSource& source, const base::KeyRange& range);

}  // namespace slipstream::merkle

#endif  // SLIPSTREAM_MERKLE_LEAF_SOURCE_H_

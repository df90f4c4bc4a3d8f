// MerkleEntryHasher: the Merkle root of a snapshot's entries, for storage, which knows no tree. By
// docs/merkle.md, as the tree's, so that the two agree. Knows no gRPC: slipctl uses it too.
#ifndef SLIPSTREAM_NODE_MERKLE_ENTRY_HASHER_H_
#define SLIPSTREAM_NODE_MERKLE_ENTRY_HASHER_H_

#include "base/digest.h"
#include "merkle/subtree.h"
#include "storage/entry.h"
#include "storage/snapshot_reader.h"

namespace slipstream::node {

// Not thread-safe. Keeps no entries.
class MerkleEntryHasher final : public storage::EntryHasher {
 public:
  void Add(const storage::Entry& entry) override;
  base::Digest Finish() override;

 private:
  merkle::SubtreeFolder folder_{0};
};

}  // namespace slipstream::node

#endif  // SLIPSTREAM_NODE_MERKLE_ENTRY_HASHER_H_

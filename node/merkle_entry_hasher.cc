#include "node/merkle_entry_hasher.h"

#include "merkle/leaf.h"

namespace slipstream::node {

void MerkleEntryHasher::Add(const storage::Entry& entry) {
  folder_.Add(entry.key_id, merkle::DigestOfLeaf({.key_id = entry.key_id,
                                                  .version = entry.version,
                                                  .expires_at_ms = entry.expires_at_ms,
                                                  .value_digest = entry.value_digest}));
}

base::Digest MerkleEntryHasher::Finish() { return folder_.Finish().digest; }

}  // namespace slipstream::node

// The root and proofs straight from the definition (docs/merkle.md, section 1), with no regard for
// speed: what the tree is checked against. For tests.
#ifndef SLIPSTREAM_MERKLE_TREE_VERIFY_H_
#define SLIPSTREAM_MERKLE_TREE_VERIFY_H_

#include <utility>
#include <vector>

#include "base/digest.h"
#include "base/key_id.h"
#include "merkle/leaf.h"
#include "merkle/proof.h"

namespace slipstream::merkle {

// A key_id and the digest of its leaf.
using KeyedDigest = std::pair<base::KeyId, base::Digest>;

// Returns the digest of the subtree at `depth` that has exactly `leaves`, in any order, which share
// their first `depth` bits.
base::Digest DigestByDefinition(const std::vector<KeyedDigest>& leaves, int depth = 0);

// Returns the digest of those of `leaves` that start with `prefix`.
base::Digest DigestByDefinition(const std::vector<Leaf>& leaves, const base::KeyPrefix& prefix);

// Returns the proof for `key_id` in the set of all `leaves`.
Proof ProofByDefinition(const std::vector<Leaf>& leaves, const base::KeyId& key_id);

}  // namespace slipstream::merkle

#endif  // SLIPSTREAM_MERKLE_TREE_VERIFY_H_

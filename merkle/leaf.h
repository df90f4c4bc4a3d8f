// The Merkle root as mathematics: the digests of a leaf and of an inner node. Nothing else decides
// a root, so any language can recompute one with SHA-256. Definition: docs/merkle.md.
#ifndef SLIPSTREAM_MERKLE_LEAF_H_
#define SLIPSTREAM_MERKLE_LEAF_H_

#include <cstdint>

#include "base/digest.h"
#include "base/key_id.h"
#include "base/version.h"

namespace slipstream::merkle {

// What a leaf commits to: one live entry.
struct Leaf {
  base::KeyId key_id;
  base::Version version;
  uint64_t expires_at_ms = 0;  // Unix milliseconds; 0: never.
  base::ValueDigest value_digest;
  friend bool operator==(const Leaf&, const Leaf&) = default;
};

// SHA-256(0x00 || key_id || hlc || actor || expires_at || value_digest), integers big-endian.
base::Digest DigestOfLeaf(const Leaf& leaf);

// SHA-256(0x01 || left || right). Only for a subtree with two or more entries.
base::Digest DigestOfNode(const base::Digest& left, const base::Digest& right);

}  // namespace slipstream::merkle

#endif  // SLIPSTREAM_MERKLE_LEAF_H_

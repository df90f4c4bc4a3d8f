// Proof: shows, with nothing but a root and SHA-256, that a key is present with a certain version
// and value digest, or that it is absent. Format and verification: docs/merkle.md.
#ifndef SLIPSTREAM_MERKLE_PROOF_H_
#define SLIPSTREAM_MERKLE_PROOF_H_

#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "base/digest.h"
#include "base/key_id.h"
#include "merkle/leaf.h"

namespace slipstream::merkle {

// The way from the root to where the path of a key_id ends.
struct Proof {
  // The digest beside the path at depth 0, 1, ...; zero where the sibling is empty. At most 160.
  std::vector<base::Digest> siblings;
  // The one entry below the end of the path; none if nothing is there. Its key_id is the one asked
  // for (presence) or another that shares siblings.size() leading bits with it (absence).
  std::optional<Leaf> end;
  friend bool operator==(const Proof&, const Proof&) = default;
};

enum class Presence { kPresent, kAbsent };

// Returns what `proof` proves of `key_id` against `root`. DATA_LOSS, saying which step fails, if it
// proves nothing.
absl::StatusOr<Presence> VerifyProof(const Proof& proof, const base::KeyId& key_id,
                                     const base::Digest& root);

}  // namespace slipstream::merkle

#endif  // SLIPSTREAM_MERKLE_PROOF_H_

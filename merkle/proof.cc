#include "merkle/proof.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace slipstream::merkle {

absl::StatusOr<Presence> VerifyProof(const Proof& proof, const base::KeyId& key_id,
                                     const base::Digest& root) {
  const size_t depth = proof.siblings.size();
  if (depth > base::kKeyIdBits) {
    return absl::DataLossError(absl::StrCat("the proof has ", depth, " siblings, more than the ",
                                            base::kKeyIdBits, " bits of a key_id"));
  }
  if (depth != 0 && proof.siblings.back().is_zero()) {
    return absl::DataLossError(absl::StrCat("the proof's last sibling, at depth ", depth - 1,
                                            ", is empty: the path would have ended above it"));
  }
  base::Digest digest;
  if (proof.end.has_value()) {
    const base::KeyPrefix path = base::MakePrefix(key_id, static_cast<int>(depth));
    if (!base::HasPrefix(proof.end->key_id, path)) {
      return absl::DataLossError(absl::StrCat(
          "the entry at the proof's end does not share the first ", depth, " bits of the key_id"));
    }
    digest = DigestOfLeaf(*proof.end);
  } else if (depth == base::kKeyIdBits) {
    // Its last sibling is a single leaf, and beside one the path would have ended above it.
    return absl::DataLossError("the proof ends in nothing at depth 160, where no path does");
  }
  for (size_t i = depth; i-- > 0;) {
    const base::Digest& sibling = proof.siblings[i];
    digest = key_id.bit(static_cast<int>(i)) == 0 ? DigestOfNode(digest, sibling)
                                                  : DigestOfNode(sibling, digest);
  }
  if (digest != root) {
    return absl::DataLossError(absl::StrCat("the proof leads to the root ", base::ToHex(digest),
                                            ", not to ", base::ToHex(root)));
  }
  const bool present = proof.end.has_value() && proof.end->key_id == key_id;
  return present ? Presence::kPresent : Presence::kAbsent;
}

}  // namespace slipstream::merkle

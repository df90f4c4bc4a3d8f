// The file that `slipctl prove` writes and `slipctl verify` reads: a proof with the key that it is
// about, as JSON. Format: docs/merkle.md, "The proof file".
#ifndef SLIPSTREAM_CLI_PROOF_FILE_H_
#define SLIPSTREAM_CLI_PROOF_FILE_H_

#include <cstddef>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/digest.h"
#include "merkle/proof.h"

namespace slipstream::cli {

// No proof is longer: 160 siblings and a key of 4 KiB take some 17 KiB.
inline constexpr size_t kProofFileBytesMax = 64 << 10;

struct ProofFile {
  std::string key;
  base::Digest
      root;  // What the proof was made against; verification takes the root from elsewhere.
  merkle::Presence presence = merkle::Presence::kAbsent;  // As the writer believes.
  merkle::Proof proof;
  friend bool operator==(const ProofFile&, const ProofFile&) = default;
};

// Returns the file's text.
std::string FormatProofFile(const ProofFile& file);

// Parses what FormatProofFile writes. DATA_LOSS, naming the field, if it is anything else.
absl::StatusOr<ProofFile> ParseProofFile(absl::string_view text);

}  // namespace slipstream::cli

#endif  // SLIPSTREAM_CLI_PROOF_FILE_H_

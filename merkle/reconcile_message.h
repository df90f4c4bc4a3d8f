// The messages of a reconciliation session as plain structs, and the checks of their form.
//
// Grammar and meaning: docs/merkle.md, section 4. Their bytes on the wire are the transport's.
#ifndef SLIPSTREAM_MERKLE_RECONCILE_MESSAGE_H_
#define SLIPSTREAM_MERKLE_RECONCILE_MESSAGE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/key_id.h"
#include "base/version.h"

namespace slipstream::merkle {

// A subtree has 2^kChildBits children in a message.
inline constexpr int kChildBits = 4;
inline constexpr int kChildCount = 1 << kChildBits;

// The most items (subtrees and lists) of one request that are sent, and that are handled.
inline constexpr size_t kRequestItemsMax = 4096;

// What reconciliation compares of one entry, live or deleted.
struct EntrySummary {
  base::KeyId key_id;
  base::Version version;
  friend bool operator==(const EntrySummary&, const EntrySummary&) = default;
};

using SessionSalt = std::array<uint8_t, 16>;

// The 16 children, one for each value of the next 4 bits, of the subtree at `prefix`.
struct ChildFingerprints {
  base::KeyPrefix prefix;
  uint16_t present = 0;                // Bit i: child i has a digest other than zero.
  std::vector<uint64_t> fingerprints;  // One for each bit of `present`, lowest first.
};

// All entries under `prefix` of the side that sends it.
struct EntryList {
  base::KeyPrefix prefix;
  std::vector<EntrySummary> entries;  // In key_id order.
};

// What the answering side found under a prefix for which it was sent a list. Complete.
struct ListVerdict {
  base::KeyPrefix prefix;
  std::vector<base::KeyId> wanted;  // It lacks these or has older ones: send it yours. In order.
  std::vector<EntrySummary> newer;  // It has these and you lack them or have older ones. In order.
};

// Items are handled in the order: subtrees, then lists. No two overlap.
struct ReconcileRequest {
  SessionSalt salt = {};
  std::vector<ChildFingerprints> subtrees;
  std::vector<EntryList> lists;
};

struct ReconcileResponse {
  // Items of the request that were handled; those after are to be asked again (the answer was
  // full).
  uint32_t handled_count = 0;
  // Of differing children of the subtrees asked about; and, with the very prefix of a list of the
  // request, in place of a verdict that would fit into no message.
  std::vector<ChildFingerprints> subtrees;
  std::vector<EntryList> lists;       // Of differing children, where few entries are left.
  std::vector<ListVerdict> verdicts;  // Of the lists; none where both sides are equal.
};

// Upper bounds of what items take on the wire, by which senders keep messages below their limit.
size_t BytesOf(const ChildFingerprints& subtree);
size_t BytesOf(const EntryList& list);
size_t BytesOf(const ListVerdict& verdict);

// Returns INVALID_ARGUMENT with reason MESSAGE_INVALID.
absl::Status InvalidMessage(absl::string_view what);

// Return InvalidMessage if the item breaks the grammar by itself: bits set beyond the prefix, a
// length that is no multiple of 4 or too long, a wrong number of fingerprints, entries that are not
// in strict order or not under the prefix.
absl::Status CheckForm(const ChildFingerprints& subtree);
absl::Status CheckForm(const EntryList& list);
absl::Status CheckForm(const ListVerdict& verdict);

// Returns InvalidMessage if a key_id may start with two of `prefixes`.
absl::Status CheckDisjoint(std::vector<base::KeyPrefix> prefixes);

// CheckForm of every item and CheckDisjoint of all.
absl::Status CheckForm(const ReconcileRequest& request);
absl::Status CheckForm(const ReconcileResponse& response);

}  // namespace slipstream::merkle

#endif  // SLIPSTREAM_MERKLE_RECONCILE_MESSAGE_H_

// ReconcileView: one replica as reconciliation sees it, and the two comparisons that both sides
// make: of the 16 children of a subtree, and of two lists of entries.
#ifndef SLIPSTREAM_MERKLE_RECONCILE_VIEW_H_
#define SLIPSTREAM_MERKLE_RECONCILE_VIEW_H_

#include <cstddef>
#include <vector>

#include "base/digest.h"
#include "base/key_id.h"
#include "merkle/reconcile_message.h"

namespace slipstream::merkle {

// One replica's side: digests of live entries, lists of all entries.
class ReconcileView {
 public:
  virtual ~ReconcileView() = default;
  // As Tree::DigestOf.
  virtual base::Digest DigestOf(const base::KeyPrefix& prefix) = 0;
  // Returns the entries in `range`, tombstones and expired ones too, in key_id order, but no more
  // than the first `count_max`.
  virtual std::vector<EntrySummary> ListEntries(const base::KeyRange& range, size_t count_max) = 0;
};

// Returns the fingerprints of the children of `prefix`, which leaves room for kChildBits more bits.
ChildFingerprints FingerprintChildren(ReconcileView& view, const SessionSalt& salt,
                                      const base::KeyPrefix& prefix);

// Returns the children in which two subtrees of the same prefix differ, in order.
std::vector<base::KeyPrefix> DifferingChildren(const ChildFingerprints& mine,
                                               const ChildFingerprints& theirs);

// What one of two lists has newer than the other, or alone.
struct EntryDifferences {
  std::vector<EntrySummary> mine_newer;
  std::vector<EntrySummary> theirs_newer;
};

// Compares two lists in key_id order. Equal versions are one entry: no version is given twice.
EntryDifferences CompareEntries(const std::vector<EntrySummary>& mine,
                                const std::vector<EntrySummary>& theirs);

}  // namespace slipstream::merkle

#endif  // SLIPSTREAM_MERKLE_RECONCILE_VIEW_H_

// FakeReplica: a replica of a key-value store in a std::map, for tests of the tree and of
// reconciliation. It keeps what the storage engine would: entries, tombstones and a tree over the
// live ones, marked under the lock under which they change.
#ifndef SLIPSTREAM_MERKLE_TESTING_FAKE_REPLICA_H_
#define SLIPSTREAM_MERKLE_TESTING_FAKE_REPLICA_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/synchronization/mutex.h"
#include "base/digest.h"
#include "base/key_id.h"
#include "base/random.h"
#include "base/version.h"
#include "merkle/leaf.h"
#include "merkle/leaf_source.h"
#include "merkle/reconcile_message.h"
#include "merkle/reconcile_view.h"
#include "merkle/tree.h"

namespace slipstream::merkle::testing {

// The current record of a key.
struct FakeRecord {
  base::Version version;
  bool tombstone = false;
  uint64_t expires_at_ms = 0;
  base::ValueDigest value_digest;
  friend bool operator==(const FakeRecord&, const FakeRecord&) = default;
};

// Thread-safe.
class FakeReplica : public LeafSource, public ReconcileView {
 public:
  FakeReplica() : tree_(this) {}

  // Makes `record` the current one of `key_id`, whatever was there.
  void Set(const base::KeyId& key_id, const FakeRecord& record) ABSL_LOCKS_EXCLUDED(mutex_);
  // Makes `record` the current one of `key_id` if it is newer. Returns whether it did.
  bool Apply(const base::KeyId& key_id, const FakeRecord& record) ABSL_LOCKS_EXCLUDED(mutex_);
  // Forgets the entry, live or tombstone.
  void Erase(const base::KeyId& key_id) ABSL_LOCKS_EXCLUDED(mutex_);

  std::optional<FakeRecord> Find(const base::KeyId& key_id) const ABSL_LOCKS_EXCLUDED(mutex_);
  std::vector<Leaf> Leaves() const ABSL_LOCKS_EXCLUDED(mutex_);
  std::map<base::KeyId, FakeRecord> Records() const ABSL_LOCKS_EXCLUDED(mutex_);
  Tree& tree() { return tree_; }

  // LeafSource:
  void VisitLeaves(const base::KeyRange& range,
                   absl::FunctionRef<bool(const Leaf&)> visit) const override
      ABSL_LOCKS_EXCLUDED(mutex_);

  // ReconcileView:
  base::Digest DigestOf(const base::KeyPrefix& prefix) override { return tree_.DigestOf(prefix); }
  std::vector<EntrySummary> ListEntries(const base::KeyRange& range, size_t count_max) override
      ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  mutable absl::Mutex mutex_;
  std::map<base::KeyId, FakeRecord> records_ ABSL_GUARDED_BY(mutex_);
  Tree tree_;
};

// Returns uniform bits.
base::KeyId RandomKeyId(base::Random& rng);

// Returns a live record whose version has the HLC `hlc`, with random contents.
FakeRecord RandomRecord(base::Random& rng, base::Hlc hlc);

}  // namespace slipstream::merkle::testing

#endif  // SLIPSTREAM_MERKLE_TESTING_FAKE_REPLICA_H_

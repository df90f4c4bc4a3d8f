// ReplicaStore: the storage engine and the Merkle tree over it as one thing.
//
// The engine tells the tree which keys changed; the tree and reconciliation read the engine's
// entries: live ones are in the tree, tombstones only in lists, damaged ones in neither.
#ifndef SLIPSTREAM_NODE_REPLICA_STORE_H_
#define SLIPSTREAM_NODE_REPLICA_STORE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/digest.h"
#include "base/key_id.h"
#include "base/random.h"
#include "base/version.h"
#include "merkle/leaf.h"
#include "merkle/leaf_source.h"
#include "merkle/reconcile.h"
#include "merkle/tree.h"
#include "node/peer_messages.h"
#include "storage/change_observer.h"
#include "storage/engine.h"
#include "storage/entry.h"
#include "storage/file_system.h"
#include "storage/options.h"

namespace slipstream::node {

// Thread-safe.
class ReplicaStore final : public storage::ChangeObserver,
                           public merkle::LeafSource,
                           public merkle::ReconcileView {
 public:
  // Opens the engine in `directory` and marks the tree dirty with all it holds. `fs` must outlive
  // the store; `rng` is called here only. Errors as Engine::Open.
  static absl::StatusOr<std::unique_ptr<ReplicaStore>> Open(storage::FileSystem* fs,
                                                            absl::string_view directory,
                                                            const storage::Options& options,
                                                            base::Random* rng);

  storage::Engine& engine() { return *engine_; }
  merkle::Tree& tree() { return tree_; }

  // This node now, under `name`. Settles the tree.
  NodeSummary Summary(absl::string_view name);

  // What has been read up to now may be lost in a crash until durable_lsn() has reached this; 0:
  // nothing may, or the sync policy makes no such promise. Never reached once the engine has
  // failed: it may have been read in part.
  storage::Lsn ExposedLsn() const;

  // `lsn`, or 0 if the sync policy promises nothing.
  storage::Lsn ReleaseLsn(storage::Lsn lsn) const;

  // The version of the entry of `key_id`; zero if it has none.
  base::Version VersionOf(const base::KeyId& key_id);

  // storage::ChangeObserver, merkle::LeafSource, merkle::ReconcileView.
  void OnChange(const base::KeyId& key_id) override;
  std::string Save(uint8_t shard) override;
  bool Load(uint8_t shard, absl::string_view saved) override;
  uint64_t memory_bytes() const override;
  void VisitLeaves(const base::KeyRange& range,
                   absl::FunctionRef<bool(const merkle::Leaf&)> visit) const override;
  base::Digest DigestOf(const base::KeyPrefix& prefix) override;
  std::vector<merkle::EntrySummary> ListEntries(const base::KeyRange& range,
                                                size_t count_max) override;

 private:
  ReplicaStore(storage::SyncPolicy sync, base::Random* rng);

  void Visit(const base::KeyRange& range,
             absl::FunctionRef<bool(const storage::Entry&)> visit) const;

  const storage::SyncPolicy sync_;
  base::Random engine_rng_;  // The engine's own: it is called from threads that flush.
  merkle::Tree tree_;        // Hears from the engine, so it is there before and after it.
  std::unique_ptr<storage::Engine> engine_;
};

}  // namespace slipstream::node

#endif  // SLIPSTREAM_NODE_REPLICA_STORE_H_

#include "node/replica_store.h"

#include "base/status_macros.h"

namespace slipstream::node {
ReplicaStore::ReplicaStore(storage::SyncPolicy sync, base::Random* rng)
    : sync_(sync), engine_rng_(rng->Fork()), tree_(this) {}

absl::StatusOr<std::unique_ptr<ReplicaStore>> ReplicaStore::Open(storage::FileSystem* fs,
                                                                 absl::string_view directory,
                                                                 const storage::Options& options,
                                                                 base::Random* rng) {
  std::unique_ptr<ReplicaStore> store(new ReplicaStore(options.sync, rng));
  SLIP_ASSIGN_OR_RETURN(store->engine_, storage::Engine::Open(fs, directory, options,
                                                              &store->engine_rng_, store.get()));
  return store;
}

NodeSummary ReplicaStore::Summary(absl::string_view name) {
  NodeSummary summary;
  summary.node_id = engine_->node_id();
  summary.actor = engine_->actor();
  summary.name = std::string(name);
  summary.root = tree_.Root();
  summary.key_count = tree_.leaf_count();
  summary.hlc = engine_->last_hlc();
  return summary;
}

storage::Lsn ReplicaStore::ExposedLsn() const {
  if (!engine_->status().ok()) return storage::kNeverDurable;
  const storage::Lsn appended = engine_->appended_lsn();
  return appended > engine_->durable_lsn() ? ReleaseLsn(appended) : 0;
}

storage::Lsn ReplicaStore::ReleaseLsn(storage::Lsn lsn) const {
  return sync_ == storage::SyncPolicy::kAlways ? lsn : 0;
}

base::Version ReplicaStore::VersionOf(const base::KeyId& key_id) {
  base::Version version;
  Visit({.first = key_id, .last = key_id}, [&version](const storage::Entry& entry) {
    version = entry.version;
    return false;
  });
  return version;
}

void ReplicaStore::OnChange(const base::KeyId& key_id) { tree_.MarkDirty(key_id); }

void ReplicaStore::VisitLeaves(const base::KeyRange& range,
                               absl::FunctionRef<bool(const merkle::Leaf&)> visit) const {
  // Expired entries stay: the floor, before which they would leave the tree, is 0 for now.
  Visit(range, [&visit](const storage::Entry& entry) {
    if (entry.tombstone) return true;
    return visit({.key_id = entry.key_id,
                  .version = entry.version,
                  .expires_at_ms = entry.expires_at_ms,
                  .value_digest = entry.value_digest});
  });
}

std::string ReplicaStore::Save(uint8_t shard) { return tree_.Save(shard); }

bool ReplicaStore::Load(uint8_t shard, absl::string_view saved) {
  return tree_.Load(shard, saved).ok();
}

uint64_t ReplicaStore::memory_bytes() const { return tree_.memory_bytes(); }

void ReplicaStore::Visit(const base::KeyRange& range,
                         absl::FunctionRef<bool(const storage::Entry&)> visit) const {
  // An error stops the engine: then ExposedLsn keeps what was seen in part from leaving the node.
  engine_->VisitEntries(range, visit).IgnoreError();
}

base::Digest ReplicaStore::DigestOf(const base::KeyPrefix& prefix) {
  return tree_.DigestOf(prefix);
}

std::vector<merkle::EntrySummary> ReplicaStore::ListEntries(const base::KeyRange& range,
                                                            size_t count_max) {
  std::vector<merkle::EntrySummary> entries;
  if (count_max == 0) return entries;
  Visit(range, [&entries, count_max](const storage::Entry& entry) {
    entries.push_back({.key_id = entry.key_id, .version = entry.version});
    return entries.size() < count_max;
  });
  return entries;
}

}  // namespace slipstream::node

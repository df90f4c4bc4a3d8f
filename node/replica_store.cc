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
  const storage::Lsn appended = engine_->appended_lsn();
  return appended > engine_->durable_lsn() ? ReleaseLsn(appended) : 0;
}

storage::Lsn ReplicaStore::ReleaseLsn(storage::Lsn lsn) const {
  return sync_ == storage::SyncPolicy::kAlways ? lsn : 0;
}

base::Version ReplicaStore::VersionOf(const base::KeyId& key_id) {
  base::Version version;
  engine_->VisitEntries({.first = key_id, .last = key_id}, [&version](const storage::Entry& entry) {
    version = entry.version;
    return false;
  });
  return version;
}

void ReplicaStore::OnChange(const base::KeyId& key_id) { tree_.MarkDirty(key_id); }

void ReplicaStore::VisitLeaves(const base::KeyRange& range,
                               absl::FunctionRef<bool(const merkle::Leaf&)> visit) const {
  // Expired entries stay: the floor, before which they would leave the tree, is 0 for now.
  engine_->VisitEntries(range, [&visit](const storage::Entry& entry) {
    if (entry.tombstone) return true;
    return visit({.key_id = entry.key_id,
                  .version = entry.version,
                  .expires_at_ms = entry.expires_at_ms,
                  .value_digest = entry.value_digest});
  });
}

base::Digest ReplicaStore::DigestOf(const base::KeyPrefix& prefix) {
  return tree_.DigestOf(prefix);
}

std::vector<merkle::EntrySummary> ReplicaStore::ListEntries(const base::KeyRange& range,
                                                            size_t count_max) {
  std::vector<merkle::EntrySummary> entries;
  if (count_max == 0) return entries;
  engine_->VisitEntries(range, [&entries, count_max](const storage::Entry& entry) {
    entries.push_back({.key_id = entry.key_id, .version = entry.version});
    return entries.size() < count_max;
  });
  return entries;
}

}  // namespace slipstream::node

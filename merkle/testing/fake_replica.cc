#include "merkle/testing/fake_replica.h"

namespace slipstream::merkle::testing {

void FakeReplica::Set(const base::KeyId& key_id, const FakeRecord& record) {
  absl::MutexLock lock(&mutex_);
  records_[key_id] = record;
  tree_.MarkDirty(key_id);
}

bool FakeReplica::Apply(const base::KeyId& key_id, const FakeRecord& record) {
  absl::MutexLock lock(&mutex_);
  const auto found = records_.find(key_id);
  if (found != records_.end() && !(found->second.version < record.version)) return false;
  records_[key_id] = record;
  tree_.MarkDirty(key_id);
  return true;
}

void FakeReplica::Erase(const base::KeyId& key_id) {
  absl::MutexLock lock(&mutex_);
  records_.erase(key_id);
  tree_.MarkDirty(key_id);
}

std::optional<FakeRecord> FakeReplica::Find(const base::KeyId& key_id) const {
  absl::MutexLock lock(&mutex_);
  const auto found = records_.find(key_id);
  if (found == records_.end()) return std::nullopt;
  return found->second;
}

std::vector<Leaf> FakeReplica::Leaves() const {
  std::vector<Leaf> leaves;
  VisitLeaves(base::RangeOf(base::KeyPrefix{}), [&leaves](const Leaf& leaf) {
    leaves.push_back(leaf);
    return true;
  });
  return leaves;
}

std::map<base::KeyId, FakeRecord> FakeReplica::Records() const {
  absl::MutexLock lock(&mutex_);
  return records_;
}

void FakeReplica::VisitLeaves(const base::KeyRange& range,
                              absl::FunctionRef<bool(const Leaf&)> visit) const {
  absl::MutexLock lock(&mutex_);
  for (auto next = records_.lower_bound(range.first);
       next != records_.end() && next->first <= range.last; ++next) {
    const FakeRecord& record = next->second;
    if (record.tombstone) continue;
    const Leaf leaf{.key_id = next->first,
                    .version = record.version,
                    .expires_at_ms = record.expires_at_ms,
                    .value_digest = record.value_digest};
    if (!visit(leaf)) return;
  }
}

std::vector<EntrySummary> FakeReplica::ListEntries(const base::KeyRange& range, size_t count_max) {
  absl::MutexLock lock(&mutex_);
  std::vector<EntrySummary> entries;
  for (auto next = records_.lower_bound(range.first);
       next != records_.end() && next->first <= range.last && entries.size() < count_max; ++next) {
    entries.push_back({.key_id = next->first, .version = next->second.version});
  }
  return entries;
}

base::KeyId RandomKeyId(base::Random& rng) {
  base::KeyId key_id;
  for (uint8_t& byte : key_id.bytes) byte = static_cast<uint8_t>(rng.Next() >> 56);
  return key_id;
}

FakeRecord RandomRecord(base::Random& rng, base::Hlc hlc) {
  FakeRecord record{.version = {.hlc = hlc, .actor = base::ActorId{rng.Next()}},
                    .tombstone = false,
                    .expires_at_ms = rng.OneIn(4) ? rng.Next() : 0,
                    .value_digest = {}};
  for (uint8_t& byte : record.value_digest.bytes) byte = static_cast<uint8_t>(rng.Next() >> 56);
  return record;
}

}  // namespace slipstream::merkle::testing

#include "node/push_queue.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/check.h"
#include "node/record_check.h"

namespace slipstream::node {
namespace {

size_t GroupBytes(const std::vector<storage::Record>& group) {
  size_t bytes = 0;
  for (const storage::Record& record : group) bytes += MessageBytes(record);
  return bytes;
}

}  // namespace

PushBatch MakePushBatch(absl::Span<const storage::Mutation> mutations, storage::Atomicity atomicity,
                        const storage::WriteResult& result, storage::Lsn release_lsn) {
  SLIP_CHECK(result.versions.size() == mutations.size());
  SLIP_CHECK(result.sequences.size() == mutations.size());
  PushBatch batch{.release_lsn = release_lsn};
  for (size_t index = 0; index < mutations.size(); ++index) {
    const storage::Mutation& mutation = mutations[index];
    if (batch.groups.empty() || atomicity == storage::Atomicity::kEach) {
      batch.groups.emplace_back();
    }
    batch.groups.back().push_back({.key = std::string(mutation.key),
                                   .value = std::string(mutation.value),
                                   .version = result.versions[index],
                                   .sequence = result.sequences[index],
                                   .expires_at_ms = mutation.expires_at_ms,
                                   .tombstone = mutation.kind == storage::Mutation::Kind::kDelete});
    batch.bytes += MessageBytes(batch.groups.back().back());
  }
  return batch;
}

void PushQueue::Open() { is_open_.store(true, std::memory_order_relaxed); }

uint64_t PushQueue::Close() {
  absl::MutexLock lock(&mutex_);
  is_open_.store(false, std::memory_order_relaxed);
  uint64_t record_count = 0;
  for (const auto& batch : batches_) {
    for (size_t index = group_index_; index < batch->groups.size(); ++index) {
      if (FitsMessage(batch->groups[index])) record_count += batch->groups[index].size();
    }
    group_index_ = 0;
  }
  batches_.clear();
  bytes_ = 0;
  return record_count;
}

uint64_t PushQueue::Add(const std::shared_ptr<const PushBatch>& batch) {
  absl::MutexLock lock(&mutex_);
  if (!is_open()) return 0;
  const bool is_full = bytes_ + batch->bytes > queue_bytes_max_;
  uint64_t given_up = 0;
  for (const auto& group : batch->groups) {
    if (is_full || !FitsMessage(group)) given_up += group.size();
  }
  if (!is_full) {
    batches_.push_back(batch);
    bytes_ += batch->bytes;
  }
  return given_up;
}

absl::optional<PushLoad> PushQueue::Take() {
  absl::MutexLock lock(&mutex_);
  PushLoad load;
  size_t load_bytes = 0;
  while (!batches_.empty()) {
    const PushBatch& batch = *batches_.front();
    for (; group_index_ < batch.groups.size(); ++group_index_) {
      const std::vector<storage::Record>& group = batch.groups[group_index_];
      if (!FitsMessage(group)) continue;  // Counted as given up when it was added.
      const size_t bytes = GroupBytes(group);
      if (load_bytes > 0 && load_bytes + bytes > message_bytes_max_) return load;
      load_bytes += bytes;
      load.request.groups.push_back(group);
      load.record_count += group.size();
      load.release_lsn = std::max(load.release_lsn, batch.release_lsn);
    }
    bytes_ -= batch.bytes;
    batches_.pop_front();
    group_index_ = 0;
  }
  if (load_bytes == 0) return absl::nullopt;
  return load;
}

bool PushQueue::FitsMessage(const std::vector<storage::Record>& group) const {
  return group.size() == 1 || GroupBytes(group) <= message_bytes_max_;
}

}  // namespace slipstream::node

// The background work of Engine::Impl on memory: checkpoints, merges, eviction, warm-up.
//
// Each step is bounded and taken under maintain_mutex_, by the owner's thread in Maintain, and by
// writers themselves where they have filled memory faster than that thread could empty it.
// What else is done in the background: engine_maintain.cc.

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "base/status_macros.h"
#include "storage/engine_impl.h"
#include "storage/memory_budget.h"
#include "storage/run_writer.h"

namespace slipstream::storage {
namespace {

// What a step of a checkpoint or a merge reads or writes.
constexpr size_t kBytesPerStep = 256 << 10;
// Buckets that a step of the eviction sweeps in each shard, and shards.
constexpr size_t kBucketsPerSweep = 16;
constexpr int kShardsPerSweep = 32;
// Beyond the budget by this part of it and so many bytes, writers help before they go on.
constexpr uint64_t kHardDivisor = 20;
constexpr uint64_t kHardBytes = 16 << 10;
// What an entry takes in memory, about.
constexpr uint64_t kBytesPerEntry = 71;
// Checkpoints between two tries to merge on a full disk.
constexpr uint64_t kCheckpointsPerMergeTry = 4;
// A clean end is worth a checkpoint if this part of checkpoint_bytes would be read again.
constexpr uint64_t kCloseDivisor = 16;

}  // namespace

// Takes one step of what concerns memory, if there is one to take; returns whether there is more to
// do.
absl::StatusOr<bool> Engine::Impl::MaintainMemory() {
  UpdateHotBudget();
  // First, and beside a checkpoint or a merge too: what is clean leaves at once.
  const KeyDirStats stats = keydir_.stats();
  const bool may_evict_more = EvictSome(stats);
  if (!checkpointer_->idle()) return StepCheckpointer();
  std::vector<uint64_t> run_bytes;
  for (const auto& run : sorted_log_.view().runs->runs()) run_bytes.push_back(run->file_bytes());
  // A merge saves reads and memory, but keeps compaction off for all its time.
  const bool can_wait = compaction_is_late_ && run_bytes.size() < kRunsTooMany;
  const bool may_merge =
      !can_wait && checkpointer_->checkpoint_count() >= sweeps_.next_merge_checkpoint;
  if (const size_t run_count = RunsToMerge(run_bytes); run_count != 0 && may_merge) {
    return StartMerge(run_count);
  }
  if (CheckpointIsDue(stats) && run_bytes.size() < kRunsMax) {
    checkpointer_->StartCheckpoint();
    return true;
  }
  if (may_evict_more) return true;
  if (!stats.complete) {
    SLIP_ASSIGN_OR_RETURN(const bool more, WarmUp());
    if (more) return true;
  }
  // Nothing else to do: settle what blind writes to cold keys left dead.
  if (const size_t run_count = RunsToMergeWhenIdle(run_bytes); run_count != 0 && may_merge) {
    return StartMerge(run_count);
  }
  return false;
}

absl::StatusOr<bool> Engine::Impl::StartMerge(size_t run_count) {
  SLIP_RETURN_IF_ERROR(JudgeDerived(checkpointer_->StartMerge(run_count)));
  return true;
}

absl::StatusOr<bool> Engine::Impl::StepCheckpointer() {
  const bool merges = checkpointer_->is_merging();
  const absl::StatusOr<bool> more = checkpointer_->Step(
      kBytesPerStep,
      {.actor = identity_.actor, .last_hlc = clock_.last(), .last_tx_id = last_tx_id_.load()});
  // A merge needs as much space as its runs take: on a full disk checkpoints come first.
  if (merges && absl::IsResourceExhausted(more.status())) {
    sweeps_.next_merge_checkpoint = checkpointer_->checkpoint_count() + kCheckpointsPerMergeTry;
  }
  SLIP_RETURN_IF_ERROR(JudgeDerived(more.status()));
  return true;
}

// Returns `status` if it can be tried again; stops the engine over any other error.
absl::Status Engine::Impl::JudgeDerived(const absl::Status& status) {
  if (status.ok() || absl::IsResourceExhausted(status)) return status;
  return StopOver(status);
}

// Works out what the KeyDir may take of the one limit.
void Engine::Impl::UpdateHotBudget() {
  if (options_.memory_limit_bytes == 0) return;
  // What a checkpoint takes when it starts stays free until then.
  const uint64_t checkpoint_bytes =
      std::max<uint64_t>(checkpointer_->memory_bytes(), kRunWriterBytesMin);
  const uint64_t others = sizeof(KeyDir) + options_.value_cache_bytes +
                          2 * options_.unflushed_bytes_max +
                          sorted_log_.view().runs->memory_bytes() + checkpoint_bytes +
                          (observer_ == nullptr ? 0 : observer_->memory_bytes());
  hot_.bytes_max.store(HotBudgetBytes(options_.memory_limit_bytes, others),
                       std::memory_order_relaxed);
}

uint64_t Engine::Impl::ReplayBytes() const {
  const Location from = checkpointer_->replay_position();
  const Location to = log_->append_position();
  if (to <= from) return 0;
  return (to.segment_number - from.segment_number) * options_.segment_bytes + to.offset -
         from.offset;
}

uint64_t Engine::Impl::CheckpointDebtBytes() const {
  const uint64_t bytes_max = 2 * options_.checkpoint_bytes;
  return std::max(ReplayBytes(), bytes_max) - bytes_max;
}

bool Engine::Impl::CheckpointIsDue(const KeyDirStats& stats) const {
  if (ReplayBytes() >= options_.checkpoint_bytes) return true;
  // What fills memory can be evicted only after one.
  const uint64_t budget = hot_.bytes_max.load(std::memory_order_relaxed);
  const uint64_t entry_count = stats.live_count + stats.tombstone_count + stats.damaged_count;
  return stats.dirty_count != 0 && hot_.now() > budget / 4 * 3 &&
         2 * stats.dirty_count >= entry_count;
}

// Evicts what was not used lately if the KeyDir is beyond its budget; returns whether another sweep
// may find more.
bool Engine::Impl::EvictSome(const KeyDirStats& stats) {
  const uint64_t budget = hot_.bytes_max.load(std::memory_order_relaxed);
  const uint64_t entry_count = stats.live_count + stats.tombstone_count;
  if (hot_.now() <= budget || entry_count <= stats.dirty_count) return false;
  for (int i = 0; i < kShardsPerSweep && hot_.now() > budget; ++i) {
    const uint8_t index = sweeps_.next_evicted_shard++;
    KeyDir::Exclusive locked(&keydir_, StripeOf(index));
    KeyDir::Shard& shard = locked.shard(index);
    const uint64_t bytes_before = shard.table.bytes();
    const size_t evicted_count = shard.table.Evict(kBucketsPerSweep);
    if (evicted_count == 0) continue;
    shard.complete = false;
    hot_.evicted_count.fetch_add(evicted_count, std::memory_order_relaxed);
    hot_.bytes.fetch_sub(bytes_before - shard.table.bytes(), std::memory_order_relaxed);
  }
  return hot_.now() > budget;
}

// Brings all of one shard into memory if there is room; returns whether there may be more to do.
absl::StatusOr<bool> Engine::Impl::WarmUp() {
  const SortedLog::View view = sorted_log_.view();
  const uint64_t budget = hot_.bytes_max.load(std::memory_order_relaxed);
  // Twice the mean and a few: what comes in must not have to leave at once.
  const uint64_t entry_count = 2 * view.runs->entry_count() / base::kShardCount + 16;
  if (hot_.now() + entry_count * kBytesPerEntry > budget / 5 * 4) return false;
  for (int turn = 0; turn < base::kShardCount; ++turn) {
    const uint8_t index = sweeps_.next_warmed_shard;
    const bool complete = [&] {
      KeyDir::Exclusive locked(&keydir_, StripeOf(index));
      return locked.shard(index).complete;
    }();
    if (!complete) return WarmUpShard(index, view);
    ++sweeps_.next_warmed_shard;
  }
  return false;
}

absl::StatusOr<bool> Engine::Impl::WarmUpShard(uint8_t index, const SortedLog::View& view) {
  std::vector<LocatedEntry> cold;
  const absl::StatusOr<bool> visited =
      view.runs->VisitRange(RangeOfShard(index), [&cold](const RunEntry& entry) {
        cold.push_back(entry.located);
        return true;
      });
  if (!visited.ok()) return StopOver(visited.status());
  KeyDir::Exclusive locked(&keydir_, StripeOf(index));
  KeyDir::Shard& shard = locked.shard(index);
  for (const LocatedEntry& located : cold) {
    if (shard.table.Find(located.entry.key_id).has_value()) continue;
    SLIP_RETURN_IF_ERROR(InsertClean(located, shard));
  }
  shard.complete = true;
  return true;
}

// Holds a writer back while the KeyDir is far beyond its budget.
absl::Status Engine::Impl::MakeMemory() {
  if (options_.memory_limit_bytes == 0) return absl::OkStatus();
  while (IsFarBeyondMax(hot_)) {
    absl::MutexLock lock(&maintain_mutex_);
    const absl::StatusOr<bool> more = MaintainMemory();
    // Whether a full disk takes this write is for the log to say.
    if (absl::IsResourceExhausted(more.status())) break;
    SLIP_RETURN_IF_ERROR(more.status());
    if (!*more) break;
  }
  return absl::OkStatus();
}

bool IsFarBeyondMax(const HotMemory& hot) {
  const uint64_t budget = hot.bytes_max.load(std::memory_order_relaxed);
  if (budget == std::numeric_limits<uint64_t>::max()) return false;
  return hot.now() > budget + budget / kHardDivisor + kHardBytes;
}

// Before a clean end: leaves little for the next start to read.
absl::Status Engine::Impl::CheckpointAtEnd() {
  absl::MutexLock lock(&maintain_mutex_);
  absl::Status status = log_->status();
  // It may have far to go, and nothing is lost with it.
  if (checkpointer_->is_merging()) checkpointer_->Abandon();
  while (status.ok() && !checkpointer_->idle()) status = StepCheckpointer().status();
  if (status.ok() && ReplayBytes() > options_.checkpoint_bytes / kCloseDivisor &&
      sorted_log_.view().runs->runs().size() < kRunsMax) {
    checkpointer_->StartCheckpoint();
    while (status.ok() && !checkpointer_->idle()) status = StepCheckpointer().status();
  }
  // A full disk costs the next start time, and nothing else.
  return absl::IsResourceExhausted(status) ? absl::OkStatus() : status;
}

}  // namespace slipstream::storage

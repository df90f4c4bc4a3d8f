// The background work of Engine::Impl: which job takes the next step, and who takes it.
//
// The owner's thread does, in Maintain. It may get little of the machine while writers keep all
// cores busy; beyond a bound each of them takes a part of its work upon itself, in proportion to
// what it writes, so that dead records and the log behind the checkpoint do not grow without end.

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "storage/engine_impl.h"

namespace slipstream::storage {
namespace {

// Writers help while more than this part of the log is dead beyond what compaction allows.
constexpr double kLateCompaction = 0.4;
// Times compaction_step_bytes that writers put for each step they take. With victims of which half
// is dead, that is enough for compaction to free what they fill.
constexpr uint64_t kWrittenPerStep = 2;

}  // namespace

absl::StatusOr<bool> Engine::Impl::Maintain() {
  absl::MutexLock lock(&maintain_mutex_);
  UpdateLateness();
  // On a full disk compaction comes first: each try to prepare a segment writes until it fails.
  absl::StatusOr<bool> prepared = false;
  if (!log_->is_out_of_space()) {
    prepared = log_->Maintain();
    if (!prepared.ok() ? !absl::IsResourceExhausted(prepared.status()) : *prepared) return prepared;
  }
  const absl::StatusOr<bool> stepped = TakeStep();
  if (!stepped.ok() ? !absl::IsResourceExhausted(stepped.status()) : *stepped) return stepped;
  // Nothing went on; if it was for lack of space, say so.
  if (log_->is_out_of_space()) prepared = log_->Maintain();
  return prepared.ok() ? stepped : prepared;
}

// Takes a step of the job whose turn it is; returns whether there is more to do.
absl::StatusOr<bool> Engine::Impl::TakeStep() {
  // One job at a time, of those that read the runs in force and change them.
  absl::StatusOr<bool> more = false;
  const bool waits_for_compactor =
      checkpointer_->idle() && compactor_->is_busy() && !compaction_is_paused_;
  if (waits_for_compactor && !IsFarBeyondBudget()) {
    UpdateHotBudget();
    more = EvictSome(keydir_.stats());
  } else {
    more = MaintainMemory();
  }
  if (!more.ok() && !absl::IsResourceExhausted(more.status())) return more;
  absl::StatusOr<bool> compacted = false;
  const bool may_compact = !compaction_is_paused_ || log_->is_out_of_space();
  if (checkpointer_->idle() && may_compact) compacted = compactor_->Step();
  if (!compacted.ok() && !absl::IsResourceExhausted(compacted.status())) return compacted;
  if ((more.ok() && *more) || (compacted.ok() && *compacted)) return true;
  return more.ok() ? compacted : more;
}

void Engine::Impl::UpdateLateness() {
  const auto late_bytes =
      static_cast<uint64_t>(kLateCompaction * static_cast<double>(log_->stats().log_bytes));
  const bool compaction_is_late =
      !compaction_is_paused_ && compactor_->stats().debt_bytes > late_bytes;
  is_late_.store(compaction_is_late || CheckpointDebtBytes() != 0, std::memory_order_relaxed);
}

// Makes a writer of `bytes` take its part of the background work if that is late.
void Engine::Impl::HelpIfLate(uint64_t bytes) {
  if (!is_late_.load(std::memory_order_relaxed)) return;
  const uint64_t bytes_per_step = kWrittenPerStep * options_.compaction_step_bytes;
  uint64_t unhelped = unhelped_bytes_.fetch_add(bytes, std::memory_order_relaxed) + bytes;
  while (unhelped >= bytes_per_step) {
    if (!unhelped_bytes_.compare_exchange_weak(unhelped, unhelped - bytes_per_step,
                                               std::memory_order_relaxed)) {
      continue;
    }
    unhelped -= bytes_per_step;
    absl::MutexLock lock(&maintain_mutex_);
    // An error that lasts is the log's as well, which the write finds. Any other is Maintain's to
    // report: it takes the same step again.
    TakeStep().IgnoreError();
    UpdateLateness();
  }
}

}  // namespace slipstream::storage

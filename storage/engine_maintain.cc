// The background work of Engine::Impl: which job takes the next step, and who takes it.
//
// The owner's thread does, in Maintain. It may get little of the machine while writers keep all
// cores busy; beyond a bound each of them takes a part of its work upon itself, in proportion to
// what it writes, so that dead records and the log behind the checkpoint do not grow without end.

#include <algorithm>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "storage/engine_impl.h"

namespace slipstream::storage {
namespace {

// Writers help while more than this part of the log is dead beyond what compaction allows, the more
// the greater that part: from a step, which frees up to four times compaction_step_bytes, for each
// eight times that they write down to one for each.
constexpr double kLateShare = 0.4;
constexpr double kLatestShare = 0.7;
constexpr double kWrittenPerStepMax = 8;
// While a checkpoint is late, a step for each two times.
constexpr double kWrittenPerStepOfCheckpoint = 2;

// Returns how many times compaction_step_bytes a writer puts for each step that it takes, if
// `debt_share` of the log is to be freed; 0: it takes none.
double WrittenPerStep(double debt_share) {
  if (debt_share <= kLateShare) return 0;
  const double lateness = std::min(1.0, (debt_share - kLateShare) / (kLatestShare - kLateShare));
  return kWrittenPerStepMax - lateness * (kWrittenPerStepMax - 1);
}

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
  if (const uint64_t appended = log_->stats().appended_bytes; appended != rest_.appended_bytes) {
    rest_ = {.call_count = 0, .appended_bytes = appended};
  }
  const absl::StatusOr<bool> stepped = TakeStep();
  if (stepped.ok() && !*stepped) ++rest_.call_count;
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
  if (waits_for_compactor && !IsFarBeyondMax(hot_)) {
    UpdateHotBudget();
    more = EvictSome(keydir_.stats());
  } else {
    more = MaintainMemory();
  }
  if (!more.ok() && !absl::IsResourceExhausted(more.status())) return more;
  absl::StatusOr<bool> compacted = false;
  const bool may_compact = !compaction_is_paused_ || log_->is_out_of_space();
  if (checkpointer_->idle() && may_compact) {
    compacted = compactor_->Step(rest_.call_count >= kRestCalls ? Compactor::Effort::kAtRest
                                                                : Compactor::Effort::kBusy);
  }
  if (!compacted.ok() && !absl::IsResourceExhausted(compacted.status())) return compacted;
  if ((more.ok() && *more) || (compacted.ok() && *compacted)) return true;
  return more.ok() ? compacted : more;
}

void Engine::Impl::UpdateLateness() {
  const auto debt_bytes = static_cast<double>(compactor_->stats().debt_bytes);
  const auto log_bytes = static_cast<double>(std::max<uint64_t>(log_->stats().log_bytes, 1));
  double times = compaction_is_paused_ ? 0 : WrittenPerStep(debt_bytes / log_bytes);
  compaction_is_late_ = times != 0;
  if (times == 0 && CheckpointDebtBytes() != 0) times = kWrittenPerStepOfCheckpoint;
  help_.bytes_per_step.store(static_cast<uint64_t>(times * options_.compaction_step_bytes),
                             std::memory_order_relaxed);
}

// Makes a writer of `bytes` take its part of the background work if that is late.
void Engine::Impl::HelpIfLate(uint64_t bytes) {
  uint64_t bytes_per_help = help_.bytes_per_step.load(std::memory_order_relaxed);
  if (bytes_per_help == 0) return;
  uint64_t unhelped = help_.unhelped_bytes.fetch_add(bytes, std::memory_order_relaxed) + bytes;
  while (bytes_per_help != 0 && unhelped >= bytes_per_help) {
    if (!help_.unhelped_bytes.compare_exchange_weak(unhelped, unhelped - bytes_per_help,
                                                    std::memory_order_relaxed)) {
      continue;
    }
    unhelped -= bytes_per_help;
    absl::MutexLock lock(&maintain_mutex_);
    // An error that lasts is the log's as well, which the write finds. After any other Maintain
    // takes the same step again, and reports it; but of a dropped segment's file that could not be
    // removed, which the next start removes.
    TakeStep().IgnoreError();
    UpdateLateness();
    bytes_per_help = help_.bytes_per_step.load(std::memory_order_relaxed);
  }
}

}  // namespace slipstream::storage

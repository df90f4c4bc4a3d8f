#include "node/commit_queue.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/status/statusor.h"
#include "base/error_reason.h"
#include "node/real_clock.h"

namespace slipstream::node {
namespace {

// With SyncPolicy::kAlways. No more than storage::Options::frames_in_flight_max helps.
constexpr size_t kFlushesMax = 2;

// What calls get that waited when the engine failed: whether their writes are there, nobody knows
// before the log is read again.
absl::Status FailedError(const absl::Status& cause) {
  if (!base::ReasonOf(cause).empty()) return cause;
  return base::WithReason(absl::UnavailableError(cause.message()), base::kReasonEngineFailed);
}

}  // namespace

CommitQueue::CommitQueue(storage::Engine* engine, const CommitOptions& options, Answer on_failure)
    : engine_(engine), options_(options), on_failure_(std::move(on_failure)) {
  if (options_.sync == storage::SyncPolicy::kAlways) {
    for (size_t i = 0; i < kFlushesMax; ++i) flushers_.emplace_back([this] { RunAlways(); });
  } else {
    flushers_.emplace_back([this] { RunPeriodic(); });
  }
  answerer_ = std::thread([this] { RunAnswers(); });
}

void CommitQueue::RunWhenDurable(storage::Lsn lsn, Answer answer) {
  absl::Status failure;
  // Under every policy: it speaks of what was seen in part.
  if (lsn == storage::kNeverDurable) failure = engine_->status();
  if (options_.sync == storage::SyncPolicy::kAlways && lsn > engine_->durable_lsn()) {
    absl::MutexLock lock(&mutex_);
    if (!failure_.ok()) failure = failure_;
    // It may have become durable meanwhile, and its flush delivered already.
    if (failure.ok() && lsn > engine_->durable_lsn()) {
      waiting_.push_back({.lsn = lsn, .answer = std::move(answer)});
      Join(lsn);
      return;
    }
  }
  answer(failure);
}

absl::Status CommitQueue::AwaitDurable(storage::Lsn lsn) {
  // As RunWhenDurable.
  absl::Status failure;
  if (lsn == storage::kNeverDurable) failure = engine_->status();
  if (options_.sync != storage::SyncPolicy::kAlways || lsn <= engine_->durable_lsn()) {
    return failure;
  }
  std::shared_ptr<Crowd> crowd;
  {
    absl::MutexLock lock(&mutex_);
    if (!failure_.ok()) failure = failure_;
    if (!failure.ok() || lsn <= engine_->durable_lsn()) return failure;
    if (IsAlone()) {
      Join(lsn);
      TakeFlush();
    } else if (lsn <= taken_lsn_) {
      // The flush under way has it; the crowd waits for the next one.
      crowd = std::make_shared<Crowd>();
      crowd->lsn = lsn;
      Close(crowd);
    } else {
      if (crowd_ == nullptr) crowd_ = std::make_shared<Crowd>();
      crowd = crowd_;
      crowd->lsn = std::max(crowd->lsn, lsn);
      Join(lsn);
    }
  }
  if (crowd == nullptr) {
    FlushTaken();
    if (lsn <= engine_->durable_lsn()) return absl::OkStatus();
    absl::MutexLock lock(&mutex_);
    return failure_;
  }
  crowd->is_over.wait(0);
  return lsn <= crowd->durable_lsn ? absl::OkStatus() : crowd->failure;
}

void CommitQueue::Join(storage::Lsn lsn) {
  wanted_lsn_ = std::max(wanted_lsn_, lsn);
  ++waiting_count_;
}

void CommitQueue::TakeFlush() {
  CloseCrowd();
  taken_lsn_ = engine_->appended_lsn();
  last_flush_was_for_one_ = waiting_count_ <= 1;
  waiting_count_ = 0;
  ++under_way_count_;
}

void CommitQueue::FlushTaken() {
  const absl::StatusOr<storage::Lsn> durable = engine_->Flush(storage::Engine::FlushMode::kSync);
  if (!durable.ok()) Fail(durable.status());
  {
    absl::MutexLock lock(&mutex_);
    --under_way_count_;
  }
  Deliver(durable.value_or(0));
}

void CommitQueue::Close(std::shared_ptr<Crowd> crowd) {
  const storage::Lsn lsn = crowd->lsn;
  waiting_.push_back(
      {.lsn = lsn, .answer = [this, crowd = std::move(crowd)](const absl::Status& outcome) {
         crowd->durable_lsn = engine_->durable_lsn();
         crowd->failure = outcome;
         crowd->is_over.store(1);
         crowd->is_over.notify_all();
       }});
}

void CommitQueue::CloseCrowd() {
  if (crowd_ != nullptr) Close(std::exchange(crowd_, nullptr));
}

void CommitQueue::NoteAppended(size_t bytes) {
  if (options_.sync == storage::SyncPolicy::kAlways) return;  // Whoever wrote or shows them waits.
  const size_t before = appended_bytes_.fetch_add(bytes, std::memory_order_relaxed);
  // Only the one who crosses the target takes the lock.
  if (before < options_.write_bytes_target && before + bytes >= options_.write_bytes_target) {
    absl::MutexLock lock(&mutex_);
    write_wanted_ = true;
  }
}

void CommitQueue::Stop() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  for (std::thread& flusher : flushers_) {
    if (flusher.joinable()) flusher.join();
  }
  {
    absl::MutexLock lock(&mutex_);
    flushing_ended_ = true;
  }
  if (answerer_.joinable()) answerer_.join();
}

void CommitQueue::RunAlways() {
  while (true) {
    {
      absl::MutexLock lock(&mutex_);
      mutex_.Await(absl::Condition(this, &CommitQueue::IsFlushWanted));
      CloseCrowd();
      if (stopping_ && waiting_.empty()) return;
      TakeFlush();
    }
    FlushTaken();
  }
}

void CommitQueue::RunPeriodic() {
  const auto mode = options_.sync == storage::SyncPolicy::kInterval
                        ? storage::Engine::FlushMode::kSync
                        : storage::Engine::FlushMode::kWrite;
  // Not what is appended by now: that may be a write that came before this thread did.
  storage::Lsn flushed = engine_->durable_lsn();
  absl::Duration next_flush = SteadyNow() + options_.interval;
  while (true) {
    {
      absl::MutexLock lock(&mutex_);
      mutex_.AwaitWithTimeout(absl::Condition(this, &CommitQueue::IsPeriodicWorkWanted),
                              next_flush - SteadyNow());
      if (stopping_) return;
      write_wanted_ = false;
    }
    appended_bytes_.store(0, std::memory_order_relaxed);
    const bool due = SteadyNow() >= next_flush;
    if (due) next_flush = SteadyNow() + options_.interval;
    const storage::Lsn appended = engine_->appended_lsn();
    if (appended == flushed) continue;
    const absl::Status status =
        engine_->Flush(due ? mode : storage::Engine::FlushMode::kWrite).status();
    if (!status.ok()) {
      Fail(status);
      return;
    }
    if (due) flushed = appended;
  }
}

void CommitQueue::Deliver(storage::Lsn durable) {
  std::vector<Waiting> ready;
  {
    absl::MutexLock lock(&mutex_);
    // Nothing is worth waiting for any more.
    if (!failure_.ok()) CloseCrowd();
    const auto first_ready = std::partition(waiting_.begin(), waiting_.end(),
                                            [this, durable](const Waiting& waiting)
                                                ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
                                                  return failure_.ok() && waiting.lsn > durable;
                                                });
    std::move(first_ready, waiting_.end(), std::back_inserter(ready));
    waiting_.erase(first_ready, waiting_.end());
    if (!waiting_.empty() || ready.size() > options_.inline_answers_max || !ready_.empty()) {
      std::move(ready.begin(), ready.end(), std::back_inserter(ready_));
      return;
    }
  }
  Run(std::move(ready));
}

void CommitQueue::RunAnswers() {
  while (true) {
    std::vector<Waiting> ready;
    {
      absl::MutexLock lock(&mutex_);
      mutex_.Await(absl::Condition(this, &CommitQueue::HasReady));
      if (ready_.empty()) return;
      ready.swap(ready_);
    }
    Run(std::move(ready));
  }
}

void CommitQueue::Run(std::vector<Waiting> ready) {
  absl::Status failure;
  {
    absl::MutexLock lock(&mutex_);
    failure = failure_;
  }
  const storage::Lsn durable = engine_->durable_lsn();
  for (Waiting& waiting : ready) {
    waiting.answer(waiting.lsn <= durable ? absl::OkStatus() : failure);
  }
}

void CommitQueue::Fail(const absl::Status& status) {
  Answer on_failure;
  {
    absl::MutexLock lock(&mutex_);
    if (!failure_.ok()) return;
    failure_ = FailedError(status);
    on_failure = std::move(on_failure_);
  }
  on_failure(status);
}

}  // namespace slipstream::node

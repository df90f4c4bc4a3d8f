// CommitQueue: group commit. Answers wait here until the record they speak of is durable, and the
// threads of this queue make it so: while one flush is on its way to the disk, the engine's next
// frame fills, so that one sync carries whatever came meanwhile. If as much has come as is on its
// way, which the slower the device the sooner is the case, a second flush does not wait for the
// first. A thread that waits alone, as the one before it did, flushes by itself: there is nobody to
// share a flush with, and the way to another thread and back costs as much as a fast device does.
#ifndef SLIPSTREAM_NODE_COMMIT_QUEUE_H_
#define SLIPSTREAM_NODE_COMMIT_QUEUE_H_

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "storage/engine.h"
#include "storage/entry.h"
#include "storage/options.h"

namespace slipstream::node {

struct CommitOptions {
  storage::SyncPolicy sync = storage::SyncPolicy::kAlways;
  // kInterval: how often to sync. kNone: how often to hand what was written to the system.
  absl::Duration interval = absl::Seconds(1);
  // Under these two, bytes appended that are written out without waiting for the interval, well
  // before the engine would make its writers wait.
  size_t write_bytes_target = 1 << 20;
  // So few answers are not worth the way to another thread.
  size_t inline_answers_max = 4;
};

// Thread-safe.
class CommitQueue {
 public:
  using Answer = absl::AnyInvocable<void(const absl::Status&)>;

  // Starts the threads. `engine` must outlive the queue. `on_failure` is called once, from a thread
  // of the queue, if the engine fails: it must not block, nor destroy the queue.
  CommitQueue(storage::Engine* engine, const CommitOptions& options, Answer on_failure);
  ~CommitQueue() { Stop(); }
  CommitQueue(const CommitQueue&) = delete;
  CommitQueue& operator=(const CommitQueue&) = delete;

  // Runs `answer` once, with OK when records up to `lsn` are durable, or with the engine's failure.
  // At once, on the caller's thread, if they are or the policy does not ask for it; else on a
  // thread of the queue, where it must be short. Never under a lock. Not after Stop has returned.
  void RunWhenDurable(storage::Lsn lsn, Answer answer) ABSL_LOCKS_EXCLUDED(mutex_);

  // The same for a thread that has nothing else to do: returns what `answer` would be given. It may
  // flush itself, and run others' answers. All who wait for one flush are woken with one system
  // call, where each answer would take one. Not once Stop has begun.
  absl::Status AwaitDurable(storage::Lsn lsn) ABSL_LOCKS_EXCLUDED(mutex_);

  // Counts what was appended: see write_bytes_target.
  void NoteAppended(size_t bytes) ABSL_LOCKS_EXCLUDED(mutex_);

  // Makes durable what answers wait for, runs them, ends the threads. May be called again; not from
  // an answer.
  void Stop() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Waiting {
    storage::Lsn lsn = 0;
    Answer answer;
  };

  // Threads that wait for the same flush.
  struct Crowd {
    storage::Lsn lsn = 0;  // The greatest that one of them waits for.
    // Set before is_over: what is durable, and what those get whose record is not.
    storage::Lsn durable_lsn = 0;
    absl::Status failure;
    std::atomic<uint32_t> is_over = 0;
  };

  // Puts `crowd`, which nobody joins any more, among those who wait for a flush.
  void Close(std::shared_ptr<Crowd> crowd) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The same for the crowd of the next flush, if there is one.
  void CloseCrowd() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // Joins those who wait for a flush.
  void Join(storage::Lsn lsn) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Whether the caller, who is the only one to wait, may be expected to stay so.
  bool IsAlone() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return last_flush_was_for_one_ && waiting_count_ == 0 && under_way_count_ == 0 && !stopping_;
  }
  // A flush, in two steps: takes all that waits; makes it durable and sends off its answers.
  void TakeFlush() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void FlushTaken() ABSL_LOCKS_EXCLUDED(mutex_);

  // What a flushing thread does: one loop a policy.
  void RunAlways() ABSL_LOCKS_EXCLUDED(mutex_);
  void RunPeriodic() ABSL_LOCKS_EXCLUDED(mutex_);
  // The answering thread, so that the next flush need not wait for many answers to be sent.
  void RunAnswers() ABSL_LOCKS_EXCLUDED(mutex_);

  // Sends off the answers that wait for no more than `durable`, all if the engine has failed: here
  // if they are few and no other waits to be flushed, else on the answering thread.
  void Deliver(storage::Lsn durable) ABSL_LOCKS_EXCLUDED(mutex_);
  void Run(std::vector<Waiting> ready) ABSL_LOCKS_EXCLUDED(mutex_);
  void Fail(const absl::Status& status) ABSL_LOCKS_EXCLUDED(mutex_);

  bool IsFlushWanted() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    if (stopping_) return true;
    // As many flushes as there are records would keep every core busy with little ones.
    const storage::Lsn in_flight =
        taken_lsn_ - std::min(taken_lsn_, engine_->durable_lsn());  // Records, about.
    const bool is_worth_it = under_way_count_ == 0 || wanted_lsn_ - taken_lsn_ >= in_flight;
    return wanted_lsn_ > taken_lsn_ && is_worth_it;
  }
  bool HasReady() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return flushing_ended_ || !ready_.empty();
  }
  bool IsPeriodicWorkWanted() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return stopping_ || write_wanted_;
  }

  storage::Engine* const engine_;
  const CommitOptions options_;
  std::atomic<size_t> appended_bytes_ = 0;  // Since the last flush, about.

  absl::Mutex mutex_;
  Answer on_failure_ ABSL_GUARDED_BY(mutex_);
  std::vector<Waiting> waiting_ ABSL_GUARDED_BY(mutex_);  // For a flush.
  std::shared_ptr<Crowd> crowd_ ABSL_GUARDED_BY(mutex_);  // Of the next flush; null: nobody yet.
  storage::Lsn wanted_lsn_ ABSL_GUARDED_BY(mutex_) = 0;   // The greatest that was waited for.
  storage::Lsn taken_lsn_ ABSL_GUARDED_BY(mutex_) = 0;    // Up to it, some thread flushes or has.
  size_t under_way_count_ ABSL_GUARDED_BY(mutex_) = 0;    // Flushes.
  size_t waiting_count_ ABSL_GUARDED_BY(mutex_) = 0;      // Callers, for a flush to be taken.
  bool last_flush_was_for_one_ ABSL_GUARDED_BY(mutex_) = true;
  std::vector<Waiting> ready_ ABSL_GUARDED_BY(mutex_);  // For the answering thread.
  absl::Status failure_ ABSL_GUARDED_BY(mutex_);        // Of the engine.
  bool write_wanted_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool flushing_ended_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> flushers_;  // Made by the constructor, joined by Stop.
  std::thread answerer_;
};

}  // namespace slipstream::node

#endif  // SLIPSTREAM_NODE_COMMIT_QUEUE_H_

#include "node/worker_pool.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/error_reason.h"
#include "node/call_gate.h"

namespace slipstream::node {

WorkerPool::WorkerPool(const WorkerPoolOptions& options) : options_(options) {
  for (size_t i = 0; i < options_.thread_count; ++i) threads_.emplace_back([this] { Run(); });
}

absl::Status WorkerPool::Submit(Task task) {
  absl::MutexLock lock(&mutex_);
  if (stopping_) return DrainingError();
  if (tasks_.size() >= options_.queued_tasks_max) {
    return base::WithReason(absl::ResourceExhaustedError(
                                absl::StrCat(tasks_.size(), " calls wait for a thread, of at most ",
                                             options_.queued_tasks_max, "; try again later")),
                            base::kReasonTooBusy);
  }
  tasks_.push_back(std::move(task));
  return absl::OkStatus();
}

void WorkerPool::Stop() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void WorkerPool::Run() {
  while (true) {
    Task task;
    {
      absl::MutexLock lock(&mutex_);
      mutex_.Await(absl::Condition(this, &WorkerPool::HasWork));
      if (tasks_.empty()) return;
      task = std::move(tasks_.front());
      tasks_.pop_front();
    }
    task();
  }
}

}  // namespace slipstream::node

// WorkerPool: a few threads for what takes too long for the threads that serve the network.
#ifndef SLIPSTREAM_NODE_WORKER_POOL_H_
#define SLIPSTREAM_NODE_WORKER_POOL_H_

#include <cstddef>
#include <deque>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"

namespace slipstream::node {

struct WorkerPoolOptions {
  size_t thread_count = 2;
  size_t queued_tasks_max = 4096;
};

// Thread-safe.
class WorkerPool {
 public:
  using Task = absl::AnyInvocable<void()>;

  explicit WorkerPool(const WorkerPoolOptions& options);
  ~WorkerPool() { Stop(); }
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // Runs `task` on a thread of the pool, in the order of the calls, and leaves it alone on an
  // error: RESOURCE_EXHAUSTED (TOO_BUSY) if too many wait, UNAVAILABLE (DRAINING) after Stop.
  absl::Status Submit(Task task) ABSL_LOCKS_EXCLUDED(mutex_);

  // Runs what waits, then ends the threads. May be called again; not from a task.
  void Stop() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  void Run() ABSL_LOCKS_EXCLUDED(mutex_);
  bool HasWork() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return stopping_ || !tasks_.empty(); }

  const WorkerPoolOptions options_;
  absl::Mutex mutex_;
  std::deque<Task> tasks_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;  // Made by the constructor, joined by Stop.
};

}  // namespace slipstream::node

#endif  // SLIPSTREAM_NODE_WORKER_POOL_H_

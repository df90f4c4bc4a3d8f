// Maintenance: the thread that calls the engine's and the tree's background steps, a little at a
// time, so that neither a write nor a root has to do it all.
#ifndef SLIPSTREAM_NODE_MAINTENANCE_H_
#define SLIPSTREAM_NODE_MAINTENANCE_H_

#include <cstddef>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "node/replica.h"

namespace slipstream::node {

struct MaintenanceOptions {
  // Between two bursts of work; while there is more to do, as long as a burst takes, if that is
  // less.
  absl::Duration period = absl::Milliseconds(50);
  // Steps in one burst, and buckets of the tree that it hashes.
  size_t steps_max = 8;
  size_t buckets_max = 256;
  // On a full disk each try writes until there is no space left: they get rarer, up to this.
  absl::Duration retry_period_max = absl::Seconds(30);
};

// Thread-safe.
class Maintenance {
 public:
  using FailureHandler = absl::AnyInvocable<void(const absl::Status&)>;

  // Starts the thread. `replica` must outlive this. `on_failure` is called once, from the thread,
  // if the engine has failed: it must not block, nor destroy this.
  Maintenance(Replica* replica, const MaintenanceOptions& options, FailureHandler on_failure);
  ~Maintenance() { Stop(); }
  Maintenance(const Maintenance&) = delete;
  Maintenance& operator=(const Maintenance&) = delete;

  // Ends the thread. May be called again.
  void Stop() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  void Run(FailureHandler on_failure) ABSL_LOCKS_EXCLUDED(mutex_);
  // Does one burst of work and returns whether there is more; not OK if the engine has failed.
  absl::StatusOr<bool> Step();
  // Calls the engine's steps, unless it is too early to try again after an error; returns whether
  // there are more.
  bool MaintainEngine();

  Replica* const replica_;
  const MaintenanceOptions options_;
  absl::Mutex mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  // Of the thread alone.
  size_t skipped_period_count_ = 0;  // Since the last try.
  size_t periods_to_skip_ = 0;
  std::thread thread_;  // Made by the constructor, joined by Stop.
};

}  // namespace slipstream::node

#endif  // SLIPSTREAM_NODE_MAINTENANCE_H_

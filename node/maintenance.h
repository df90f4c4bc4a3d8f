// Maintenance: the thread that calls the engine's and the tree's background steps, a little at a
// time, so that neither a write nor a root has to do it all; and that searches for damage when
// there is nothing else to do.
#ifndef SLIPSTREAM_NODE_MAINTENANCE_H_
#define SLIPSTREAM_NODE_MAINTENANCE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "node/background_pace.h"
#include "node/replica.h"
#include "node/replica_types.h"

namespace slipstream::node {

struct MaintenanceOptions {
  // Between two bursts of work; less while there is more to do: see BackgroundPace.
  absl::Duration period = absl::Milliseconds(50);
  // Steps in one burst, and buckets of the tree that are hashed in a period.
  size_t steps_max = 1;
  size_t buckets_max = 256;
  // On a full disk each try writes until there is no space left: they get rarer, up to this.
  absl::Duration retry_period_max = absl::Seconds(30);
  // What the search for damage reads on average, when there is nothing else to do; 0: it is off.
  uint64_t scrub_bytes_per_second = 8 << 20;
  // From the start of one search through everything to that of the next, at least.
  absl::Duration scrub_pass_period = absl::Seconds(10);
  // Told of each step that found something, from the thread; may be empty. Must not block.
  std::function<void(const ScrubStep&)> on_damage;
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

  // Takes as many steps of the search for damage as its pace allows.
  void ScrubSome();

  Replica* const replica_;
  const MaintenanceOptions options_;
  absl::Mutex mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  // Of the thread alone.
  BackgroundPace pace_;
  size_t skipped_period_count_ = 0;  // Since the last try.
  size_t periods_to_skip_ = 0;
  absl::Duration next_settling_at_ = absl::ZeroDuration();
  absl::Duration next_scrub_at_ = absl::ZeroDuration();  // By the steady clock.
  absl::Duration next_scrub_pass_at_ = absl::ZeroDuration();
  bool scrub_pass_ended_ = true;
  std::thread thread_;  // Made by the constructor, joined by Stop.
};

}  // namespace slipstream::node

#endif  // SLIPSTREAM_NODE_MAINTENANCE_H_

#include "node/maintenance.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "absl/status/statusor.h"
#include "base/status_macros.h"
#include "merkle/tree.h"
#include "node/real_clock.h"
#include "storage/engine.h"

namespace slipstream::node {

Maintenance::Maintenance(Replica* replica, const MaintenanceOptions& options,
                         FailureHandler on_failure)
    : replica_(replica), options_(options) {
  thread_ = std::thread(
      [this, on_failure = std::move(on_failure)]() mutable { Run(std::move(on_failure)); });
}

void Maintenance::Stop() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  if (thread_.joinable()) thread_.join();
}

void Maintenance::Run(FailureHandler on_failure) {
  absl::Duration pause = options_.period;
  while (true) {
    {
      absl::MutexLock lock(&mutex_);
      if (mutex_.AwaitWithTimeout(absl::Condition(&stopping_), pause)) return;
    }
    const absl::Duration started = SteadyNow();
    const absl::StatusOr<bool> more = Step();
    if (!more.ok()) {
      on_failure(more.status());
      return;
    }
    // Half of the time, as long as there is more to do.
    pause = *more ? std::min(options_.period, SteadyNow() - started) : options_.period;
  }
}

absl::StatusOr<bool> Maintenance::Step() {
  const bool more_engine = MaintainEngine();
  SLIP_RETURN_IF_ERROR(replica_->engine().status());
  const bool more_tree = replica_->tree().Settle(options_.buckets_max);
  return more_engine || more_tree;
}

// Returns whether there is more to do now.
bool Maintenance::MaintainEngine() {
  if (skipped_period_count_ < periods_to_skip_) {
    ++skipped_period_count_;
    return false;
  }
  skipped_period_count_ = 0;
  bool has_more = true;
  for (size_t step = 0; step < options_.steps_max && has_more; ++step) {
    const absl::StatusOr<bool> more = replica_->engine().Maintain();
    if (!more.ok()) {
      // A full disk; if it is worse, the engine's status says so.
      const size_t skipped_max =
          static_cast<size_t>(absl::FDivDuration(options_.retry_period_max, options_.period));
      periods_to_skip_ = std::min(2 * periods_to_skip_ + 1, skipped_max);
      return false;
    }
    has_more = *more;
  }
  periods_to_skip_ = 0;
  return has_more;
}

}  // namespace slipstream::node

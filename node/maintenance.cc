#include "node/maintenance.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "absl/status/statusor.h"
#include "base/status_macros.h"
#include "merkle/tree.h"
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
  while (true) {
    {
      absl::MutexLock lock(&mutex_);
      if (mutex_.AwaitWithTimeout(absl::Condition(&stopping_), options_.period)) return;
    }
    if (const absl::Status status = Step(); !status.ok()) {
      on_failure(status);
      return;
    }
  }
}

absl::Status Maintenance::Step() {
  MaintainEngine();
  SLIP_RETURN_IF_ERROR(replica_->engine().status());
  replica_->tree().Settle(options_.buckets_max);
  return absl::OkStatus();
}

void Maintenance::MaintainEngine() {
  if (skipped_period_count_ < periods_to_skip_) {
    ++skipped_period_count_;
    return;
  }
  skipped_period_count_ = 0;
  for (size_t step = 0; step < options_.steps_max; ++step) {
    const absl::StatusOr<bool> more = replica_->engine().Maintain();
    if (!more.ok()) {
      // A full disk; if it is worse, the engine's status says so.
      const size_t skipped_max =
          static_cast<size_t>(absl::FDivDuration(options_.retry_period_max, options_.period));
      periods_to_skip_ = std::min(2 * periods_to_skip_ + 1, skipped_max);
      return;
    }
    if (!*more) break;
  }
  periods_to_skip_ = 0;
}

}  // namespace slipstream::node

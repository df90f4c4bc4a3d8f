#include "node/maintenance.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "absl/status/statusor.h"
#include "base/status_macros.h"
#include "merkle/tree.h"
#include "node/real_clock.h"
#include "storage/engine.h"

namespace slipstream::node {
namespace {

// What a step of the search for damage counts for at least: finding nothing to read is work, too.
constexpr uint64_t kScrubStepBytesMin = 16 << 10;

}  // namespace

Maintenance::Maintenance(Replica* replica, const MaintenanceOptions& options,
                         FailureHandler on_failure)
    : replica_(replica), options_(options), pace_(options.period) {
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
  // Where the system does not allow it, clients wait for background work more often.
  BackgroundPace::LowerPriority();
  absl::Duration pause = options_.period;
  while (true) {
    {
      absl::MutexLock lock(&mutex_);
      if (mutex_.AwaitWithTimeout(absl::Condition(&stopping_), pause)) return;
    }
    const absl::Duration started = SteadyNow();
    pace_.Observe(replica_->engine(), started);
    const absl::StatusOr<bool> more = Step();
    if (!more.ok()) {
      on_failure(more.status());
      return;
    }
    pause = pace_.PauseAfter(SteadyNow() - started, *more);
  }
}

absl::StatusOr<bool> Maintenance::Step() {
  const bool more_engine = MaintainEngine();
  if (!more_engine) ScrubSome();
  SLIP_RETURN_IF_ERROR(replica_->engine().status());
  // Once a period, however busy the engine is: whoever asks for the root settles what is left.
  if (const absl::Duration now = SteadyNow(); now >= next_settling_at_) {
    replica_->tree().Settle(options_.buckets_max);
    next_settling_at_ = now + options_.period;
  }
  return more_engine;
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

void Maintenance::ScrubSome() {
  if (options_.scrub_bytes_per_second == 0) return;
  for (size_t step = 0; step < options_.steps_max; ++step) {
    const absl::Duration now = SteadyNow();
    if (now < next_scrub_at_ || (scrub_pass_ended_ && now < next_scrub_pass_at_)) return;
    if (scrub_pass_ended_) next_scrub_pass_at_ = now + options_.scrub_pass_period;
    const absl::StatusOr<ScrubStep> scrubbed = replica_->Scrub();
    // What the device does not give now is tried again by the next search.
    scrub_pass_ended_ = scrubbed.ok() && scrubbed->store.ended_pass;
    const uint64_t bytes = scrubbed.ok() ? scrubbed->store.bytes : 0;
    // Time in which there was other work is not made up for, but for one period.
    next_scrub_at_ = std::max(next_scrub_at_, now - options_.period) +
                     absl::Seconds(static_cast<double>(std::max(bytes, kScrubStepBytesMin)) /
                                   static_cast<double>(options_.scrub_bytes_per_second));
    if (!scrubbed.ok()) return;
    const bool found = scrubbed->store.finding.has_value() || scrubbed->tree_difference_count != 0;
    if (found && options_.on_damage) options_.on_damage(*scrubbed);
  }
}

}  // namespace slipstream::node

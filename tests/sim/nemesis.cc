#include "tests/sim/nemesis.h"

#include <functional>
#include <utility>

#include "storage/memory_file_system.h"
#include "tests/sim/node_clock.h"

namespace slipstream::sim {
namespace {

constexpr absl::Duration kClogDelayMax = absl::Seconds(2);
// A disk's fault strikes one of its next calls.
constexpr uint64_t kDiskCallsMax = 6;

}  // namespace

Nemesis::Nemesis(const NemesisConfig& config, std::vector<NodeHost*> hosts, World* world,
                 base::Random rng)
    : config_(config), hosts_(std::move(hosts)), world_(world), rng_(rng) {}

void Nemesis::Heal() {
  is_over_ = true;
  world_->network.MendAll();
  for (NodeHost* const host : hosts_) {
    host->disk().ClearFaults();
    host->PauseUntil(absl::InfinitePast());
    host->Start();
  }
}

void Nemesis::ScheduleNext() {
  world_->scheduler.After(config_.gap_max * rng_.Fraction(), [this] {
    if (is_over_) return;
    Strike();
    ScheduleNext();
  });
}

void Nemesis::Strike() {
  ++fault_count_;
  NodeHost& host = *hosts_[rng_.Below(hosts_.size())];
  const size_t from = rng_.Below(hosts_.size());
  const size_t to = (from + 1 + rng_.Below(hosts_.size() - 1)) % hosts_.size();
  const absl::Duration duration = config_.duration_max * rng_.Fraction();
  const std::pair<uint64_t, std::function<void()>> faults[] = {
      {config_.weights.power_loss, [&] { Crash(host, Death::kPowerLoss); }},
      {config_.weights.kill, [&] { Crash(host, Death::kKill); }},
      {config_.weights.pause, [&] { host.PauseUntil(world_->scheduler.now() + duration); }},
      {config_.weights.isolation,
       [&] {
         for (size_t other = 0; other < hosts_.size(); ++other) {
           if (other == from) continue;
           Cut(from, other, duration);
           Cut(other, from, duration);
         }
       }},
      {config_.weights.one_way_cut, [&] { Cut(from, to, duration); }},
      {config_.weights.partial_partition,
       [&] {
         Cut(from, to, duration);
         Cut(to, from, duration);
       }},
      {config_.weights.clog, [&] { Clog(from, to, duration); }},
      {config_.weights.disk_failure, [&] { FailDisk(host, duration); }},
  };
  uint64_t weight_sum = 0;
  for (const auto& [weight, strike] : faults) weight_sum += weight;
  uint64_t drawn = rng_.Below(weight_sum);
  for (const auto& [weight, strike] : faults) {
    if (drawn < weight) {
      strike();
      return;
    }
    drawn -= weight;
  }
}

void Nemesis::Crash(NodeHost& host, Death death) {
  host.Crash(death);
  // Often at once: the peers then do not even notice.
  const absl::Duration away =
      rng_.OneIn(3) ? absl::Milliseconds(10) : config_.duration_max * rng_.Fraction();
  world_->scheduler.After(away, [this, &host] { Restart(host); });
}

void Nemesis::Restart(NodeHost& host) {
  if (is_over_ || host.is_up()) return;
  const absl::Duration step = config_.clock_step_max * (2 * rng_.Fraction() - 1);
  NodeClock& clock = host.clock();
  if (rng_.OneIn(3) && absl::AbsDuration(clock.offset() + step) <= config_.clock_offset_max) {
    clock.Step(step);
  }
  host.Start();
}

void Nemesis::Cut(size_t from, size_t to, absl::Duration duration) {
  world_->network.Cut(from, to);
  world_->scheduler.After(duration, [this, from, to] { world_->network.Mend(from, to); });
}

void Nemesis::Clog(size_t from, size_t to, absl::Duration duration) {
  world_->network.Clog(from, to, kClogDelayMax * rng_.Fraction());
  world_->scheduler.After(
      duration, [this, from, to] { world_->network.Clog(from, to, absl::ZeroDuration()); });
}

void Nemesis::FailDisk(NodeHost& host, absl::Duration duration) {
  using Operation = storage::MemoryFileSystem::Operation;
  host.disk().InjectFault({.operation = rng_.OneIn(4) ? Operation::kWrite : Operation::kSyncData,
                           .call = 1 + rng_.Below(kDiskCallsMax)});
  // A disk that fails often takes the machine down soon after: what a failed sync has left in
  // memory only is gone then.
  if (!rng_.OneIn(2)) return;
  world_->scheduler.After(duration, [this, &host] {
    if (!is_over_ && host.is_up()) Crash(host, Death::kPowerLoss);
  });
}

}  // namespace slipstream::sim

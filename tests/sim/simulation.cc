#include "tests/sim/simulation.h"

#include <algorithm>
#include <cstddef>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/digest.h"
#include "base/random.h"
#include "storage/options.h"
#include "tests/sim/checkers/batch_checker.h"
#include "tests/sim/checkers/convergence_checker.h"
#include "tests/sim/checkers/final_state_checker.h"
#include "tests/sim/checkers/log_checker.h"
#include "tests/sim/checkers/output_rule_checker.h"
#include "tests/sim/checkers/promise_checker.h"
#include "tests/sim/checkers/version_checker.h"
#include "tests/sim/client.h"
#include "tests/sim/damage.h"
#include "tests/sim/nemesis.h"
#include "tests/sim/node_host.h"
#include "tests/sim/simulation_config.h"
#include "tests/sim/world.h"

namespace slipstream::sim {
namespace {

constexpr absl::Duration kGlanceInterval = absl::Milliseconds(500);
// Within this after the faults the roots must be equal: backing off lasts up to 24 s.
constexpr absl::Duration kConvergenceMax = absl::Seconds(60);
constexpr absl::Duration kConvergenceStep = absl::Milliseconds(100);
// Equal roots must stay equal for this long: nothing is under way any more.
constexpr absl::Duration kRest = absl::Seconds(3);

absl::Time StartTime() { return absl::FromUnixSeconds(1'800'000'000); }

// Not thread-safe.
class Simulation {
 public:
  explicit Simulation(uint64_t seed)
      : seed_(seed), rng_(seed), config_(DrawConfig(rng_)), world_(StartTime(), rng_.Fork()) {
    for (size_t index = 0; index < config_.nodes.size(); ++index) {
      hosts_.push_back(
          std::make_unique<NodeHost>(index, config_.nodes[index], &world_, rng_.Fork()));
      host_pointers_.push_back(hosts_.back().get());
    }
    for (const auto& host : hosts_) host->Connect(host_pointers_);
    for (size_t index = 0; index < config_.client_count; ++index) {
      clients_.push_back(std::make_unique<Client>(hosts_.size() + index, config_.client,
                                                  host_pointers_, &world_, rng_.Fork()));
    }
    nemesis_ = std::make_unique<Nemesis>(config_.nemesis, host_pointers_, &world_, rng_.Fork());
    MakeCheckers();
  }

  SimulationResult Run() {
    RunFaults();
    if (!HasFailed()) Heal();
    if (!HasFailed()) AwaitConvergence();
    if (!HasFailed()) world_.Tell(&Checker::OnQuiesced, Resting());
    if (!HasFailed() && config_.flip_count > 0) RunDamage();
    return Result();
  }

 private:
  void MakeCheckers() {
    const CrashesCost crashes_cost =
        config_.nodes[0].replica.storage.sync == storage::SyncPolicy::kAlways
            ? CrashesCost::kNothing
            : CrashesCost::kUnsynced;
    auto& checkers = world_.checkers;
    checkers.push_back(
        std::make_unique<PromiseChecker>(&world_.history, crashes_cost, &world_.failures));
    checkers.push_back(
        std::make_unique<VersionChecker>([this] { return LatestClock(); }, &world_.failures));
    if (crashes_cost == CrashesCost::kNothing) {
      checkers.push_back(std::make_unique<OutputRuleChecker>(
          [this](size_t node) { return Resting()[node].replica->engine().durable_lsn(); },
          &world_.failures));
    }
    checkers.push_back(std::make_unique<BatchChecker>(&world_.failures));
    checkers.push_back(
        std::make_unique<FinalStateChecker>(&world_.history, crashes_cost, &world_.failures));
    checkers.push_back(std::make_unique<ConvergenceChecker>(&world_.failures));
    checkers.push_back(std::make_unique<LogChecker>(&world_.failures));
  }

  void RunFaults() {
    world_.network.set_options(config_.network);
    for (const auto& host : hosts_) host->Start();
    for (const auto& client : clients_) client->Start();
    nemesis_->Start();
    ScheduleGlance();
    RunFor(config_.fault_duration);
  }

  void Heal() {
    world_.network.set_options(NetworkOptions{});
    for (const auto& client : clients_) client->Stop();
    nemesis_->Heal();
    healed_at_ = world_.scheduler.now();
    // What clients had under way ends, too.
    RunFor(config_.client.timeout);
    if (!AllAreUp()) world_.failures.Report("P8 recovery", "a node is down after the faults");
    if (!HasFailed()) world_.Tell(&Checker::OnHealed, Resting());
  }

  void AwaitConvergence() {
    absl::Time equal_since = absl::InfiniteFuture();
    while (world_.scheduler.now() - healed_at_ < kConvergenceMax) {
      RunFor(kConvergenceStep);
      if (HasFailed()) return;
      if (!RootsAreEqual()) {
        equal_since = absl::InfiniteFuture();
        continue;
      }
      equal_since = std::min(equal_since, world_.scheduler.now());
      if (world_.scheduler.now() - equal_since < kRest) continue;
      converged_after_ = equal_since - healed_at_;
      return;
    }
    world_.failures.Report("P5 convergence",
                           absl::StrCat("roots differ ", absl::FormatDuration(kConvergenceMax),
                                        " after all faults have ended"));
  }

  // Damages one disk; the others then must give back what it has lost.
  void RunDamage() {
    const size_t damaged = rng_.Below(hosts_.size());
    NodeHost& host = *hosts_[damaged];
    host.set_on_damage(storage::OnDamage::kServeRest);
    world_.Tell(&Checker::OnDamaged, damaged);
    std::vector<RestingNode> others = Resting();
    others.erase(others.begin() + static_cast<std::ptrdiff_t>(damaged));
    world_.Tell(&Checker::OnHealed, others);
    CheckReadsAcross(host, world_, [&] {
      if (config_.restarts_damaged) host.Crash(Death::kKill);
      FlipBits(host, config_.flip_count, rng_);
      host.Start();
    });
    const absl::Duration converged_after = converged_after_;
    healed_at_ = world_.scheduler.now();
    if (!HasFailed()) AwaitConvergence();
    if (!HasFailed()) world_.Tell(&Checker::OnQuiesced, Resting());
    converged_after_ = std::max(converged_after_, converged_after);
  }

  void ScheduleGlance() {
    world_.scheduler.After(kGlanceInterval, [this] {
      hosts_[rng_.Below(hosts_.size())]->Glance();
      ScheduleGlance();
    });
  }

  void RunFor(absl::Duration duration) {
    world_.scheduler.RunUntil(world_.scheduler.now() + duration, [this] {
      latest_clock_ = std::max(latest_clock_, LatestClock());
      return HasFailed();
    });
  }

  bool HasFailed() const { return world_.failures.first().has_value(); }

  absl::Time LatestClock() const {
    absl::Time latest = latest_clock_;
    for (const auto& host : hosts_) latest = std::max(latest, host->Now());
    return latest;
  }

  bool AllAreUp() const {
    return std::all_of(hosts_.begin(), hosts_.end(),
                       [](const auto& host) { return host->is_up(); });
  }

  bool RootsAreEqual() {
    if (!AllAreUp()) return false;
    const base::Digest root = hosts_[0]->resting().replica->tree().Root();
    return std::all_of(hosts_.begin(), hosts_.end(), [&root](const auto& host) {
      return host->resting().replica->tree().Root() == root;
    });
  }

  std::vector<RestingNode> Resting() {
    std::vector<RestingNode> nodes;
    for (const auto& host : hosts_) nodes.push_back(host->resting());
    return nodes;
  }

  SimulationResult Result() {
    SimulationResult result{.seed = seed_,
                            .trace_hash = world_.trace.hash(),
                            .fault_count = nemesis_->fault_count(),
                            .node_count = hosts_.size(),
                            .converged_after_seconds = absl::ToDoubleSeconds(converged_after_),
                            .failure = world_.failures.first()};
    for (const auto& client : clients_) result.operation_count += client->answered_count();
    for (const auto& host : hosts_) {
      if (host->is_up()) {
        result.repair_session_count += host->resting().replica->repair_stats().session_count;
      }
    }
    if (HasFailed()) result.trace_tail = world_.trace.Tail();
    return result;
  }

  const uint64_t seed_;
  base::Random rng_;
  const SimulationConfig config_;
  World world_;
  std::vector<std::unique_ptr<NodeHost>> hosts_;
  std::vector<NodeHost*> host_pointers_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::unique_ptr<Nemesis> nemesis_;
  absl::Time latest_clock_ = absl::InfinitePast();
  absl::Time healed_at_;
  absl::Duration converged_after_;
};

}  // namespace

SimulationResult RunSimulation(uint64_t seed) {
  // One thread cannot deadlock, and looking for it is a quarter of a debug build's time.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  return Simulation(seed).Run();
}

}  // namespace slipstream::sim

// Nemesis: does to nodes, links and disks what the world does, at random times.
#ifndef SLIPSTREAM_TESTS_SIM_NEMESIS_H_
#define SLIPSTREAM_TESTS_SIM_NEMESIS_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/time/time.h"
#include "base/random.h"
#include "tests/sim/node_host.h"
#include "tests/sim/world.h"

namespace slipstream::sim {

// How often each fault is drawn, relative to the others; 0: never.
struct FaultWeights {
  uint64_t power_loss = 4;
  uint64_t kill = 2;
  uint64_t pause = 2;
  uint64_t isolation = 2;          // One node from all others.
  uint64_t one_way_cut = 2;        // From one node to another, not back.
  uint64_t partial_partition = 2;  // Between two nodes that both reach a third.
  uint64_t clog = 2;               // A slow link: what is sent later arrives earlier elsewhere.
  uint64_t disk_failure = 1;       // A sync or a write fails once.
};

struct NemesisConfig {
  FaultWeights weights;
  absl::Duration gap_max = absl::Seconds(1);            // Between two faults.
  absl::Duration duration_max = absl::Seconds(4);       // Of one.
  absl::Duration clock_step_max = absl::Seconds(5);     // Forth or back, at a restart.
  absl::Duration clock_offset_max = absl::Seconds(15);  // No step goes beyond.
};

// Not thread-safe; owned by the simulation, which must outlive all that was scheduled.
class Nemesis {
 public:
  // `world` must outlive the nemesis; so must `hosts`.
  Nemesis(const NemesisConfig& config, std::vector<NodeHost*> hosts, World* world,
          base::Random rng);

  void Start() { ScheduleNext(); }
  // Ends all faults: nodes are up, links whole, disks sound.
  void Heal();
  uint64_t fault_count() const { return fault_count_; }

 private:
  void ScheduleNext();
  void Strike();
  void Crash(NodeHost& host, Death death);
  void Restart(NodeHost& host);
  void Cut(size_t from, size_t to, absl::Duration duration);
  void Clog(size_t from, size_t to, absl::Duration duration);
  void FailDisk(NodeHost& host, absl::Duration duration);

  const NemesisConfig config_;
  const std::vector<NodeHost*> hosts_;
  World* const world_;
  base::Random rng_;
  bool is_over_ = false;
  uint64_t fault_count_ = 0;
};

}  // namespace slipstream::sim

#endif  // SLIPSTREAM_TESTS_SIM_NEMESIS_H_

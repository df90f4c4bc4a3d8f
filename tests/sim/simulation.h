// Simulation: one run of a whole cluster from one seed. Start reading tests/sim/ here.
//
// Everything is drawn from the seed: how many nodes, their options and clocks, what clients do,
// what breaks and when. Faults and clients go on for a while; then everything heals, the cluster
// gets time to come to rest, and the checkers have the last word.
#ifndef SLIPSTREAM_TESTS_SIM_SIMULATION_H_
#define SLIPSTREAM_TESTS_SIM_SIMULATION_H_

#include <cstdint>
#include <string>

#include "absl/types/optional.h"
#include "tests/sim/failure.h"

namespace slipstream::sim {

struct SimulationResult {
  uint64_t seed = 0;
  uint64_t trace_hash = 0;
  uint64_t operation_count = 0;  // Answered requests of clients.
  uint64_t fault_count = 0;
  uint64_t node_count = 0;
  uint64_t repair_session_count = 0;
  double converged_after_seconds = 0;  // After the faults ended, or a disk was damaged.
  absl::optional<Failure> failure;
  std::string trace_tail;  // After a failure.
};

// Runs `seed` from start to end.
SimulationResult RunSimulation(uint64_t seed);

}  // namespace slipstream::sim

#endif  // SLIPSTREAM_TESTS_SIM_SIMULATION_H_

// SimulationConfig: all that is drawn from a seed before a run begins.
#ifndef SLIPSTREAM_TESTS_SIM_SIMULATION_CONFIG_H_
#define SLIPSTREAM_TESTS_SIM_SIMULATION_CONFIG_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "base/random.h"
#include "tests/sim/client.h"
#include "tests/sim/nemesis.h"
#include "tests/sim/network.h"
#include "tests/sim/node_host.h"

namespace slipstream::sim {

struct SimulationConfig {
  std::vector<NodeConfig> nodes;
  size_t client_count = 0;
  ClientConfig client;
  NetworkOptions network;
  NemesisConfig nemesis;
  absl::Duration fault_duration;  // How long clients and faults go on.
  // Bits to flip at the end on one disk; and whether its node then starts anew, or just reads.
  size_t flip_count = 0;
  bool restarts_damaged = false;
};

// Draws a configuration of 3 to 5 nodes.
SimulationConfig DrawConfig(base::Random& rng);

}  // namespace slipstream::sim

#endif  // SLIPSTREAM_TESTS_SIM_SIMULATION_CONFIG_H_

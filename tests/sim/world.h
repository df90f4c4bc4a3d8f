// World: what all parts of a run share.
#ifndef SLIPSTREAM_TESTS_SIM_WORLD_H_
#define SLIPSTREAM_TESTS_SIM_WORLD_H_

#include <memory>
#include <vector>

#include "absl/time/time.h"
#include "base/random.h"
#include "tests/sim/checkers/checker.h"
#include "tests/sim/failure.h"
#include "tests/sim/history.h"
#include "tests/sim/network.h"
#include "tests/sim/scheduler.h"
#include "tests/sim/trace.h"

namespace slipstream::sim {

// Not thread-safe; owned by the simulation.
struct World {
  World(absl::Time start, base::Random network_rng)
      : scheduler(start), trace(&scheduler), network(&scheduler, network_rng) {}

  // Tells all checkers: `Tell(&Checker::OnCrashed, node)`.
  template <typename... Parameters, typename... Arguments>
  void Tell(void (Checker::*event)(Parameters...), Arguments&&... arguments) {
    for (const std::unique_ptr<Checker>& checker : checkers) (checker.get()->*event)(arguments...);
  }

  Scheduler scheduler;
  Trace trace;
  Network network;
  FailureLog failures;
  History history;
  std::vector<std::unique_ptr<Checker>> checkers;
};

}  // namespace slipstream::sim

#endif  // SLIPSTREAM_TESTS_SIM_WORLD_H_

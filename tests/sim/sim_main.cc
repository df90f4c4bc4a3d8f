// Runs simulations and prints a line for each.
//
//   sim_main --seed=N             one seed
//   sim_main --seed=N --seeds=M   M seeds from N on
//
// Exits with 1 if one fails, after printing the promise that it broke and the end of its trace, and
// with 2 if an argument is wrong.
#include <cstdint>
#include <cstdio>

#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "tests/sim/simulation.h"

namespace slipstream::sim {
namespace {

struct Arguments {
  uint64_t seed = 1;
  uint64_t seed_count = 1;
};

bool ParseArguments(int count, char** values, Arguments& arguments) {
  for (int index = 1; index < count; ++index) {
    absl::string_view value = values[index];
    uint64_t* const number = absl::ConsumePrefix(&value, "--seed=")    ? &arguments.seed
                             : absl::ConsumePrefix(&value, "--seeds=") ? &arguments.seed_count
                                                                       : nullptr;
    if (number == nullptr || !absl::SimpleAtoi(value, number)) {
      absl::FPrintF(stderr, "%s: not --seed=NUMBER or --seeds=COUNT\n", values[index]);
      return false;
    }
  }
  return true;
}

void Print(const SimulationResult& result) {
  absl::PrintF(
      "seed=%d trace=%016x operations=%d nodes=%d faults=%d sessions=%d converged_after=%.1fs\n",
      result.seed, result.trace_hash, result.operation_count, result.node_count, result.fault_count,
      result.repair_session_count, result.converged_after_seconds);
  if (!result.failure.has_value()) return;
  absl::PrintF("%s\nseed %d broke %s: %s\n", result.trace_tail, result.seed,
               result.failure->invariant, result.failure->what);
}

int Main(int count, char** values) {
  Arguments arguments;
  if (!ParseArguments(count, values, arguments)) return 2;
  uint64_t failure_count = 0;
  uint64_t operation_count = 0;
  for (uint64_t index = 0; index < arguments.seed_count; ++index) {
    const SimulationResult result = RunSimulation(arguments.seed + index);
    Print(result);
    std::fflush(stdout);
    operation_count += result.operation_count;
    if (result.failure.has_value()) ++failure_count;
  }
  absl::PrintF("seeds=%d failures=%d operations=%d\n", arguments.seed_count, failure_count,
               operation_count);
  return failure_count == 0 ? 0 : 1;
}

}  // namespace
}  // namespace slipstream::sim

int main(int argc, char** argv) { return slipstream::sim::Main(argc, argv); }

// A fixed set of seeds, for every change. Long runs: bazel run -c opt //tests/sim:sim_main.
#include <cstdint>

#include "gtest/gtest.h"
#include "tests/sim/simulation.h"

namespace slipstream::sim {
namespace {

constexpr uint64_t kBlockSeeds = 25;
constexpr uint64_t kBlocks = 20;

// A block of seeds a case, so that they spread over the shards of the test.
class SimTest : public testing::TestWithParam<uint64_t> {};

TEST_P(SimTest, KeepsAllPromises) {
  for (uint64_t index = 0; index < kBlockSeeds; ++index) {
    const uint64_t seed = 1 + GetParam() * kBlockSeeds + index;
    const SimulationResult result = RunSimulation(seed);
    ASSERT_FALSE(result.failure.has_value())
        << result.trace_tail << "\nseed " << seed << " broke " << result.failure->invariant << ": "
        << result.failure->what << "\nrun again: bazel run //tests/sim:sim_main -- --seed=" << seed;
    EXPECT_GT(result.operation_count, 0);
  }
}

TEST_P(SimTest, ASeedDecidesEverything) {
  const uint64_t seed = 1 + GetParam() * kBlockSeeds;
  const SimulationResult first = RunSimulation(seed);
  const SimulationResult second = RunSimulation(seed);
  EXPECT_EQ(first.trace_hash, second.trace_hash);
  EXPECT_EQ(first.operation_count, second.operation_count);
}

INSTANTIATE_TEST_SUITE_P(Seeds, SimTest, testing::Range<uint64_t>(0, kBlocks));

TEST(SimSeedsTest, AreDifferentRuns) {
  EXPECT_NE(RunSimulation(1).trace_hash, RunSimulation(2).trace_hash);
}

}  // namespace
}  // namespace slipstream::sim

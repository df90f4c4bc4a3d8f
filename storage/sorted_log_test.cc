#include "storage/sorted_log.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <numeric>
#include <utility>
#include <vector>

#include "base/key_id.h"
#include "base/random.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/memory_file_system.h"
#include "storage/run_reader.h"
#include "storage/testing/small_runs.h"

namespace slipstream::storage {
namespace {

using Sizes = std::vector<uint64_t>;

TEST(SortedLogTest, StartsWithoutRuns) {
  const SortedLog sorted_log;
  ASSERT_NE(sorted_log.view().runs, nullptr);
  EXPECT_TRUE(sorted_log.view().runs->runs().empty());
  EXPECT_EQ(sorted_log.view().generation, sorted_log.generation());
}

TEST(SortedLogTest, EveryChangeIsANewGenerationAndLeavesOldViewsAsTheyAre) {
  MemoryFileSystem fs;
  base::Random rng(1);
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<const SortedRun> run,
                       testing::BuildRun(&fs, testing::DrawRunContent(rng, 3), 1));
  SortedLog sorted_log;
  const SortedLog::View before = sorted_log.view();
  sorted_log.Replace({run});
  const SortedLog::View with_one = sorted_log.view();
  EXPECT_GT(with_one.generation, before.generation);
  EXPECT_EQ(sorted_log.generation(), with_one.generation);
  // To the same list, too: whoever compares must look again.
  sorted_log.Replace({run});
  EXPECT_GT(sorted_log.generation(), with_one.generation);
  sorted_log.Replace({});
  EXPECT_TRUE(before.runs->runs().empty());
  ASSERT_EQ(with_one.runs->runs().size(), 1u);
  const auto found = with_one.runs->Find(testing::NumberedKeyId(0));
  ASSERT_OK(found);
  EXPECT_TRUE(found->has_value());
  EXPECT_TRUE(sorted_log.view().runs->runs().empty());
}

TEST(RunsToMergeTest, TakesTheNewestOfAboutOneSize) {
  EXPECT_EQ(RunsToMerge({}), 0u);
  EXPECT_EQ(RunsToMerge({5}), 0u);
  EXPECT_EQ(RunsToMerge({5, 5, 5}), 0u);
  EXPECT_EQ(RunsToMerge({5, 5, 5, 5}), 4u);
  EXPECT_EQ(RunsToMerge({5, 5, 5, 5, 5}), 5u);
  // The next one is not longer than twice the sum of those above it.
  EXPECT_EQ(RunsToMerge({1, 2, 6, 18}), 4u);
  EXPECT_EQ(RunsToMerge({1, 2, 6, 19}), 0u);
  EXPECT_EQ(RunsToMerge({1, 3, 1, 1}), 0u);
  EXPECT_EQ(RunsToMerge({5, 5, 5, 5, 41}), 4u);
  EXPECT_EQ(RunsToMerge({5, 5, 5, 5, 40, 1}), 6u);
  EXPECT_EQ(RunsToMerge({10, 1, 1, 1}), 4u);
}

TEST(RunsToMergeTest, TooManyAreMergedWhateverTheirSizesAre) {
  Sizes sizes;
  for (uint64_t bytes = 1; sizes.size() < 11; bytes *= 4) sizes.push_back(bytes);
  EXPECT_EQ(RunsToMerge(sizes), 0u);
  sizes.push_back(1'000'000'000);
  EXPECT_EQ(RunsToMerge(sizes), 4u);
}

TEST(RunsToMergeTest, NamesNoMoreThanThereAreAndNeverOneAlone) {
  base::Random rng(1);
  for (int round = 0; round < 10'000; ++round) {
    Sizes sizes(rng.Below(20));
    for (uint64_t& bytes : sizes) bytes = 1 + rng.Below(uint64_t{1} << rng.Below(30));
    const size_t count = RunsToMerge(sizes);
    EXPECT_LE(count, sizes.size());
    EXPECT_NE(count, 1u);
    if (sizes.size() >= 12) EXPECT_GE(count, 4u);
  }
}

// What a series of checkpoints came to.
struct Outcome {
  size_t run_count_max = 0;
  uint64_t written_bytes = 0;    // By checkpoints.
  uint64_t rewritten_bytes = 0;  // By merges.
};

// Adds runs of the lengths that `next_bytes` returns, and merges when told to. A merged run is of
// the sum of what it was made of, but not longer than `bytes_max`: keys that occur in several count
// once.
template <typename NextBytes>
Outcome Simulate(int checkpoint_count, uint64_t bytes_max, NextBytes next_bytes) {
  Outcome outcome;
  Sizes sizes;  // Newest first.
  for (int i = 0; i < checkpoint_count; ++i) {
    sizes.insert(sizes.begin(), next_bytes());
    outcome.written_bytes += sizes.front();
    outcome.run_count_max = std::max(outcome.run_count_max, sizes.size());
    while (const size_t count = RunsToMerge(sizes)) {
      const auto end = sizes.begin() + static_cast<ptrdiff_t>(count);
      const uint64_t merged = std::min(bytes_max, std::accumulate(sizes.begin(), end, uint64_t{0}));
      sizes.erase(sizes.begin(), end);
      sizes.insert(sizes.begin(), merged);
      outcome.rewritten_bytes += merged;
    }
  }
  return outcome;
}

TEST(RunsToMergeTest, ALongSeriesOfEqualRunsStaysFewAndCheap) {
  // A byte is rewritten a logarithmic number of times.
  for (const auto& [checkpoint_count, rewrites_max] :
       {std::pair<int, uint64_t>{1000, 6}, {10'000, 9}, {100'000, 11}}) {
    const Outcome outcome = Simulate(checkpoint_count, UINT64_MAX, [] { return uint64_t{1000}; });
    EXPECT_LE(outcome.run_count_max, 12u);
    EXPECT_LE(outcome.rewritten_bytes, rewrites_max * outcome.written_bytes);
  }
}

TEST(RunsToMergeTest, ALongSeriesOfAnyRunsStaysFew) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    base::Random rng(seed);
    const uint64_t bits_max = 1 + rng.Below(24);
    const Outcome outcome = Simulate(20'000, UINT64_MAX, [&] {
      return 1 + rng.Below(uint64_t{1} << (1 + rng.Below(bits_max)));
    });
    EXPECT_LE(outcome.run_count_max, 12u) << seed;
    EXPECT_LE(outcome.rewritten_bytes, 12 * outcome.written_bytes) << seed;
  }
}

TEST(RunsToMergeTest, OverwritesOfABoundedSetOfKeysStayCheap) {
  // All keys take 1,000 times what changes between two checkpoints.
  const Outcome outcome = Simulate(50'000, 1'000'000, [] { return uint64_t{1000}; });
  EXPECT_LE(outcome.run_count_max, 12u);
  EXPECT_LE(outcome.rewritten_bytes, 12 * outcome.written_bytes);
}

}  // namespace
}  // namespace slipstream::storage

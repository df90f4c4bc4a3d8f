// Crashes a scripted store at every call to the file system, with every mixture of what had not
// been synced, and holds what comes back to the account of what was written.

#include <cstdint>
#include <cstdio>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/random.h"
#include "base/testing/status_matchers.h"
#include "gtest/gtest.h"
#include "storage/engine.h"
#include "storage/memory_file_system.h"
#include "storage/options.h"
#include "storage/testing/small_store.h"

namespace slipstream::storage {
namespace {

using testing::Account;
using testing::AllEntries;
using testing::CheckEntriesAgainstLog;
using testing::ColdOptions;
using testing::kDirectory;
using testing::Noon;
using testing::Script;
using testing::SmallOptions;

// Which mixtures of n unsynced units are tried: all 2^n of them up to units_max, else random ones.
struct Mixtures {
  size_t units_max = 12;
  uint64_t random_count = 64;
};

// Reopens what the crash left, twice, and goes on with a write and so many steps of maintenance.
// `account` is a copy for this crash alone.
void CheckCrashed(MemoryFileSystem& fs, Account account, const Options& options,
                  int maintenance_count = 0) {
  base::Random rng(7);
  std::vector<Entry> first_entries;
  {
    ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Engine> engine,
                         Engine::Open(&fs, kDirectory, options, &rng, nullptr));
    ASSERT_OK(account.CheckReopened(*engine));
    ASSERT_OK(CheckEntriesAgainstLog(*engine, &fs));
    ASSERT_TRUE(engine->recovery_report().damaged.empty())
        << engine->recovery_report().damaged[0].cause;
    first_entries = AllEntries(*engine);
  }
  base::Random power(11);
  fs.Crash(&power);
  ASSERT_OK_AND_ASSIGN(std::unique_ptr<Engine> engine,
                       Engine::Open(&fs, kDirectory, options, &rng, nullptr));
  ASSERT_OK(account.CheckReopened(*engine));
  ASSERT_EQ(AllEntries(*engine), first_entries);
  const Mutation put{.key = "after", .value = "the crash"};
  ASSERT_OK_AND_ASSIGN(const WriteResult result, engine->Write({put}, Atomicity::kEach, Noon()));
  account.Wrote({put}, Atomicity::kEach, result);
  ASSERT_OK_AND_ASSIGN(const Lsn durable_lsn, engine->Flush(Engine::FlushMode::kSync));
  account.Durable(durable_lsn);
  for (int i = 0; i < maintenance_count; ++i) ASSERT_OK(engine->Maintain());
  ASSERT_OK(account.CheckReads(*engine));
  engine.reset();
  fs.Crash(&power);
  ASSERT_OK_AND_ASSIGN(engine, Engine::Open(&fs, kDirectory, options, &rng, nullptr));
  ASSERT_OK(account.CheckReopened(*engine));
  ASSERT_OK(CheckEntriesAgainstLog(*engine, &fs));
}

struct Course {
  uint64_t seed = 0;
  int step_count = 60;
  int maintenance_per_step = 0;
  bool large_transactions = false;
  uint64_t compacted_segment_count_min = 0;  // In the last of its lives, if nothing crashes.
  Mixtures mixtures = {};
};

// Returns how many crashed states were checked.
int CrashEverywhere(const Options& options, const Course& course) {
  const Mixtures& mixtures = course.mixtures;
  const uint64_t seed = course.seed;
  int state_count = 0;
  for (uint64_t call = 1;; ++call) {
    MemoryFileSystem fs;
    fs.InjectFault({.call = call, .lasting = true});
    Script script(&fs, options, seed);
    script.set_maintenance_per_step(course.maintenance_per_step);
    if (course.large_transactions) script.set_large_transactions();
    const absl::Status status = script.Run(course.step_count, Script::OnError::kStop);
    if (status.ok()) {
      EXPECT_GE(script.engine()->stats().compacted_segment_count,
                course.compacted_segment_count_min);
    }
    script.DropEngine();
    EXPECT_FALSE(absl::IsInternal(status)) << status;
    const size_t unit_count = fs.UnsyncedUnitCount();
    const bool enumerated = unit_count <= mixtures.units_max;
    const uint64_t mask_count = enumerated ? uint64_t{1} << unit_count : mixtures.random_count;
    base::Random rng(call);
    for (uint64_t mask = 0; mask < mask_count; ++mask) {
      SCOPED_TRACE(absl::StrCat("seed ", seed, " call ", call, " mask ", mask));
      const std::unique_ptr<MemoryFileSystem> crashed = fs.Clone();
      if (enumerated) {
        crashed->CrashKeeping([mask](size_t unit) { return (mask >> unit & 1) != 0; });
      } else {
        crashed->Crash(&rng);
      }
      CheckCrashed(*crashed, script.account(), options, 5 * course.maintenance_per_step);
      ++state_count;
      if (::testing::Test::HasFailure()) return state_count;
    }
    if (status.ok()) return state_count;
  }
}

class EngineCrashTest : public ::testing::TestWithParam<uint64_t> {};

TEST_P(EngineCrashTest, EveryCallAndEveryMixtureKeepsWhatWasDurable) {
  std::printf("%d crashed states\n", CrashEverywhere(SmallOptions(), {.seed = GetParam()}));
}

INSTANTIATE_TEST_SUITE_P(Seeds, EngineCrashTest, ::testing::Values(1, 2, 3));

class ColdEngineCrashTest : public ::testing::TestWithParam<uint64_t> {};

TEST_P(ColdEngineCrashTest, EveryCallAndEveryMixtureKeepsWhatWasDurable) {
  std::printf("%d crashed states\n",
              CrashEverywhere(ColdOptions(), {.seed = GetParam(),
                                              .step_count = 40,
                                              .mixtures = {.units_max = 4, .random_count = 12}}));
}

INSTANTIATE_TEST_SUITE_P(Seeds, ColdEngineCrashTest, ::testing::Values(1, 2, 3, 4));

class CompactionCrashTest : public ::testing::TestWithParam<uint64_t> {};

// Steps of a few records, so that writes, kills and restarts come between all of them.
TEST_P(CompactionCrashTest, EveryCallAndEveryMixtureKeepsWhatWasDurable) {
  Options options = SmallOptions();
  options.compaction_step_bytes = 300;
  for (const SyncPolicy policy : {SyncPolicy::kAlways, SyncPolicy::kNone}) {
    options.sync = policy;
    std::printf("%d crashed states\n",
                CrashEverywhere(options, {.seed = GetParam(),
                                          .step_count = 60,
                                          .maintenance_per_step = 4,
                                          .compacted_segment_count_min = 1}));
    if (HasFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, CompactionCrashTest, ::testing::Values(1, 2, 3));

class TransactionCrashTest : public ::testing::TestWithParam<uint64_t> {};

// Transactions of several frames and segments, with checkpoints, evictions and compaction between.
TEST_P(TransactionCrashTest, EveryCallAndEveryMixtureKeepsWhatWasDurable) {
  for (Options options : {SmallOptions(), ColdOptions()}) {
    options.compaction_step_bytes = 300;
    std::printf("%d crashed states\n",
                CrashEverywhere(options, {.seed = GetParam(),
                                          .step_count = 14,
                                          .maintenance_per_step = 2,
                                          .large_transactions = true,
                                          .mixtures = {.units_max = 3, .random_count = 8}}));
    if (HasFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, TransactionCrashTest, ::testing::Values(1, 2, 3, 4));

TEST(WeakSyncCrashTest, KeepsWhatWasSynced) {
  Options options = SmallOptions();
  for (const SyncPolicy policy : {SyncPolicy::kInterval, SyncPolicy::kNone}) {
    options.sync = policy;
    const int state_count = CrashEverywhere(options, {.seed = 4});
    std::printf("%d crashed states\n", state_count);
    if (HasFailure()) return;
  }
}

TEST(TornSectorCrashTest, CutsTheTailOff) {
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    MemoryFileSystem fs;
    base::Random rng(seed);
    Script script(&fs, SmallOptions(), seed);
    ASSERT_OK(script.Run(static_cast<int>(rng.Below(80)), Script::OnError::kStop));
    script.DropEngine();
    fs.Crash(&rng);
    CheckCrashed(fs, script.account(), SmallOptions());
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace slipstream::storage

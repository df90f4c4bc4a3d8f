// Crashes a scripted store at every call to the file system, with every mixture of what had not
// been synced, and holds what comes back to the account of what was written.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <initializer_list>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/config.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/random.h"
#include "base/status_macros.h"
#include "base/testing/status_matchers.h"
#include "gtest/gtest.h"
#include "storage/engine.h"
#include "storage/entry.h"
#include "storage/file_system.h"
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

// Which mixtures of n unsynced units are tried: all 2^n of them up to so many units, else random
// ones.
constexpr size_t kEnumeratedUnitsMax = 12;

// Sanitizers cost a multiple: then only every n-th call is crashed at, and of its states every n-th
// is checked.
#if defined(ABSL_HAVE_THREAD_SANITIZER)
constexpr uint64_t kStride = 5;
#elif defined(ABSL_HAVE_ADDRESS_SANITIZER)
constexpr uint64_t kStride = 3;
#else
constexpr uint64_t kStride = 1;
#endif

// Opens what a crash left and holds all that it has to `account` and to the log.
absl::StatusOr<std::unique_ptr<Engine>> Reopen(MemoryFileSystem& fs, const Options& options,
                                               base::Random& rng, Account& account,
                                               std::vector<Entry>& entries) {
  SLIP_ASSIGN_OR_RETURN(std::unique_ptr<Engine> engine,
                        Engine::Open(&fs, kDirectory, options, &rng, nullptr));
  entries = AllEntries(*engine);
  SLIP_RETURN_IF_ERROR(account.CheckReopened(*engine, entries));
  return engine;
}

// Reopens what the crash left, twice, and goes on with a write and so many steps of maintenance.
// `account` is a copy for this crash alone.
void CheckCrashed(MemoryFileSystem& fs, Account account, const Options& options,
                  int maintenance_count = 0) {
  base::Random rng(7);
  std::vector<Entry> first_entries;
  std::vector<Entry> entries;
  {
    ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Engine> engine,
                         Reopen(fs, options, rng, account, first_entries));
    ASSERT_OK(CheckEntriesAgainstLog(*engine, first_entries, &fs));
    ASSERT_TRUE(engine->recovery_report().damaged.empty())
        << engine->recovery_report().damaged[0].cause;
  }
  base::Random power(11);
  fs.Crash(&power);
  ASSERT_OK_AND_ASSIGN(std::unique_ptr<Engine> engine, Reopen(fs, options, rng, account, entries));
  ASSERT_EQ(entries, first_entries);
  const Mutation put{.key = "after", .value = "the crash"};
  ASSERT_OK_AND_ASSIGN(const WriteResult result, engine->Write({put}, Atomicity::kEach, Noon()));
  account.Wrote({put}, Atomicity::kEach, result);
  ASSERT_OK_AND_ASSIGN(const Lsn durable_lsn, engine->Flush(Engine::FlushMode::kSync));
  account.Durable(durable_lsn);
  for (int i = 0; i < maintenance_count; ++i) ASSERT_OK(engine->Maintain());
  ASSERT_OK(account.CheckReads(*engine));
  engine.reset();
  fs.Crash(&power);
  ASSERT_OK_AND_ASSIGN(engine, Reopen(fs, options, rng, account, entries));
  ASSERT_OK(CheckEntriesAgainstLog(*engine, entries, &fs));
}

// What is on the disk, in a number.
size_t HashOf(MemoryFileSystem& fs) {
  size_t hash = 0;
  const absl::StatusOr<std::vector<std::string>> names = fs.ListDirectory(kDirectory);
  if (!names.ok()) return hash;
  for (const std::string& name : *names) {
    const std::string contents = fs.Contents(JoinPath(kDirectory, name));
    hash = hash * 31 + std::hash<std::string>()(name);
    hash = hash * 31 + std::hash<std::string>()(contents);
  }
  return hash;
}

// A script and how to crash it.
struct Course {
  const char* name = "";
  Options options;
  uint64_t seed = 0;
  int step_count = 60;
  int maintenance_per_step = 0;
  bool large_transactions = false;
  bool streams = false;
  // In the last of its lives, if nothing crashes.
  uint64_t compacted_segment_count_min = 0;
  uint64_t recycled_segment_count_min = 0;
  uint64_t random_mixture_count = 64;
  uint64_t torn_mixture_count = 0;  // Random ones beside all others, with torn sectors.
  int state_count_min = 0;          // Fewer would mean that the course has lost what it was for.
};

struct StateCounts {
  int all = 0;
  int different = 0;
};

// Crashes a course at its calls, one after the other. What a crash leaves that was checked before,
// with the same account, is not checked again.
class CrashRun {
 public:
  explicit CrashRun(const Course& course) : course_(course) {}

  // Stops at the first state that fails.
  StateCounts Everywhere() {
    uint64_t call = 1;
    while (!At(call) && !::testing::Test::HasFailure()) call += kStride;
    return counts_;
  }

 private:
  // Lets everything fail from the `call`-th call on, then loses power. Returns whether the course
  // had ended before.
  bool At(uint64_t call) {
    MemoryFileSystem fs;
    fs.InjectFault({.call = call, .lasting = true});
    Script script(&fs, course_.options, course_.seed);
    script.set_maintenance_per_step(course_.maintenance_per_step);
    if (course_.large_transactions) script.set_large_transactions();
    if (course_.streams) script.set_streams();
    const absl::Status status = script.Run(course_.step_count, Script::OnError::kStop);
    if (status.ok()) {
      EXPECT_GE(script.engine()->stats().compacted_segment_count,
                course_.compacted_segment_count_min);
      EXPECT_GE(script.engine()->stats().recycled_segment_count,
                course_.recycled_segment_count_min);
    }
    script.DropEngine();
    EXPECT_FALSE(absl::IsInternal(status)) << status;
    base::Random rng(call);
    const size_t unit_count = fs.UnsyncedUnitCount();
    const bool enumerated = unit_count <= kEnumeratedUnitsMax;
    const uint64_t enumerated_count = enumerated ? uint64_t{1} << unit_count : 0;
    const uint64_t mixture_count =
        enumerated ? enumerated_count + course_.torn_mixture_count : course_.random_mixture_count;
    for (uint64_t mask = 0; mask < mixture_count && !::testing::Test::HasFailure(); ++mask) {
      if (++state_number_ % kStride != 0) continue;
      SCOPED_TRACE(absl::StrCat(course_.name, course_.seed, " call ", call, " mask ", mask));
      const std::unique_ptr<MemoryFileSystem> crashed = fs.Clone();
      if (mask < enumerated_count) {
        crashed->CrashKeeping([mask](size_t unit) { return (mask >> unit & 1) != 0; });
      } else {
        crashed->Crash(&rng);
      }
      Check(*crashed, script.account());
    }
    return status.ok();
  }

  void Check(MemoryFileSystem& crashed, const Account& account) {
    ++counts_.all;
    if (!seen_.emplace(account.revision(), HashOf(crashed)).second) return;
    ++counts_.different;
    CheckCrashed(crashed, account, course_.options, 5 * course_.maintenance_per_step);
  }

  const Course& course_;
  uint64_t state_number_ = 0;
  StateCounts counts_;
  std::set<std::pair<uint64_t, size_t>> seen_;  // Revisions of the account, disks.
};

// A seed, and how many states it has at least, some three quarters of what it has now: fewer would
// mean that the course has lost what it was for. When the engine changes the calls that it makes,
// mend the figures and add seeds.
struct SeededStates {
  uint64_t seed = 0;
  int state_count_min = 0;
};

void AddCourses(Course course, std::initializer_list<SeededStates> seeds,
                std::vector<Course>& plan) {
  for (const SeededStates& seeded : seeds) {
    course.seed = seeded.seed;
    course.state_count_min = seeded.state_count_min;
    plan.push_back(course);
  }
}

Options WithSync(Options options, SyncPolicy sync) {
  options.sync = sync;
  return options;
}

// All courses: the log alone; weak syncs; compaction in steps of a few records, so that writes,
// kills and restarts come between all of them; segments that are recycled; keys that leave memory
// whenever they may.
std::vector<Course> Plan() {
  const Options small = SmallOptions();
  Options compacting = small;
  compacting.compaction_step_bytes = 300;
  const Course compaction{.name = "Compaction",
                          .options = compacting,
                          .maintenance_per_step = 4,
                          .compacted_segment_count_min = 1};
  Course compaction_without_sync = compaction;
  compaction_without_sync.name = "CompactionWithoutSync";
  compaction_without_sync.options.sync = SyncPolicy::kNone;

  Course recycling = compaction;
  recycling.name = "Recycling";
  recycling.options.segment_bytes = 32768;
  recycling.step_count = 70;
  recycling.recycled_segment_count_min = 2;
  recycling.torn_mixture_count = 16;

  std::vector<Course> plan;
  AddCourses({.name = "Hot", .options = small},
             {{1, 1000},
              {2, 770},
              {3, 780},
              {4, 260},
              {5, 300},
              {6, 380},
              {7, 390},
              {8, 990},
              {9, 2100},
              {10, 350}},
             plan);
  AddCourses({.name = "SyncInterval", .options = WithSync(small, SyncPolicy::kInterval)},
             {{4, 350}}, plan);
  AddCourses({.name = "SyncNone", .options = WithSync(small, SyncPolicy::kNone)}, {{4, 350}}, plan);
  AddCourses(compaction, {{1, 1200}, {2, 850}, {3, 1100}, {4, 1200}, {5, 1200}}, plan);
  AddCourses(compaction_without_sync, {{1, 1200}, {2, 850}, {4, 1100}, {5, 1200}, {7, 1000}}, plan);
  AddCourses(recycling, {{29, 3700}, {60, 3100}, {71, 2900}, {125, 2900}}, plan);
  AddCourses({.name = "Cold", .options = ColdOptions(), .step_count = 40},
             {{1, 6200}, {2, 10'400}, {3, 9500}, {4, 16'200}, {5, 7000}, {6, 12'800}, {8, 13'400}},
             plan);
  // Of several frames and segments, with checkpoints, evictions and compaction between.
  Course transactions{.name = "Transactions",
                      .options = compacting,
                      .step_count = 30,
                      .maintenance_per_step = 2,
                      .large_transactions = true};
  AddCourses(transactions, {{1, 3300}, {2, 430}, {3, 6900}, {4, 930}}, plan);
  transactions.name = "ColdTransactions";
  transactions.step_count = 14;
  transactions.options = ColdOptions();
  transactions.options.compaction_step_bytes = compacting.compaction_step_bytes;
  AddCourses(transactions, {{1, 9800}, {2, 10'300}, {3, 10'300}, {4, 10'300}}, plan);
  // With streams open while all that goes on.
  Course streams{.name = "Streams",
                 .options = compacting,
                 .step_count = 50,
                 .maintenance_per_step = 4,
                 .streams = true,
                 .compacted_segment_count_min = 1};
  AddCourses(streams, {{1, 6200}, {4, 6700}, {6, 2500}, {7, 4800}, {8, 6200}}, plan);
  streams.name = "ColdStreams";
  streams.step_count = 24;
  streams.maintenance_per_step = 3;
  streams.options = ColdOptions();
  streams.options.compaction_step_bytes = compacting.compaction_step_bytes;
  AddCourses(streams, {{1, 24'000}, {2, 17'000}, {5, 19'500}}, plan);
  return plan;
}

TEST(CrashPlanTest, HasAHundredThousandStates) {
  int state_count = 0;
  for (const Course& course : Plan()) state_count += course.state_count_min;
  EXPECT_GE(state_count, 100'000);
}

class EngineCrashTest : public ::testing::TestWithParam<Course> {};

TEST_P(EngineCrashTest, EveryCallAndEveryMixtureKeepsWhatWasDurable) {
  const StateCounts counts = CrashRun(GetParam()).Everywhere();
  std::printf("%d crashed states, %d of them different\n", counts.all, counts.different);
  EXPECT_GE(counts.all, kStride == 1 ? GetParam().state_count_min : 1);
}

INSTANTIATE_TEST_SUITE_P(Courses, EngineCrashTest, ::testing::ValuesIn(Plan()),
                         [](const ::testing::TestParamInfo<Course>& info) {
                           return absl::StrCat(info.param.name, info.param.seed);
                         });

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

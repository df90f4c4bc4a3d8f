#include "storage/run_merge.h"

#include <cstdint>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "base/random.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/memory_file_system.h"
#include "storage/run_set.h"
#include "storage/testing/small_runs.h"

namespace slipstream::storage {
namespace {

using base::testing::StatusIs;
using testing::BuildRun;
using testing::DrawRunEntry;
using ::testing::ElementsAre;
using testing::kRunDirectory;
using testing::kRunNodeId;
using testing::NumberedKeyId;
using testing::RunContent;
using Verdict = RunMerge::Verdict;

constexpr uint64_t kMergedNumber = 100;

Verdict KeepAll(absl::Span<const RunEntry>) { return Verdict::kKeep; }

class RunMergeTest : public ::testing::Test {
 protected:
  // Puts a run of `count` of the keys from 0 to key_count - 1, all newer, on top.
  void Spill(uint64_t count, uint64_t key_count) {
    RunContent content;
    for (uint64_t i = 0; i < count; ++i) {
      const base::KeyId key_id = NumberedKeyId(rng_.Below(key_count));
      content[key_id] = DrawRunEntry(rng_, key_id, ++hlc_);
    }
    for (const auto& [key_id, entry] : content) {
      versions_[key_id].insert(versions_[key_id].begin(), entry);
    }
    Push(content);
  }

  void Push(const RunContent& content) {
    ASSERT_OK_AND_ASSIGN(std::shared_ptr<const SortedRun> run, BuildRun(&fs_, content, ++number_));
    runs_.insert(runs_.begin(), std::move(run));
  }

  absl::StatusOr<std::unique_ptr<RunMerge>> Create() {
    return RunMerge::Create(&fs_, kRunDirectory, runs_,
                            {.node_id = kRunNodeId, .run_number = kMergedNumber});
  }

  absl::Status Merge(size_t step_bytes, RunMerge::Settle settle) {
    absl::StatusOr<std::unique_ptr<RunMerge>> merge = Create();
    if (!merge.ok()) return merge.status();
    steps_ = 0;
    absl::StatusOr<bool> more = true;
    while (more.ok() && *more) {
      more = (*merge)->Step(step_bytes, settle);
      ++steps_;
    }
    return more.status();
  }

  absl::StatusOr<std::unique_ptr<SortedRun>> OpenMerged() {
    return SortedRun::Open(&fs_, kRunDirectory,
                           {.node_id = kRunNodeId, .run_number = kMergedNumber});
  }

  MemoryFileSystem fs_;
  base::Random rng_{1};
  uint64_t hlc_ = 0;
  uint64_t number_ = 0;
  uint64_t steps_ = 0;
  Runs runs_;
  std::map<base::KeyId, std::vector<RunEntry>> versions_;  // Newest first.
};

TEST_F(RunMergeTest, CallsBackOncePerKeyNewestFirstAndKeepsTheNewest) {
  for (int round = 0; round < 5; ++round) Spill(600, 1000);
  auto expected = versions_.begin();
  ASSERT_OK(Merge(5000, [&](absl::Span<const RunEntry> newest_first) {
    EXPECT_EQ(newest_first, absl::MakeConstSpan(expected->second));
    ++expected;
    return Verdict::kKeep;
  }));
  EXPECT_EQ(expected, versions_.end());
  // 3000 entries of 88 bytes in steps of 5000 bytes, and the last step.
  EXPECT_GT(steps_, 40u);
  EXPECT_LT(steps_, 60u);
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<SortedRun> merged, OpenMerged());
  EXPECT_EQ(merged->entry_count(), versions_.size());
  for (const auto& [key_id, newest_first] : versions_) {
    ASSERT_OK_AND_ASSIGN(const absl::optional<RunEntry> found, merged->Find(key_id));
    EXPECT_EQ(found, MergedEntry(newest_first));
  }
}

TEST_F(RunMergeTest, MergedEntryShadowsWhatTheOldestDid) {
  const base::KeyId key_id = NumberedKeyId(1);
  RunEntry newest = DrawRunEntry(rng_, key_id, 2);
  RunEntry oldest = DrawRunEntry(rng_, key_id, 1);
  newest.shadow_counted = true;
  oldest.shadow_counted = false;
  RunEntry merged = MergedEntry({newest, oldest});
  EXPECT_FALSE(merged.shadow_counted);
  EXPECT_EQ(merged.located, newest.located);
  newest.shadow_counted = false;
  oldest.shadow_counted = true;
  EXPECT_TRUE(MergedEntry({newest, oldest}).shadow_counted);
  EXPECT_EQ(MergedEntry({newest}), newest);
}

TEST_F(RunMergeTest, DroppedKeysAreNotInTheMergedRun) {
  Spill(300, 500);
  Spill(300, 500);
  ASSERT_OK(Merge(1, [](absl::Span<const RunEntry> newest_first) {
    return newest_first.front().located.entry.tombstone ? Verdict::kDrop : Verdict::kKeep;
  }));
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<SortedRun> merged, OpenMerged());
  for (const auto& [key_id, newest_first] : versions_) {
    ASSERT_OK_AND_ASSIGN(const absl::optional<RunEntry> found, merged->Find(key_id));
    EXPECT_EQ(found.has_value(), !newest_first.front().located.entry.tombstone);
  }
}

TEST_F(RunMergeTest, EverythingDroppedIsAnEmptyRun) {
  Spill(100, 500);
  ASSERT_OK(Merge(1000, [](absl::Span<const RunEntry>) { return Verdict::kDrop; }));
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<SortedRun> merged, OpenMerged());
  EXPECT_EQ(merged->entry_count(), 0u);
  EXPECT_THAT(
      RunSet({std::shared_ptr<const SortedRun>(OpenMerged()->release())})
          .VisitRange(base::RangeOf(base::KeyPrefix{}), [](const RunEntry&) { return false; }),
      base::testing::IsOkAndHolds(true));
}

TEST_F(RunMergeTest, MergeOfNothingIsAnEmptyRun) {
  ASSERT_OK(fs_.CreateDirectory(kRunDirectory));
  ASSERT_OK(Merge(1000, KeepAll));
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<SortedRun> merged, OpenMerged());
  EXPECT_EQ(merged->entry_count(), 0u);
}

TEST_F(RunMergeTest, DamageStopsTheMergeForGoodAndLeavesNoFile) {
  Spill(100, 500);
  Spill(100, 500);
  fs_.FlipBit("/data/0000000000000001.run", kPageBytes + 100, 0);
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<RunMerge> merge, Create());
  EXPECT_THAT(merge->Step(1 << 20, KeepAll), StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_THAT(merge->Step(1 << 20, KeepAll), StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_THAT(
      fs_.ListDirectory(kRunDirectory),
      base::testing::IsOkAndHolds(ElementsAre("0000000000000001.run", "0000000000000002.run")));
}

TEST_F(RunMergeTest, EveryFailedCallIsReportedAndLeavesNoHalfRun) {
  Spill(1000, 1500);
  Spill(1000, 1500);
  const uint64_t before = fs_.call_count();
  ASSERT_OK(Merge(5000, KeepAll));
  const uint64_t call_count = fs_.call_count() - before;
  for (uint64_t call = 1; call <= call_count; ++call) {
    ASSERT_OK(fs_.Remove("/data/0000000000000064.run"));
    fs_.InjectFault({.call = call, .lasting = true});
    EXPECT_FALSE(Merge(5000, KeepAll).ok()) << call;
    fs_.ClearFaults();
    if (const auto merged = OpenMerged(); merged.ok()) {
      EXPECT_EQ((*merged)->entry_count(), versions_.size());
    } else {
      EXPECT_THAT(merged, StatusIs(absl::StatusCode::kNotFound));
      ASSERT_OK(Merge(5000, KeepAll));
    }
  }
}

TEST_F(RunMergeTest, RandomSpillsAndMergesAgreeWithAMap) {
  for (int round = 0; round < 40; ++round) {
    Spill(1 + rng_.Below(120), 200);
    if (!rng_.OneIn(3)) continue;
    // Merges adjacent runs, somewhere.
    const size_t first = rng_.Below(runs_.size());
    const size_t count = 1 + rng_.Below(runs_.size() - first);
    const Runs merged(runs_.begin() + first, runs_.begin() + first + count);
    ASSERT_OK_AND_ASSIGN(const std::unique_ptr<RunMerge> merge,
                         RunMerge::Create(&fs_, kRunDirectory, merged,
                                          {.node_id = kRunNodeId, .run_number = ++number_}));
    bool more = true;
    while (more) {
      ASSERT_OK_AND_ASSIGN(more, merge->Step(1 + rng_.Below(9000), KeepAll));
    }
    ASSERT_OK_AND_ASSIGN(
        std::shared_ptr<const SortedRun> run,
        SortedRun::Open(&fs_, kRunDirectory, {.node_id = kRunNodeId, .run_number = number_}));
    runs_.erase(runs_.begin() + first, runs_.begin() + first + count);
    runs_.insert(runs_.begin() + first, std::move(run));
    const RunSet set(runs_);
    for (const auto& [key_id, newest_first] : versions_) {
      ASSERT_OK_AND_ASSIGN(const absl::optional<RunEntry> found, set.Find(key_id));
      ASSERT_TRUE(found.has_value());
      EXPECT_EQ(found->located, newest_first.front().located);
    }
  }
}

}  // namespace
}  // namespace slipstream::storage

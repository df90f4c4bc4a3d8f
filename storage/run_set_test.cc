#include "storage/run_set.h"

#include <cstdint>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "base/random.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/memory_file_system.h"
#include "storage/testing/small_runs.h"

namespace slipstream::storage {
namespace {

using base::testing::StatusIs;
using testing::BuildRun;
using testing::DrawRunEntry;
using ::testing::HasSubstr;
using testing::NumberedKeyId;
using testing::RunContent;

const base::KeyRange kAll = base::RangeOf(base::KeyPrefix{});

class RunSetTest : public ::testing::Test {
 protected:
  // Puts a run of `count` of the keys from 0 to key_count - 1, all newer, on top.
  void Spill(uint64_t count, uint64_t key_count) {
    RunContent content;
    for (uint64_t i = 0; i < count; ++i) {
      const base::KeyId key_id = NumberedKeyId(rng_.Below(key_count));
      content[key_id] = DrawRunEntry(rng_, key_id, ++hlc_);
    }
    Push(content);
    for (const auto& [key_id, entry] : content) expected_[key_id] = entry;
  }

  void Push(const RunContent& content) {
    ASSERT_OK_AND_ASSIGN(std::shared_ptr<const SortedRun> run, BuildRun(&fs_, content, ++number_));
    runs_.insert(runs_.begin(), std::move(run));
  }

  MemoryFileSystem fs_;
  base::Random rng_{1};
  uint64_t hlc_ = 0;
  uint64_t number_ = 0;
  Runs runs_;
  RunContent expected_;
};

TEST_F(RunSetTest, EmptySetHoldsNothing) {
  const RunSet set({});
  EXPECT_FALSE(set.MayContain(NumberedKeyId(1)));
  ASSERT_OK_AND_ASSIGN(const absl::optional<RunEntry> found, set.Find(NumberedKeyId(1)));
  EXPECT_EQ(found, absl::nullopt);
  EXPECT_THAT(set.VisitRange(kAll, [](const RunEntry&) { return true; }),
              base::testing::IsOkAndHolds(true));
}

TEST_F(RunSetTest, AgreesWithAMap) {
  for (int round = 0; round < 6; ++round) {
    Spill(500, 1000);
    const RunSet set(runs_);
    for (uint64_t i = 0; i < 1200; ++i) {
      const base::KeyId key_id = NumberedKeyId(i);
      ASSERT_OK_AND_ASSIGN(const absl::optional<RunEntry> found, set.Find(key_id));
      const auto expected = expected_.find(key_id);
      ASSERT_EQ(found.has_value(), expected != expected_.end());
      if (!found) continue;
      EXPECT_EQ(*found, expected->second);
      EXPECT_TRUE(set.MayContain(key_id));
    }
    for (int bits = 0; bits < 12; ++bits) {
      const base::KeyRange range =
          base::RangeOf(base::MakePrefix(NumberedKeyId(rng_.Below(1000)), bits));
      auto expected = expected_.lower_bound(range.first);
      ASSERT_OK(set.VisitRange(range, [&](const RunEntry& entry) {
        EXPECT_EQ(entry, expected->second);
        ++expected;
        return true;
      }));
      EXPECT_EQ(expected, expected_.upper_bound(range.last));
    }
  }
}

TEST_F(RunSetTest, VisitStopsWhenTold) {
  Spill(100, 1000);
  int seen = 0;
  EXPECT_THAT(RunSet(runs_).VisitRange(kAll, [&](const RunEntry&) { return ++seen < 3; }),
              base::testing::IsOkAndHolds(false));
  EXPECT_EQ(seen, 3);
}

TEST_F(RunSetTest, PresentKeyCostsOneReadWhicheverRunHasIt) {
  for (int round = 0; round < 4; ++round) Spill(2000, 1'000'000);
  const RunSet set(runs_);
  const uint64_t before = fs_.call_count(MemoryFileSystem::Operation::kRead);
  for (const auto& [key_id, entry] : expected_) ASSERT_OK(set.Find(key_id));
  const uint64_t reads = fs_.call_count(MemoryFileSystem::Operation::kRead) - before;
  EXPECT_GE(reads, expected_.size());
  // At most three filters may be wrong, each in 1.5 % of the cases.
  EXPECT_LE(reads, expected_.size() * 1045 / 1000);
}

TEST_F(RunSetTest, OlderRunWithANewerVersionIsReported) {
  const base::KeyId key_id = NumberedKeyId(1);
  Push({{key_id, DrawRunEntry(rng_, key_id, 2)}});
  Push({{key_id, DrawRunEntry(rng_, key_id, 1)}});
  EXPECT_THAT(RunSet(runs_).VisitRange(kAll, [](const RunEntry&) { return true; }),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("0000000000000001.run: key_id ")));
}

TEST_F(RunSetTest, DamageIsReportedNotPassedOver) {
  Spill(100, 1000);
  Spill(100, 1000);
  fs_.FlipBit("/data/0000000000000001.run", kPageBytes + 100, 0);
  EXPECT_THAT(RunSet(runs_).VisitRange(kAll, [](const RunEntry&) { return true; }),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("0000000000000001.run: page 1")));
}

TEST_F(RunSetTest, AddsUpWhatItsRunsTake) {
  Spill(100, 1000);
  Spill(200, 1000);
  const RunSet set(runs_);
  EXPECT_EQ(set.entry_count(), runs_[0]->entry_count() + runs_[1]->entry_count());
  EXPECT_EQ(set.file_bytes(), runs_[0]->file_bytes() + runs_[1]->file_bytes());
  EXPECT_GT(set.memory_bytes(), runs_[0]->memory_bytes() + runs_[1]->memory_bytes());
}

TEST_F(RunSetTest, AsManyRunsAsAllowed) {
  for (size_t i = 0; i < kRunsMax; ++i) Spill(1, 1000);
  EXPECT_OK(RunSet(runs_).VisitRange(kAll, [](const RunEntry&) { return true; }));
  Spill(1, 1000);
  EXPECT_DEATH(RunSet{runs_}, "kRunsMax");
}

}  // namespace
}  // namespace slipstream::storage

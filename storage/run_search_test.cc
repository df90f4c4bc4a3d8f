#include "storage/run_search.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "base/key_id.h"
#include "base/random.h"
#include "base/testing/status_matchers.h"
#include "gtest/gtest.h"
#include "storage/file_system.h"
#include "storage/keydir_shard.h"
#include "storage/memory_file_system.h"
#include "storage/run_format.h"
#include "storage/run_merge_cursor.h"
#include "storage/run_set.h"
#include "storage/testing/small_runs.h"

namespace slipstream::storage {
namespace {

using base::testing::StatusIs;
using testing::BuildRun;
using testing::DrawRunEntry;
using testing::NumberedKeyId;
using testing::RunContent;
using testing::TiedKeyId;

constexpr size_t kPlenty = 64 << 20;

class CountingFileSystem : public MemoryFileSystem {
 public:
  void ReadMany(absl::Span<FileRead> reads) override {
    ++read_many_count_;
    MemoryFileSystem::ReadMany(reads);
  }
  uint64_t read_many_count() const { return read_many_count_; }

 private:
  uint64_t read_many_count_ = 0;
};

class RunSearchTest : public ::testing::Test {
 protected:
  // Puts a run of `content` on top.
  void Push(const RunContent& content) {
    ASSERT_OK_AND_ASSIGN(std::shared_ptr<const SortedRun> run, BuildRun(&fs_, content, ++number_));
    runs_.insert(runs_.begin(), std::move(run));
    for (const auto& [key_id, entry] : content) newest_[key_id] = entry;
  }

  // Entries of the keys `first` to `end` - 1, the newest of all so far, at places of their own.
  RunContent Draw(uint64_t first, uint64_t end) {
    RunContent content;
    for (uint64_t i = first; i < end; ++i) {
      const base::KeyId key_id = NumberedKeyId(i);
      RunEntry entry = DrawRunEntry(rng_, key_id, ++hlc_);
      entry.located.location = {.segment_number = 1, .offset = static_cast<uint32_t>(8 * hlc_)};
      everything_.push_back(entry.located);
      content[key_id] = entry;
    }
    return content;
  }

  std::shared_ptr<const RunSet> Set() const { return std::make_shared<RunSet>(runs_); }
  uint64_t reads() const { return fs_.call_count(MemoryFileSystem::Operation::kRead); }
  uint64_t page_count() const {
    uint64_t count = 0;
    for (const auto& run : runs_) count += run->page_count();
    return count;
  }

  // Searches for all records that were ever drawn.
  void WantEverything(RunSearch& search) {
    std::sort(everything_.begin(), everything_.end(),
              [](const LocatedEntry& a, const LocatedEntry& b) { return a.location < b.location; });
    for (const LocatedEntry& located : everything_) {
      search.Want(located.entry.key_id, located.location);
    }
  }

  // Expects of every record what a map of the newest entries says.
  void ExpectVerdicts(const RunSearch& search) const {
    for (const LocatedEntry& located : everything_) {
      const RunEntry& newest = newest_.at(located.entry.key_id);
      const RunSearch::Found found = search.Find(located.location);
      if (newest.located.location == located.location) {
        ASSERT_EQ(found.verdict, RunSearch::Verdict::kCurrent);
        ASSERT_EQ(*found.located, newest.located);
      } else {
        ASSERT_EQ(found.verdict, RunSearch::Verdict::kDead);
      }
    }
  }

  CountingFileSystem fs_;
  base::Random rng_{1};
  uint64_t hlc_ = 0;
  uint64_t number_ = 0;
  Runs runs_;
  RunContent newest_;
  std::vector<LocatedEntry> everything_;
};

TEST_F(RunSearchTest, TellsTheCurrentFromTheDead) {
  Push(Draw(0, 2000));
  Push(Draw(500, 900));
  Push(Draw(880, 1200));
  RunSearch search(&fs_, kPlenty);
  WantEverything(search);
  search.Start(Set());
  ASSERT_OK_AND_ASSIGN(const bool more, search.Step(kPlenty));
  EXPECT_FALSE(more);
  ExpectVerdicts(search);
}

TEST_F(RunSearchTest, SaysDeadOfWhatNoRunHas) {
  Push(Draw(0, 100));
  RunSearch search(&fs_, kPlenty);
  search.Want(NumberedKeyId(500), {.segment_number = 1, .offset = 8});
  search.Start(Set());
  ASSERT_OK(search.Step(kPlenty));
  EXPECT_EQ(search.Find({.segment_number = 1, .offset = 8}).verdict, RunSearch::Verdict::kDead);
}

TEST_F(RunSearchTest, KnowsNothingOfWhatItWasNotAskedForAndBeforeItsEnd) {
  Push(Draw(0, 1000));
  RunSearch search(&fs_, kPlenty);
  WantEverything(search);
  const Location wanted = everything_.front().location;
  EXPECT_EQ(search.Find(wanted).verdict, RunSearch::Verdict::kUnknown);
  search.Start(Set());
  ASSERT_OK_AND_ASSIGN(const bool more, search.Step(1));
  EXPECT_TRUE(more);
  EXPECT_EQ(search.Find(wanted).verdict, RunSearch::Verdict::kUnknown);
  ASSERT_OK(search.Step(kPlenty));
  EXPECT_NE(search.Find(wanted).verdict, RunSearch::Verdict::kUnknown);
  EXPECT_EQ(search.Find({.segment_number = 2, .offset = wanted.offset}).verdict,
            RunSearch::Verdict::kUnknown);
}

TEST_F(RunSearchTest, AsksNothingOfNoRuns) {
  RunSearch search(&fs_, kPlenty);
  search.Want(NumberedKeyId(1), {.segment_number = 1, .offset = 8});
  search.Start(Set());
  ASSERT_OK_AND_ASSIGN(const bool more, search.Step(1));
  EXPECT_FALSE(more);
  EXPECT_EQ(search.Find({.segment_number = 1, .offset = 8}).verdict, RunSearch::Verdict::kDead);
}

TEST_F(RunSearchTest, ReadsManyPagesAtOnceWhereMostAreWanted) {
  Push(Draw(0, 5000));
  RunSearch search(&fs_, kPlenty);
  WantEverything(search);
  const uint64_t reads_before = reads();
  search.Start(Set());
  ASSERT_OK(search.Step(kPlenty));
  EXPECT_LE(reads() - reads_before, page_count() / 16 + 1);
  ExpectVerdicts(search);
}

TEST_F(RunSearchTest, ReadsWantedPagesAloneAndSomeAtOnceWhereFewAreWanted) {
  constexpr size_t kWantedCount = 40;
  Push(Draw(0, 50'000));
  everything_.resize(kWantedCount);
  RunSearch search(&fs_, kPlenty);
  WantEverything(search);
  const uint64_t reads_before = reads();
  search.Start(Set());
  bool more = true;
  for (int steps = 0; more; ++steps) {
    ASSERT_LE(steps, 3);
    const uint64_t reads_before_step = reads();
    // No step reads more than it may but for what is read at once.
    ASSERT_OK_AND_ASSIGN(more, search.Step(1));
    EXPECT_LE(reads() - reads_before_step, 32u);
  }
  EXPECT_LE(reads() - reads_before, kWantedCount);
  EXPECT_EQ(fs_.read_many_count(), 2u);
  ExpectVerdicts(search);
}

TEST_F(RunSearchTest, FindsKeysThatShareTheirFence) {
  RunContent content;
  for (int last = 0; last < 200; ++last) {
    const base::KeyId key_id = TiedKeyId(7, static_cast<uint8_t>(last));
    RunEntry entry = DrawRunEntry(rng_, key_id, ++hlc_);
    entry.located.location = {.segment_number = 1, .offset = static_cast<uint32_t>(8 * hlc_)};
    everything_.push_back(entry.located);
    content[key_id] = entry;
  }
  Push(content);
  RunSearch search(&fs_, kPlenty);
  WantEverything(search);
  search.Start(Set());
  ASSERT_OK(search.Step(kPlenty));
  ExpectVerdicts(search);
}

TEST_F(RunSearchTest, IsFullAtItsBound) {
  RunSearch least(&fs_, 0);
  for (uint32_t i = 1; i <= 16; ++i) {
    EXPECT_FALSE(least.full());
    least.Want(NumberedKeyId(i), {.segment_number = 1, .offset = 8 * i});
  }
  EXPECT_TRUE(least.full());
  RunSearch more(&fs_, 17 * (sizeof(LocatedEntry) + 64));
  for (uint32_t i = 1; i <= 17; ++i) {
    EXPECT_FALSE(more.full());
    more.Want(NumberedKeyId(i), {.segment_number = 1, .offset = 8 * i});
  }
}

TEST_F(RunSearchTest, GoesOnAfterADeviceThatFailedOnce) {
  Push(Draw(0, 1000));
  RunSearch search(&fs_, kPlenty);
  WantEverything(search);
  search.Start(Set());
  fs_.InjectFault({.operation = MemoryFileSystem::Operation::kRead, .call = 2});
  EXPECT_THAT(search.Step(kPlenty), StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_EQ(search.Find(everything_.front().location).verdict, RunSearch::Verdict::kUnknown);
  ASSERT_OK(search.Step(kPlenty));
  ExpectVerdicts(search);
}

TEST_F(RunSearchTest, GoesOnAfterReadsAtOnceOfWhichOneFailed) {
  Push(Draw(0, 50'000));
  Push(Draw(50'000, 100'000));
  // Twenty of each run.
  everything_.erase(everything_.begin() + 50'020, everything_.end());
  everything_.erase(everything_.begin() + 20, everything_.begin() + 50'000);
  RunSearch search(&fs_, kPlenty);
  WantEverything(search);
  search.Start(Set());
  fs_.InjectFault({.operation = MemoryFileSystem::Operation::kRead, .call = 10});
  EXPECT_THAT(search.Step(kPlenty), StatusIs(absl::StatusCode::kUnavailable));
  ASSERT_OK(search.Step(kPlenty));
  ExpectVerdicts(search);
  // The one that failed, 32 and 8 records in the newer run, the 20 that it does not have in the
  // older one.
  EXPECT_EQ(fs_.read_many_count(), 4u);
}

TEST_F(RunSearchTest, RefusesADamagedPage) {
  Push(Draw(0, 1000));
  fs_.FlipBit(runs_[0]->path(), 3 * kPageBytes + 100, 0);
  RunSearch search(&fs_, kPlenty);
  WantEverything(search);
  search.Start(Set());
  EXPECT_THAT(search.Step(kPlenty), StatusIs(absl::StatusCode::kDataLoss));
}

}  // namespace
}  // namespace slipstream::storage

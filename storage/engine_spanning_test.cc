// Transactions larger than a frame: what their frames leave after a crash, on a full disk, under
// damage, and when compaction takes one segment of them and not the other.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/error_reason.h"
#include "base/random.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/engine.h"
#include "storage/entry.h"
#include "storage/file_system.h"
#include "storage/frame.h"
#include "storage/index_file.h"
#include "storage/memory_file_system.h"
#include "storage/options.h"
#include "storage/segment.h"
#include "storage/testing/small_store.h"

namespace slipstream::storage {
namespace {

using base::testing::StatusIs;
using testing::AllEntries;
using testing::CheckEntriesAgainstLog;
using ::testing::HasSubstr;
using testing::kDirectory;
using testing::Noon;
using testing::SmallOptions;

// Values of 1,000 bytes, three to a frame, nine to a segment: ten are two segments, twelve more
// than one whatever stands before them.
class EngineSpanningTest : public ::testing::Test {
 protected:
  EngineSpanningTest() { options_.compression = Compression::kNone; }

  void SetUp() override { Open(); }

  void Open() {
    engine_.reset();
    ASSERT_OK_AND_ASSIGN(engine_, Engine::Open(&fs_, kDirectory, options_, &rng_, nullptr));
  }

  // Dies and starts anew, all that was written out still there.
  void Restart() {
    engine_.reset();
    fs_.Kill();
    Open();
  }

  // Writes key0 to key<count - 1> together.
  absl::StatusOr<WriteResult> WriteAll(int count, char letter) {
    const std::string value(1000, letter);
    std::vector<std::string> keys;
    for (int i = 0; i < count; ++i) keys.push_back(absl::StrCat("key", i));
    std::vector<Mutation> mutations;
    for (const std::string& key : keys) mutations.push_back({.key = key, .value = value});
    return engine_->Transact({}, mutations, Noon());
  }

  absl::Status Put(absl::string_view key, absl::string_view value) {
    const Mutation put{.key = key, .value = value};
    return engine_->Write({put}, Atomicity::kEach, Noon()).status();
  }

  void Sync() { ASSERT_OK(engine_->Flush(Engine::FlushMode::kSync)); }

  // The first letters of the values of key0 to key<count - 1>; '-': absent, '!': an error.
  std::string Letters(int count) {
    std::string letters;
    for (int i = 0; i < count; ++i) {
      const absl::StatusOr<ReadResult> read = engine_->Get(absl::StrCat("key", i), Noon());
      letters += !read.ok() ? '!' : read->found ? read->value[0] : '-';
    }
    return letters;
  }

  bool HasSegment(uint64_t number) {
    const absl::StatusOr<std::vector<std::string>> names = fs_.ListDirectory(kDirectory);
    for (const std::string& name : *names) {
      if (name == SegmentFileName(number)) return true;
    }
    return false;
  }

  MemoryFileSystem fs_;
  base::Random rng_{1};
  Options options_ = SmallOptions();
  std::unique_ptr<Engine> engine_;
};

TEST_F(EngineSpanningTest, IsOneWriteInFramesOfTheUsualSize) {
  ASSERT_OK(Put("before", "1"));
  ASSERT_OK_AND_ASSIGN(const WriteResult result, WriteAll(12, 'a'));
  EXPECT_EQ(result.lsn, 1u + 12u + 1u);
  EXPECT_EQ(result.versions.size(), 12u);
  EXPECT_EQ(Letters(12), "aaaaaaaaaaaa");
  Sync();
  EXPECT_EQ(engine_->durable_lsn(), 14u);
  EXPECT_EQ(engine_->stats().flush_count, 1u + 4u);
  ASSERT_OK(Put("after", "1"));
  Sync();
  Restart();
  EXPECT_EQ(Letters(12), "aaaaaaaaaaaa");
  EXPECT_FALSE(engine_->recovery_report().tail_cut);
  EXPECT_OK(CheckEntriesAgainstLog(*engine_, &fs_));
}

// The header of the second segment is not written before the first is durable.
TEST_F(EngineSpanningTest, NoneOfItIsDurableBeforeItsCommitIs) {
  ASSERT_OK(Put("before", "1"));
  ASSERT_OK(WriteAll(12, 'a'));
  ASSERT_OK(engine_->Flush(Engine::FlushMode::kWrite));
  EXPECT_EQ(engine_->durable_lsn(), 1u);
  EXPECT_EQ(engine_->Get("before", Noon())->lsn, 0u);
  EXPECT_EQ(engine_->Get("key0", Noon())->lsn, 14u);
  EXPECT_EQ(engine_->Get("key11", Noon())->lsn, 14u);
  Sync();
  EXPECT_EQ(engine_->durable_lsn(), 14u);
  EXPECT_EQ(engine_->Get("key0", Noon())->lsn, 0u);
}

TEST_F(EngineSpanningTest, WithoutItsCommitNothingOfItIsThereAndItsSegmentsAreRemoved) {
  for (int lost_write = 1; lost_write <= 6; ++lost_write) {
    SCOPED_TRACE(lost_write);
    engine_.reset();
    fs_.Kill();
    ASSERT_OK_AND_ASSIGN(const std::vector<std::string> names, fs_.ListDirectory(kDirectory));
    for (const std::string& name : names) {
      ASSERT_OK(fs_.Remove(JoinPath(kDirectory, name)));
    }
    Open();
    ASSERT_OK(Put("key0", "old"));
    Sync();
    ASSERT_OK(WriteAll(12, 'n'));
    EXPECT_EQ(Letters(2), "nn");
    // Four frames, and the header of the second segment between them.
    fs_.InjectFault({.operation = MemoryFileSystem::Operation::kWrite,
                     .call = static_cast<uint64_t>(lost_write),
                     .lasting = true});
    const bool is_lost = lost_write < 6;
    EXPECT_EQ(engine_->Flush(Engine::FlushMode::kSync).ok(), !is_lost);
    fs_.ClearFaults();
    Restart();
    EXPECT_EQ(Letters(12), is_lost ? "o-----------" : "nnnnnnnnnnnn");
    EXPECT_EQ(engine_->appended_lsn(), is_lost ? 1u : 14u);
    EXPECT_TRUE(engine_->recovery_report().damaged.empty());
    if (lost_write > 2 && is_lost) {
      EXPECT_THAT(engine_->recovery_report().tail_cause, HasSubstr("without its Commit"));
      EXPECT_EQ(engine_->recovery_report().tail_segment_number, 1u);
    }
    EXPECT_EQ(HasSegment(1), true);
    // What comes next stands behind the cut, and is found there.
    ASSERT_OK(Put("key1", "later"));
    Sync();
    Restart();
    EXPECT_EQ(Letters(2), is_lost ? "ol" : "nl");
    EXPECT_FALSE(engine_->recovery_report().tail_cut);
    EXPECT_TRUE(engine_->recovery_report().damaged.empty());
    EXPECT_OK(CheckEntriesAgainstLog(*engine_, &fs_));
  }
}

// Only the header of the segment behind the cut says where the log was cut.
TEST_F(EngineSpanningTest, WhatWasCutOffStaysSoIfTheHeaderBehindItIsDamaged) {
  ASSERT_OK(Put("key0", "old"));
  Sync();
  ASSERT_OK(WriteAll(12, 'n'));
  // The first frame is written, the second is not.
  fs_.InjectFault({.operation = MemoryFileSystem::Operation::kWrite, .call = 2, .lasting = true});
  EXPECT_FALSE(engine_->Flush(Engine::FlushMode::kSync).ok());
  fs_.ClearFaults();
  Restart();
  ASSERT_OK(Put("key1", "later"));
  Sync();
  uint64_t last = 1;
  while (HasSegment(last + 1) &&
         fs_.Contents(JoinPath(kDirectory, SegmentFileName(last + 1)))[0] != 0) {
    ++last;
  }
  ASSERT_GT(last, 1u);
  engine_.reset();
  fs_.Kill();
  fs_.FlipBit(JoinPath(kDirectory, SegmentFileName(last)), 20, 0);
  options_.on_damage = OnDamage::kServeRest;
  Open();
  EXPECT_EQ(Letters(12), "ol----------");
}

TEST_F(EngineSpanningTest, FullDiskRefusesItWholeAndLeavesNoGapInTheDots) {
  ASSERT_OK(Put("key0", "old"));
  Sync();
  fs_.set_capacity_bytes(fs_.used_bytes() + 1000);
  const absl::Status full = WriteAll(12, 'n').status();
  EXPECT_THAT(full, StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("no space")));
  EXPECT_EQ(base::ReasonOf(full), base::kReasonDiskFull);
  EXPECT_EQ(Letters(12), "o-----------");
  EXPECT_EQ(engine_->appended_lsn(), 1u);
  fs_.set_capacity_bytes(UINT64_MAX);
  ASSERT_OK(engine_->Maintain());
  ASSERT_OK_AND_ASSIGN(const WriteResult result, WriteAll(12, 'n'));
  EXPECT_EQ(result.sequences[0], 2u);
  EXPECT_EQ(result.lsn, 14u);
}

// The Commit goes with the segment that it stands in; what was committed stays so.
TEST_F(EngineSpanningTest, CompactionMayTakeTheSegmentWithTheCommitFirst) {
  options_.compaction_dead_share = 0.5;
  Open();
  ASSERT_OK(WriteAll(12, 'a'));
  Sync();
  // Makes all dead that stands in the second segment, and fills it up.
  for (int turn = 0; turn < 4; ++turn) {
    for (int i = 9; i < 12; ++i) ASSERT_OK(Put(absl::StrCat("key", i), std::string(1000, 'b')));
    Sync();
  }
  for (int i = 0; i < 1000 && *engine_->Maintain(); ++i) continue;
  ASSERT_TRUE(HasSegment(1));
  ASSERT_FALSE(HasSegment(2));
  for (const bool from_the_log_alone : {false, true}) {
    engine_.reset();
    fs_.Kill();
    if (from_the_log_alone) {
      fs_.Remove(JoinPath(kDirectory, kIndexFileName)).IgnoreError();
    }
    Open();
    EXPECT_EQ(Letters(12), "aaaaaaaaabbb");
    EXPECT_TRUE(engine_->recovery_report().damaged.empty());
    EXPECT_OK(CheckEntriesAgainstLog(*engine_, &fs_));
  }
}

// The manifest alone says that the log went on behind the first segment.
TEST_F(EngineSpanningTest, WhatADroppedSegmentFollowsIsNotCutOff) {
  options_.compaction_dead_share = 0.5;
  Open();
  ASSERT_OK(WriteAll(12, 'a'));
  for (int turn = 0; turn < 4; ++turn) {
    for (int i = 9; i < 12; ++i) ASSERT_OK(Put(absl::StrCat("key", i), std::string(1000, 'b')));
    Sync();
  }
  for (int i = 0; i < 1000 && *engine_->Maintain(); ++i) continue;
  ASSERT_FALSE(HasSegment(2));
  engine_.reset();
  fs_.Kill();
  ASSERT_OK_AND_ASSIGN(const std::vector<std::string> names, fs_.ListDirectory(kDirectory));
  for (const std::string& name : names) {
    const bool is_needed = name == SegmentFileName(1) || name == "identity" || name == "manifest";
    if (!is_needed) ASSERT_OK(fs_.Remove(JoinPath(kDirectory, name)));
  }
  options_.on_damage = OnDamage::kServeRest;
  Open();
  EXPECT_EQ(Letters(12), "aaaaaaaaa---");
}

// The identity knows that it was durable: it is not cut off, and what is missing is a loss.
TEST_F(EngineSpanningTest, AMissingLastSegmentIsDamageAndNotAnUnfinishedTransaction) {
  ASSERT_OK(WriteAll(12, 'a'));
  ASSERT_OK(engine_->Close());
  engine_.reset();
  fs_.Remove(JoinPath(kDirectory, kIndexFileName)).IgnoreError();
  ASSERT_OK(fs_.Remove(JoinPath(kDirectory, SegmentFileName(2))));
  ASSERT_OK(fs_.Remove(JoinPath(kDirectory, SegmentFileName(3))));
  EXPECT_THAT(Engine::Open(&fs_, kDirectory, options_, &rng_, nullptr),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("4 records are lost")));
  options_.on_damage = OnDamage::kServeRest;
  Open();
  EXPECT_EQ(Letters(12), "aaaaaaaaa---");
}

// What is whole of a transaction that was durable is served, whichever of its frames is damaged.
TEST_F(EngineSpanningTest, DamageCostsTheFrameAlone) {
  ASSERT_OK(WriteAll(12, 'a'));
  ASSERT_OK(Put("after", "1"));
  ASSERT_OK(engine_->Close());
  engine_.reset();
  const std::unique_ptr<MemoryFileSystem> sound = fs_.Clone();
  struct Case {
    uint64_t segment_number;
    uint64_t page;
    absl::string_view letters;
  };
  for (const Case& damage : {Case{1, 1, "---aaaaaaaaa"}, Case{1, 2, "aaa---aaaaaa"},
                             Case{1, 3, "aaaaaa---aaa"}, Case{2, 1, "aaaaaaaaa---"}}) {
    SCOPED_TRACE(damage.letters);
    const std::unique_ptr<MemoryFileSystem> fs = sound->Clone();
    fs->FlipBit(JoinPath(kDirectory, SegmentFileName(damage.segment_number)),
                damage.page * kPageBytes + kFrameHeaderBytes + 10, 0);
    fs->Remove(JoinPath(kDirectory, kIndexFileName)).IgnoreError();
    EXPECT_THAT(Engine::Open(fs.get(), kDirectory, options_, &rng_, nullptr),
                StatusIs(absl::StatusCode::kDataLoss));
    Options options = options_;
    options.on_damage = OnDamage::kServeRest;
    for (int life = 0; life < 2; ++life) {
      ASSERT_OK_AND_ASSIGN(engine_, Engine::Open(fs.get(), kDirectory, options, &rng_, nullptr));
      EXPECT_EQ(Letters(12), damage.letters);
      ASSERT_EQ(engine_->recovery_report().damaged.size(), 1u);
      EXPECT_EQ(engine_->recovery_report().new_actor, life == 0);
      engine_.reset();
    }
  }
}

}  // namespace
}  // namespace slipstream::storage

// Checkpoints and merges, step by step, against an account of every record that was put.

#include "storage/checkpointer.h"

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/key_id.h"
#include "base/random.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/file_system.h"
#include "storage/index_file.h"
#include "storage/keydir.h"
#include "storage/log_recovery.h"
#include "storage/memory_file_system.h"
#include "storage/record.h"
#include "storage/run_format.h"
#include "storage/segment.h"
#include "storage/testing/checkpointed_keydir.h"

namespace slipstream::storage {
namespace {

using base::testing::StatusIs;
using testing::CheckpointedKeyDir;
using testing::kCheckpointDirectory;
using testing::LocatedEntries;
using Error = MemoryFileSystem::Fault::Error;
using Operation = MemoryFileSystem::Operation;

// Small enough that a test's checkpoint takes many.
constexpr size_t kSmallStep = 20 * kRunEntryBytes;

std::string IndexBytes(CheckpointedKeyDir& keydir) {
  return keydir.fs().Contents(JoinPath(kCheckpointDirectory, kIndexFileName));
}

TEST(CheckpointerTest, WritesWhatIsDirtyAndOnlyThat) {
  CheckpointedKeyDir keydir;
  base::Random rng(1);
  keydir.PutSome(rng, 1000, 500);
  const Location position = keydir.log().append_position();
  ASSERT_OK(keydir.Checkpoint());
  ASSERT_OK_AND_ASSIGN(const LoadedIndex loaded, ReadIndex(&keydir.fs(), kCheckpointDirectory));
  const Index& index = loaded.index;
  EXPECT_EQ(index.run_numbers, std::vector<uint64_t>{1});
  EXPECT_EQ(index.node_id, testing::kCheckpointNodeId);
  EXPECT_EQ(index.actor, testing::kCheckpointActor);
  EXPECT_EQ(index.last_hlc, keydir.last_hlc());
  EXPECT_EQ(index.first_position(), position);
  EXPECT_EQ(index.last_position(), position);
  EXPECT_EQ(keydir.checkpointer().replay_position(), position);
  EXPECT_EQ(loaded.derived[9], absl::StrCat(keydir.log().appended_lsn()));
  EXPECT_OK(keydir.Check());
  for (uint64_t number = 0; number < 10; ++number) keydir.Put(number);
  ASSERT_OK(keydir.Checkpoint());
  EXPECT_EQ(keydir.sorted_log().view().runs->runs().front()->entry_count(), 10u);
  EXPECT_OK(keydir.Check());
  EXPECT_EQ(keydir.checkpointer().checkpoint_count(), 2u);
}

TEST(CheckpointerTest, NamesTheLastSequenceOfEachShard) {
  CheckpointedKeyDir keydir;
  base::Random rng(1);
  keydir.PutSome(rng, 1000, 500);
  ASSERT_OK(keydir.Checkpoint());
  ASSERT_OK_AND_ASSIGN(const LoadedIndex loaded, ReadIndex(&keydir.fs(), kCheckpointDirectory));
  KeyDir::Exclusive locked(&keydir.keydir(), kAllStripes);
  for (int i = 0; i < base::kShardCount; ++i) {
    EXPECT_EQ(loaded.index.shards[i].last_sequence,
              locked.shard(static_cast<uint8_t>(i)).last_sequence);
  }
}

TEST(CheckpointerTest, WithNothingDirtyMakesNoRunButMovesTheGeneration) {
  CheckpointedKeyDir keydir;
  keydir.Put(1);
  ASSERT_OK(keydir.Checkpoint());
  const uint64_t generation = keydir.sorted_log().generation();
  ASSERT_OK(keydir.Checkpoint());
  EXPECT_GT(keydir.sorted_log().generation(), generation);
  EXPECT_EQ(keydir.DerivedNames(),
            (std::set<std::string>{std::string(kIndexFileName), RunFileName(1)}));
  EXPECT_OK(keydir.Check());
}

TEST(CheckpointerTest, WhatChangesMeanwhileIsInTheRunOrStandsBehindItsShardsPosition) {
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE(seed);
    CheckpointedKeyDir keydir;
    base::Random rng(seed);
    const uint64_t key_count = 1 + rng.Below(400);
    for (int checkpoint = 0; checkpoint < 4; ++checkpoint) {
      keydir.PutSome(rng, key_count, rng.Below(300));
      if (rng.OneIn(3)) keydir.EvictAll();
      keydir.checkpointer().StartCheckpoint();
      while (!keydir.checkpointer().idle()) {
        ASSERT_OK(keydir.Step(kRunEntryBytes * (1 + rng.Below(40))));
        if (rng.OneIn(2)) keydir.PutSome(rng, key_count, rng.Below(10));
        if (rng.OneIn(10)) ASSERT_OK(keydir.log().Flush(Log::Mode::kSync));
      }
      ASSERT_OK(keydir.Check());
    }
  }
}

TEST(CheckpointerTest, WhatIsFlushingCannotBeEvicted) {
  CheckpointedKeyDir keydir;
  base::Random rng(1);
  keydir.PutSome(rng, 300, 300);
  keydir.checkpointer().StartCheckpoint();
  const uint64_t count = keydir.keydir().stats().tombstone_count;
  while (!keydir.checkpointer().idle()) {
    keydir.EvictAll();
    ASSERT_EQ(keydir.keydir().stats().tombstone_count, count);
    ASSERT_OK(keydir.Step(kSmallStep));
  }
  keydir.EvictAll();
  EXPECT_EQ(keydir.keydir().stats().tombstone_count, 0u);
  EXPECT_EQ(keydir.RunContent().size(), count);
}

// A KeyDir with one checkpoint, and as much to write again. All of it is in the log, so that the
// log needs no disk.
std::unique_ptr<CheckpointedKeyDir> MakeHalfCheckpointed() {
  auto keydir = std::make_unique<CheckpointedKeyDir>();
  base::Random rng(1);
  keydir->PutSome(rng, 300, 300);
  EXPECT_OK(keydir->Checkpoint());
  keydir->EvictAll();
  keydir->PutSome(rng, 300, 300);
  EXPECT_OK(keydir->log().Flush(Log::Mode::kSync));
  return keydir;
}

TEST(CheckpointerTest, AFullDiskAtAnyStepPutsEverythingBack) {
  for (const Operation operation : {Operation::kOpen, Operation::kWrite}) {
    const std::unique_ptr<CheckpointedKeyDir> keydir = MakeHalfCheckpointed();
    const LocatedEntries dirty = keydir->Dirty();
    const std::set<std::string> names = keydir->DerivedNames();
    const std::string index_bytes = IndexBytes(*keydir);
    absl::Status status;
    uint64_t call = 1;
    for (;; ++call) {
      SCOPED_TRACE(absl::StrCat("operation ", static_cast<int>(operation), " call ", call));
      keydir->fs().InjectFault(
          {.operation = operation, .call = call, .lasting = true, .error = Error::kDiskFull});
      keydir->checkpointer().StartCheckpoint();
      status = keydir->Finish(kSmallStep);
      keydir->fs().ClearFaults();
      if (status.ok()) break;
      ASSERT_THAT(status, StatusIs(absl::StatusCode::kResourceExhausted));
      ASSERT_TRUE(keydir->checkpointer().idle());
      ASSERT_EQ(keydir->Dirty(), dirty);
      // An index that was begun makes room for the next one.
      std::set<std::string> left = keydir->DerivedNames();
      left.erase(TemporaryName(std::string(kIndexFileName)));
      ASSERT_EQ(left, names);
      ASSERT_EQ(IndexBytes(*keydir), index_bytes);
    }
    EXPECT_GT(call, 2u);
    EXPECT_OK(keydir->Check());
    EXPECT_TRUE(keydir->Dirty().empty());
  }
}

TEST(CheckpointerTest, AfterAFailureOfAnyCallEverythingIsDirtyAgain) {
  bool done = false;
  for (uint64_t call = 1; !done; ++call) {
    SCOPED_TRACE(call);
    const std::unique_ptr<CheckpointedKeyDir> keydir = MakeHalfCheckpointed();
    const LocatedEntries dirty = keydir->Dirty();
    keydir->fs().InjectFault({.call = call});
    keydir->checkpointer().StartCheckpoint();
    done = keydir->Finish(kSmallStep).ok();
    ASSERT_TRUE(keydir->checkpointer().idle());
    ASSERT_EQ(keydir->Dirty(), done ? LocatedEntries() : dirty);
  }
}

TEST(CheckpointerTest, AMergeReplacesTheNewestRunsByOne) {
  CheckpointedKeyDir keydir;
  base::Random rng(1);
  for (int i = 0; i < 6; ++i) {
    keydir.PutSome(rng, 300, 100);
    ASSERT_OK(keydir.Checkpoint());
  }
  const LocatedEntries content = keydir.RunContent();
  keydir.PutSome(rng, 300, 50);
  ASSERT_OK(keydir.Merge(4, kSmallStep));
  EXPECT_EQ(keydir.RunContent(), content);
  EXPECT_OK(keydir.Check());
  EXPECT_EQ(keydir.DerivedNames(),
            (std::set<std::string>{std::string(kIndexFileName), RunFileName(1), RunFileName(2),
                                   RunFileName(7)}));
  ASSERT_OK_AND_ASSIGN(const LoadedIndex loaded, ReadIndex(&keydir.fs(), kCheckpointDirectory));
  EXPECT_EQ(loaded.index.run_numbers, (std::vector<uint64_t>{7, 2, 1}));
  EXPECT_EQ(keydir.checkpointer().merge_count(), 1u);
}

TEST(CheckpointerTest, AFullDiskDuringAMergeLeavesTheOldRuns) {
  const std::unique_ptr<CheckpointedKeyDir> keydir = MakeHalfCheckpointed();
  ASSERT_OK(keydir->Checkpoint());
  const std::set<std::string> names = keydir->DerivedNames();
  absl::Status status;
  for (uint64_t call = 1;; ++call) {
    SCOPED_TRACE(call);
    keydir->fs().InjectFault(
        {.operation = Operation::kWrite, .call = call, .lasting = true, .error = Error::kDiskFull});
    status = keydir->Merge(2, kSmallStep);
    keydir->fs().ClearFaults();
    if (status.ok()) break;
    ASSERT_THAT(status, StatusIs(absl::StatusCode::kResourceExhausted));
    std::set<std::string> left = keydir->DerivedNames();
    left.erase(TemporaryName(std::string(kIndexFileName)));
    ASSERT_EQ(left, names);
    ASSERT_OK(keydir->Check());
  }
  EXPECT_OK(keydir->Check());
  EXPECT_EQ(keydir->DerivedNames().size(), 2u);
}

// How far the log on `fs` is there.
Lsn LastLsn(MemoryFileSystem& fs) {
  std::vector<uint64_t> numbers;
  const absl::StatusOr<std::vector<std::string>> names = fs.ListDirectory(kCheckpointDirectory);
  EXPECT_OK(names);
  for (const std::string& name : *names) {
    if (const auto number = ParseSegmentFileName(name)) numbers.push_back(*number);
  }
  const absl::StatusOr<LogRecovery> recovery =
      RecoverLog(&fs, kCheckpointDirectory, numbers,
                 {.node_id = testing::kCheckpointNodeId, .segment_bytes = 1 << 20},
                 [](const RecoveredRecord&) { return absl::OkStatus(); });
  EXPECT_OK(recovery);
  return recovery->tail.last_lsn;
}

TEST(CheckpointerTest, ACrashAtEveryCallLeavesAnIndexOfWhatIsDurable) {
  bool done = false;
  for (uint64_t call = 1; !done; ++call) {
    CheckpointedKeyDir keydir;
    base::Random rng(1);
    keydir.PutSome(rng, 100, 100);
    ASSERT_OK(keydir.Checkpoint());
    keydir.fs().InjectFault({.call = call, .lasting = true});
    absl::Status status;
    // Each checkpoint is followed by puts that its shards' positions do not cover, and its saved
    // state does.
    for (int round = 0; round < 2 && status.ok(); ++round) {
      keydir.PutSome(rng, 100, 30);
      keydir.checkpointer().StartCheckpoint();
      for (int step = 0; status.ok() && !keydir.checkpointer().idle(); ++step) {
        status = keydir.Step(round == 0 ? CheckpointedKeyDir::kAtOnce : kSmallStep).status();
        if (step == 0) keydir.PutSome(rng, 100, 5);
      }
    }
    if (status.ok()) status = keydir.Merge(3, kSmallStep);
    done = status.ok();
    base::Random power(call);
    for (int mixture = 0; mixture < 10; ++mixture) {
      SCOPED_TRACE(absl::StrCat("call ", call, " mixture ", mixture));
      const std::unique_ptr<MemoryFileSystem> crashed = keydir.fs().Clone();
      if (mixture == 0) {
        // The worst case: names are there, and nothing else.
        const size_t unit_count = crashed->UnsyncedUnitCount();
        crashed->CrashKeeping([unit_count](size_t unit) { return unit + 1 == unit_count; });
      } else {
        crashed->Crash(&power);
      }
      LoadedIndex loaded;
      ASSERT_OK(keydir.CheckIndex(crashed.get(), loaded));
      uint64_t saved_lsn = 0;
      ASSERT_TRUE(absl::SimpleAtoi(loaded.derived[0], &saved_lsn));
      ASSERT_GE(LastLsn(*crashed), saved_lsn);
    }
  }
}

TEST(CheckpointerTest, EveryDeadRecordIsCountedOnce) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(seed);
    CheckpointedKeyDir keydir;
    base::Random rng(seed);
    const uint64_t key_count = 1 + rng.Below(60);
    for (int step = 0; step < 60; ++step) {
      const size_t run_count = keydir.sorted_log().view().runs->runs().size();
      switch (rng.Below(6)) {
        case 0:
          keydir.EvictAll();
          break;
        case 1:
          keydir.Fetch(rng.Below(key_count));
          break;
        case 2:
          if (run_count >= 2) ASSERT_OK(keydir.Merge(2 + rng.Below(run_count - 1)));
          break;
        case 3:
          keydir.checkpointer().StartCheckpoint();
          while (!keydir.checkpointer().idle()) {
            ASSERT_OK(keydir.Step(kRunEntryBytes * 3));
            if (rng.OneIn(2)) keydir.PutSome(rng, key_count, 2);
          }
          break;
        default:
          keydir.PutSome(rng, key_count, rng.Below(20));
      }
      for (const auto& [location, count] : keydir.DeadCounts()) ASSERT_LE(count, 1);
    }
    ASSERT_OK(keydir.Checkpoint());
    if (const size_t run_count = keydir.sorted_log().view().runs->runs().size(); run_count > 1) {
      ASSERT_OK(keydir.Merge(run_count));
    }
    for (const auto& [location, count] : keydir.DeadCounts()) ASSERT_EQ(count, 1);
  }
}

TEST(CheckpointerTest, ACheckpointThatFailsLeavesTheAccountOfDeadRecordsRight) {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE(seed);
    CheckpointedKeyDir keydir;
    base::Random rng(seed);
    keydir.PutSome(rng, 20, 20);
    ASSERT_OK(keydir.Checkpoint());
    keydir.EvictAll();
    // These shadow what is in the run without looking at it.
    keydir.PutSome(rng, 20, 20);
    ASSERT_OK(keydir.log().Flush(Log::Mode::kSync));
    keydir.fs().InjectFault({.operation = Operation::kOpen,
                             .call = 1 + rng.Below(2),
                             .lasting = true,
                             .error = Error::kDiskFull});
    keydir.checkpointer().StartCheckpoint();
    absl::Status status;
    while (status.ok()) {
      status = keydir.Step(kRunEntryBytes).status();
      if (status.ok()) keydir.Put(rng.Below(20));
    }
    ASSERT_THAT(status, StatusIs(absl::StatusCode::kResourceExhausted));
    keydir.fs().ClearFaults();
    if (rng.OneIn(2)) keydir.PutSome(rng, 20, 5);
    ASSERT_OK(keydir.Checkpoint());
    ASSERT_OK(keydir.Merge(2));
    for (const auto& [location, count] : keydir.DeadCounts()) ASSERT_EQ(count, 1);
  }
}

}  // namespace
}  // namespace slipstream::storage

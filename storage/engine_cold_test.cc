// Entries that leave memory: whatever the order of checkpoints, merges, evictions, writes, deletes
// and crashes, the engine answers as one that keeps everything.

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/error_reason.h"
#include "base/key_id.h"
#include "base/random.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/change_observer.h"
#include "storage/engine.h"
#include "storage/entry.h"
#include "storage/file_system.h"
#include "storage/index_file.h"
#include "storage/memory_file_system.h"
#include "storage/options.h"
#include "storage/precondition.h"
#include "storage/run_format.h"
#include "storage/segment.h"
#include "storage/testing/small_store.h"

namespace slipstream::storage {
namespace {

using base::testing::StatusIs;
using testing::AllEntries;
using testing::CheckEntriesAgainstLog;
using testing::ColdOptions;
using testing::kDirectory;
using testing::Noon;
using testing::Script;

constexpr int kKeyCount = 300;

std::string KeyOf(int number) { return absl::StrCat("key", number); }

class EngineColdTest : public ::testing::Test {
 protected:
  void SetUp() override { Open(ColdOptions()); }

  void Open(const Options& options, ChangeObserver* observer = nullptr) {
    engine_.reset();
    ASSERT_OK_AND_ASSIGN(engine_, Engine::Open(fs_.get(), kDirectory, options, &rng_, observer));
  }

  WriteResult Write(const Mutation& mutation) {
    auto result = engine_->Write({mutation}, Atomicity::kEach, Noon());
    EXPECT_OK(result);
    return result.ok() ? *std::move(result)
                       : WriteResult{.versions = {base::Version{}}, .sequences = {0}};
  }
  base::Version Put(absl::string_view key, absl::string_view value, uint64_t expires_at_ms = 0) {
    return Write({.key = key, .value = value, .expires_at_ms = expires_at_ms}).versions[0];
  }
  base::Version Delete(absl::string_view key) {
    return Write({.kind = Mutation::Kind::kDelete, .key = key}).versions[0];
  }
  ReadResult Get(absl::string_view key) {
    auto result = engine_->Get(key, Noon());
    EXPECT_OK(result);
    return result.ok() ? *std::move(result) : ReadResult{};
  }

  // Takes steps until there is nothing to do: all that may leave memory has left it.
  void Settle() {
    for (;;) {
      ASSERT_OK_AND_ASSIGN(const bool more, engine_->Maintain());
      if (!more) break;
    }
  }

  // Puts kKeyCount keys and sends them out of memory.
  void PutAll(absl::string_view value) {
    for (int i = 0; i < kKeyCount; ++i) Put(KeyOf(i), absl::StrCat(value, i));
    Settle();
    ASSERT_EQ(engine_->stats().live_key_count, 0u);
    ASSERT_FALSE(engine_->stats().complete);
  }

  void ExpectAll(absl::string_view value) {
    for (int i = 0; i < kKeyCount; ++i) ASSERT_EQ(Get(KeyOf(i)).value, absl::StrCat(value, i)) << i;
  }

  void Kill() {
    ASSERT_OK(engine_->Flush(Engine::FlushMode::kSync));
    engine_.reset();
    fs_->Crash(&power_);
  }

  std::vector<std::string> RunNames() {
    const absl::StatusOr<std::vector<std::string>> all = fs_->ListDirectory(kDirectory);
    EXPECT_OK(all);
    std::vector<std::string> names;
    for (const std::string& name : *all) {
      if (ParseRunFileName(name).has_value()) names.push_back(name);
    }
    return names;
  }

  std::unique_ptr<MemoryFileSystem> fs_ = std::make_unique<MemoryFileSystem>();
  base::Random rng_{1};
  base::Random power_{2};
  std::unique_ptr<Engine> engine_;
};

TEST_F(EngineColdTest, CheckpointIsLateOnceTheLogBehindTheLastIsTwiceWhatOneTakes) {
  const uint64_t bytes_max = 2 * ColdOptions().checkpoint_bytes;
  while (engine_->stats().replay_bytes <= bytes_max) {
    EXPECT_EQ(engine_->stats().checkpoint_debt_bytes, 0u);
    Put("key", std::string(1000, 'v'));
  }
  EXPECT_EQ(engine_->stats().checkpoint_debt_bytes, engine_->stats().replay_bytes - bytes_max);
  Settle();
  EXPECT_EQ(engine_->stats().checkpoint_debt_bytes, 0u);
}

TEST_F(EngineColdTest, ReadsWhatLeftMemory) {
  PutAll("value");
  EXPECT_GE(engine_->stats().evicted_count, static_cast<uint64_t>(kKeyCount));
  ExpectAll("value");
  EXPECT_FALSE(Get("never put").found);
  EXPECT_EQ(AllEntries(*engine_).size(), static_cast<size_t>(kKeyCount));
  EXPECT_OK(CheckEntriesAgainstLog(*engine_, fs_.get()));
}

TEST_F(EngineColdTest, OverwritesAndDeletesOfColdKeysHold) {
  PutAll("old");
  const base::Version deleted = Delete(KeyOf(1));
  const base::Version put = Put(KeyOf(2), "new");
  for (int turn = 0; turn < 3; ++turn) {
    SCOPED_TRACE(turn);
    EXPECT_FALSE(Get(KeyOf(1)).found);
    EXPECT_EQ(Get(KeyOf(1)).version, deleted);
    EXPECT_EQ(Get(KeyOf(2)).value, "new");
    EXPECT_EQ(Get(KeyOf(2)).version, put);
    EXPECT_EQ(Get(KeyOf(3)).value, "old3");
    if (turn == 0) Settle();
    if (turn == 1) {
      Kill();
      Open(ColdOptions());
    }
  }
}

TEST_F(EngineColdTest, AnOlderRecordDoesNotReplaceAColdOne) {
  const base::Version first = Put("key", "first");
  const base::Version second = Put("key", "second");
  Settle();
  Record older{.key = "key", .value = "older", .version = first, .sequence = 1};
  ASSERT_LT(older.version, second);
  ASSERT_OK_AND_ASSIGN(const WriteResult applied,
                       engine_->Apply({older}, Atomicity::kEach, Noon()));
  EXPECT_EQ(applied.applied_count, 0u);
  EXPECT_EQ(Get("key").value, "second");
}

TEST_F(EngineColdTest, TransactionsSeeColdKeys) {
  const base::Version version = Put("key", "value");
  Settle();
  const Mutation put{.key = "key", .value = "next"};
  EXPECT_THAT(
      engine_->Transact({{.kind = Precondition::Kind::kAbsent, .key = "key"}}, {put}, Noon()),
      StatusIs(absl::StatusCode::kAborted));
  EXPECT_OK(
      engine_->Transact({{.kind = Precondition::Kind::kVersion, .key = "key", .version = version},
                         {.kind = Precondition::Kind::kAbsent, .key = "other"}},
                        {put}, Noon()));
  EXPECT_EQ(Get("key").value, "next");
}

TEST_F(EngineColdTest, ExpiryOfColdKeysHolds) {
  const uint64_t noon_ms = static_cast<uint64_t>(absl::ToUnixMillis(Noon()));
  Put("over", "value", noon_ms);
  Put("coming", "value", noon_ms + 1);
  Settle();
  EXPECT_FALSE(Get("over").found);
  EXPECT_EQ(Get("coming").expires_at_ms, noon_ms + 1);
}

TEST_F(EngineColdTest, VisitsBothLayersInOrder) {
  PutAll("value");
  for (int i = 0; i < kKeyCount; i += 3) Put(KeyOf(i), "hot");
  for (int i = 1; i < kKeyCount; i += 30) Delete(KeyOf(i));
  Put("one more", "hot");
  const std::vector<Entry> entries = AllEntries(*engine_);
  ASSERT_EQ(entries.size(), static_cast<size_t>(kKeyCount) + 1);
  for (size_t i = 1; i < entries.size(); ++i) {
    ASSERT_LT(entries[i - 1].key_id, entries[i].key_id);
  }
  EXPECT_OK(engine_->Flush(Engine::FlushMode::kSync));
  EXPECT_OK(CheckEntriesAgainstLog(*engine_, fs_.get()));
  const base::KeyId id = base::KeyIdOf(KeyOf(1));
  int count = 0;
  EXPECT_OK(engine_->VisitEntries({.first = id, .last = id}, [&](const Entry& entry) {
    EXPECT_TRUE(entry.tombstone);
    ++count;
    return true;
  }));
  EXPECT_EQ(count, 1);
}

TEST_F(EngineColdTest, AVisitOfFewReadsNoMoreThanThese) {
  for (int i = 0; i < 2500; ++i) Put(KeyOf(i), "cold");
  Settle();
  const uint64_t run_count = engine_->stats().run_count;
  const uint64_t reads_before = fs_->call_count(MemoryFileSystem::Operation::kRead);
  int left = 10;
  ASSERT_OK(engine_->VisitEntries(
      base::RangeOf(base::KeyPrefix{}), [&left](const Entry&) { return --left > 0; },
      /*expected_count=*/10));
  EXPECT_EQ(left, 0);
  // The first 16 pages of each run.
  EXPECT_LE(fs_->call_count(MemoryFileSystem::Operation::kRead) - reads_before, run_count);
}

TEST_F(EngineColdTest, AVisitLooksAtTheRunsAsOftenAsItTakes) {
  // More than two looks have room for.
  constexpr int kCount = 2500;
  for (int i = 0; i < kCount; ++i) Put(KeyOf(i), "cold");
  Settle();
  for (int i = 0; i < kCount; i += 3) Put(KeyOf(i), "hot");
  const std::vector<Entry> entries = AllEntries(*engine_);
  ASSERT_EQ(entries.size(), static_cast<size_t>(kCount));
  for (size_t i = 1; i < entries.size(); ++i) {
    ASSERT_LT(entries[i - 1].key_id, entries[i].key_id);
  }
  EXPECT_OK(engine_->Flush(Engine::FlushMode::kSync));
  EXPECT_OK(CheckEntriesAgainstLog(*engine_, fs_.get()));
}

TEST_F(EngineColdTest, StartReadsTheTailOfTheLogOnly) {
  PutAll("value");
  const uint64_t written_count = engine_->appended_lsn();
  Put("behind", "the checkpoint");
  Kill();
  Open(ColdOptions());
  EXPECT_LT(engine_->recovery_report().record_count, written_count / 4);
  ExpectAll("value");
  EXPECT_EQ(Get("behind").value, "the checkpoint");
}

TEST_F(EngineColdTest, DamageBeforeTheCheckpointIsFoundWhenItIsRead) {
  Options options = ColdOptions();
  options.compaction_dead_share = 1;  // All stays where it is.
  Open(options);
  PutAll("value");
  const std::vector<Entry> before = AllEntries(*engine_);
  Kill();
  // The record of the first key, in the middle of a value.
  const std::string path = JoinPath(kDirectory, SegmentFileName(1));
  const size_t offset = fs_->Contents(path).find("value0");
  ASSERT_NE(offset, std::string::npos);
  fs_->FlipBit(path, offset + 2, 0);
  Open(options);
  EXPECT_TRUE(engine_->recovery_report().damaged.empty());
  EXPECT_EQ(AllEntries(*engine_), before);
  EXPECT_THAT(engine_->Get(KeyOf(0), Noon()), StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_OK(engine_->status());
  EXPECT_EQ(Get(KeyOf(1)).value, "value1");
}

TEST_F(EngineColdTest, WithRoomEverythingComesBackToMemory) {
  PutAll("value");
  ASSERT_OK(engine_->Close());
  Options roomy = ColdOptions();
  roomy.memory_limit_bytes = 0;
  Open(roomy);
  EXPECT_FALSE(engine_->stats().complete);
  Settle();
  EXPECT_TRUE(engine_->stats().complete);
  EXPECT_EQ(engine_->stats().live_key_count, static_cast<uint64_t>(kKeyCount));
  ExpectAll("value");
}

TEST_F(EngineColdTest, WithoutDerivedFilesTheLogIsEnough) {
  PutAll("value");
  Delete(KeyOf(7));
  const std::vector<Entry> before = AllEntries(*engine_);
  Kill();
  for (const std::string& name : RunNames()) ASSERT_OK(fs_->Remove(JoinPath(kDirectory, name)));
  ASSERT_OK(fs_->Remove(JoinPath(kDirectory, kIndexFileName)));
  Open(ColdOptions());
  EXPECT_EQ(AllEntries(*engine_), before);
}

TEST_F(EngineColdTest, EveryDamagedDerivedFileIsBuiltAgainFromTheLog) {
  PutAll("value");
  const std::vector<Entry> before = AllEntries(*engine_);
  Kill();
  const std::unique_ptr<MemoryFileSystem> whole = fs_->Clone();
  std::vector<std::string> names = RunNames();
  ASSERT_FALSE(names.empty());
  names.emplace_back(kIndexFileName);
  for (const std::string& name : names) {
    const std::string path = JoinPath(kDirectory, name);
    const uint64_t size = whole->Contents(path).size();
    for (uint64_t offset = 0; offset < size; offset += size / 16) {
      SCOPED_TRACE(absl::StrCat(name, " at ", offset));
      engine_.reset();
      fs_ = whole->Clone();
      fs_->FlipBit(path, offset, 0);
      Open(ColdOptions());
      if (HasFatalFailure()) return;
      // A page is looked at only when it is needed: then the engine stops and the next one is
      // whole.
      std::vector<Entry> entries;
      const absl::Status visited =
          engine_->VisitEntries(base::RangeOf(base::KeyPrefix{}), [&](const Entry& entry) {
            entries.push_back(entry);
            return true;
          });
      if (!visited.ok()) {
        EXPECT_THAT(visited, StatusIs(absl::StatusCode::kUnavailable));
        EXPECT_EQ(base::ReasonOf(visited), base::kReasonEngineFailed);
        EXPECT_FALSE(engine_->status().ok());
        Open(ColdOptions());
        entries = AllEntries(*engine_);
      }
      ASSERT_EQ(entries, before);
      ExpectAll("value");
    }
  }
}

TEST_F(EngineColdTest, ALogShorterThanTheCheckpointIsReadFromItsBeginning) {
  PutAll("value");
  Kill();
  const std::unique_ptr<MemoryFileSystem> earlier = fs_->Clone();
  Open(ColdOptions());
  for (int i = 0; i < kKeyCount; ++i) Put(KeyOf(i), absl::StrCat("later", i));
  Settle();
  Kill();
  // The derived files are those of a later life than the log.
  std::map<std::string, std::string> derived;
  std::vector<std::string> names = RunNames();
  names.emplace_back(kIndexFileName);
  for (const std::string& name : names) {
    derived[name] = fs_->Contents(JoinPath(kDirectory, name));
  }
  fs_ = earlier->Clone();
  for (const auto& [name, bytes] : derived) fs_->Install(JoinPath(kDirectory, name), bytes);
  // What they know of was durable, so it is lost, and a node alone does not hide that, ever.
  for (int i = 0; i < 2; ++i) {
    EXPECT_THAT(Engine::Open(fs_.get(), kDirectory, ColdOptions(), &rng_, nullptr),
                StatusIs(absl::StatusCode::kDataLoss));
  }
  Options options = ColdOptions();
  options.on_damage = OnDamage::kServeRest;
  Open(options);
  EXPECT_TRUE(engine_->recovery_report().new_actor);
  ExpectAll("value");
}

TEST_F(EngineColdTest, MemoryStaysBelowTheLimitThoughNobodyMaintains) {
  Options options = ColdOptions();
  options.segment_bytes = 1 << 20;
  options.checkpoint_bytes = 64 << 20;
  options.value_cache_bytes = 128 << 10;
  options.memory_limit_bytes = 6 << 20;
  Open(options);
  constexpr int kMany = 120'000;
  for (int i = 0; i < kMany; ++i) {
    Put(KeyOf(i), "value");
    if (i % 100 == 0) ASSERT_LE(engine_->stats().memory_bytes, options.memory_limit_bytes) << i;
  }
  EXPECT_GT(engine_->stats().live_key_count, 1000u);  // What fits stays.
  for (int i = 0; i < kMany; i += 7) ASSERT_TRUE(Get(KeyOf(i)).found) << i;
  // Reads bring keys back; whoever maintains sees that they do not stay for ever.
  Settle();
  EXPECT_LE(engine_->stats().memory_bytes, options.memory_limit_bytes);
}

TEST_F(EngineColdTest, RunsAreMerged) {
  for (int round = 0; round < 20; ++round) {
    for (int i = 0; i < 20; ++i) Put(KeyOf(i), absl::StrCat("value", round, "-", i));
    Settle();
    ASSERT_LT(RunNames().size(), 12u);
  }
  for (int i = 0; i < 20; ++i) EXPECT_EQ(Get(KeyOf(i)).value, absl::StrCat("value19-", i));
  EXPECT_EQ(AllEntries(*engine_).size(), 20u);
}

// A merge keeps the positions of the last checkpoint, so what it says of sequences is that
// checkpoint's actor's.
TEST_F(EngineColdTest, AMergeByANewActorDoesNotGiveItTheSequencesOfTheOld) {
  Options forgetful = ColdOptions();
  forgetful.sync = SyncPolicy::kInterval;
  Open(forgetful);
  for (int i = 0; i < 20; ++i) Put(KeyOf(1), "value");
  // No merge yet, but one is due.
  for (int i = 0; engine_->stats().run_count < 4; ++i) {
    Put(KeyOf(i % 50), absl::StrCat("value", i));
    ASSERT_OK(engine_->Maintain());
  }
  const base::ActorId old_actor = engine_->actor();
  Kill();
  Open(ColdOptions());
  ASSERT_NE(engine_->actor(), old_actor);
  const base::ActorId actor = engine_->actor();
  ASSERT_EQ(Write({.key = KeyOf(1)}).sequences[0], 1u);
  while (engine_->stats().run_count >= 4) ASSERT_OK(engine_->Maintain());
  ASSERT_EQ(engine_->stats().checkpoint_count, 0u);
  Kill();
  Open(ColdOptions());
  ASSERT_EQ(engine_->actor(), actor);
  EXPECT_EQ(Write({.key = KeyOf(1)}).sequences[0], 2u);
}

TEST_F(EngineColdTest, ACheckpointBeforeTheFirstWriteAfterATornTailIsNotInVain) {
  bool torn = false;
  for (uint64_t turn = 0; turn < 100 && !torn; ++turn) {
    engine_.reset();
    fs_ = std::make_unique<MemoryFileSystem>();
    Open(ColdOptions());
    PutAll("value");
    base::Random draw(turn);
    for (int i = 0; i < 12; ++i) Put(absl::StrCat("tail", i), draw.Bytes(700));
    ASSERT_OK(engine_->Flush(Engine::FlushMode::kWrite));
    engine_.reset();
    fs_->Crash(&power_);
    Open(ColdOptions());
    torn = engine_->recovery_report().tail_cut && engine_->stats().dirty_count != 0;
  }
  ASSERT_TRUE(torn);
  while (engine_->stats().checkpoint_count == 0) ASSERT_OK(engine_->Maintain());
  Kill();
  Open(ColdOptions());
  EXPECT_LT(engine_->recovery_report().record_count, static_cast<uint64_t>(kKeyCount) / 4);
  ExpectAll("value");
}

TEST_F(EngineColdTest, AFullDiskCostsNothingButSpace) {
  for (int i = 0; i < kKeyCount; ++i) Put(KeyOf(i), absl::StrCat("value", i));
  // Short by more and more of what checkpoints and merges need.
  for (uint64_t spare_bytes = 0; spare_bytes < 100'000; spare_bytes += 5'000) {
    SCOPED_TRACE(spare_bytes);
    fs_->set_capacity_bytes(fs_->used_bytes() + spare_bytes);
    for (int step = 0; step < 30; ++step) {
      const absl::StatusOr<bool> more = engine_->Maintain();
      if (!more.ok()) ASSERT_THAT(more, StatusIs(absl::StatusCode::kResourceExhausted));
    }
    ASSERT_OK(engine_->status());
    ExpectAll("value");
    fs_->set_capacity_bytes(UINT64_MAX);
    Settle();
    for (int i = 0; i < kKeyCount; i += 10) Put(KeyOf(i), absl::StrCat("value", i));
  }
  Settle();
  EXPECT_EQ(engine_->stats().live_key_count, 0u);
  ExpectAll("value");
}

TEST(EngineColdPropertyTest, AnswersAsItsAccountSays) {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    MemoryFileSystem fs;
    Script script(&fs, ColdOptions(), seed);
    ASSERT_OK(script.Run(300, Script::OnError::kStop));
    ASSERT_NE(script.engine(), nullptr);
    ASSERT_OK(script.engine()->Flush(Engine::FlushMode::kSync));
    ASSERT_OK(CheckEntriesAgainstLog(*script.engine(), &fs));
  }
}

}  // namespace
}  // namespace slipstream::storage

// Compaction and a world that is against it: full disks, damaged segments and manifests, files that
// are gone or back.

#include <cstdint>
#include <map>
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
#include "base/version.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/engine.h"
#include "storage/entry.h"
#include "storage/file_system.h"
#include "storage/frame.h"
#include "storage/manifest.h"
#include "storage/memory_file_system.h"
#include "storage/options.h"
#include "storage/record.h"
#include "storage/segment.h"
#include "storage/testing/small_store.h"

namespace slipstream::storage {
namespace {

using base::testing::StatusIs;
using ::testing::AllOf;
using testing::CheckEntriesAgainstLog;
using ::testing::HasSubstr;
using testing::kDirectory;
using testing::Noon;
using testing::SmallOptions;

constexpr size_t kValueBytes = 600;

std::string SegmentPath(uint64_t number) { return JoinPath(kDirectory, SegmentFileName(number)); }

bool Exists(const MemoryFileSystem& fs, absl::string_view path) {
  const std::unique_ptr<MemoryFileSystem> copy = fs.Clone();
  return copy->Open(path, OpenMode::kRead).ok();
}

class EngineCompactionFaultTest : public ::testing::Test {
 protected:
  EngineCompactionFaultTest() { options_.compaction_step_bytes = 2000; }

  absl::Status TryOpen() {
    engine_.reset();
    absl::StatusOr<std::unique_ptr<Engine>> opened =
        Engine::Open(&fs_, kDirectory, options_, &rng_, nullptr);
    if (opened.ok()) engine_ = *std::move(opened);
    return opened.status();
  }

  void Open() { ASSERT_OK(TryOpen()); }

  absl::Status Put(const std::string& key) {
    const std::string value = rng_.Bytes(kValueBytes);
    const Mutation put{.key = key, .value = value};
    const absl::Status status = engine_->Write({put}, Atomicity::kEach, Noon()).status();
    if (status.ok()) values_[key] = value;
    return status;
  }

  absl::Status Delete(const std::string& key) {
    const Mutation remove{.kind = Mutation::Kind::kDelete, .key = key};
    const absl::Status status = engine_->Write({remove}, Atomicity::kEach, Noon()).status();
    if (status.ok()) values_.erase(key);
    return status;
  }

  absl::Status Sync() { return engine_->Flush(Engine::FlushMode::kSync).status(); }

  void CheckValues() {
    for (const auto& [key, value] : values_) {
      ASSERT_OK_AND_ASSIGN(const ReadResult read, engine_->Get(key, Noon()));
      ASSERT_TRUE(read.found) << key;
      ASSERT_EQ(read.value, value) << key;
    }
    ASSERT_EQ(engine_->stats().live_key_count, values_.size());
  }

  // Takes steps until there is no more to do, or no way to do it; returns how it ended.
  absl::Status Maintain() {
    for (int step = 0; step < 10'000; ++step) {
      const absl::StatusOr<bool> more = engine_->Maintain();
      if (!more.ok()) return more.status();
      if (!*more) return absl::OkStatus();
    }
    return absl::InternalError("no rest");
  }

  // Puts new keys, flushing each, until the disk is full.
  absl::Status FillDisk() {
    absl::Status status;
    while (status.ok()) {
      status = Put(absl::StrCat("key", next_key_));
      if (status.ok()) status = Sync();
      if (status.ok()) ++next_key_;
    }
    return status;
  }

  MemoryFileSystem fs_;
  base::Random rng_{1};
  Options options_ = SmallOptions();
  std::unique_ptr<Engine> engine_;
  std::map<std::string, std::string> values_;
  int next_key_ = 0;
};

TEST_F(EngineCompactionFaultTest, FullDiskTakesDeletesFreesItselfAndTakesWritesAgain) {
  Open();
  ASSERT_OK(Put("first"));
  ASSERT_OK(Sync());
  ASSERT_OK(Maintain());
  fs_.set_capacity_bytes(fs_.used_bytes() + 8 * options_.segment_bytes + 5000);
  for (int round = 0; round < 5; ++round) {
    SCOPED_TRACE(absl::StrCat("round ", round));
    const absl::Status full = FillDisk();
    ASSERT_THAT(full, StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("no space")));
    ASSERT_EQ(base::ReasonOf(full), base::kReasonDiskFull);
    Maintain().IgnoreError();
    ASSERT_OK(engine_->status());
    CheckValues();
    // Every second key goes, maintenance at work in between.
    std::vector<std::string> keys;
    for (const auto& [key, value] : values_) keys.push_back(key);
    for (size_t i = 0; i < keys.size(); i += 2) {
      absl::Status deleted = Delete(keys[i]);
      for (int retry = 0; retry < 20 && absl::IsResourceExhausted(deleted); ++retry) {
        Maintain().IgnoreError();
        deleted = Delete(keys[i]);
      }
      ASSERT_OK(deleted);
      if (i % 8 != 0) continue;
      ASSERT_OK(Sync());
      Maintain().IgnoreError();
    }
    ASSERT_OK(Sync());
    Maintain().IgnoreError();
    ASSERT_OK(Put("taken again"));
    ASSERT_OK(Sync());
    CheckValues();
  }
  Open();
  CheckValues();
}

TEST_F(EngineCompactionFaultTest, OrdinaryWritesLeaveTheReserveAlone) {
  Open();
  ASSERT_OK(Put("first"));
  ASSERT_OK(Sync());
  ASSERT_OK(Maintain());
  fs_.set_capacity_bytes(fs_.used_bytes());
  ASSERT_THAT(FillDisk(), StatusIs(absl::StatusCode::kResourceExhausted));
  const uint64_t last = engine_->stats().segment_count;
  // Still full of zeros.
  EXPECT_TRUE(fs_.Contents(SegmentPath(last)).substr(0, kPageBytes) == std::string(kPageBytes, 0));
  ASSERT_OK(Delete("first"));
  ASSERT_OK(Sync());
  EXPECT_FALSE(fs_.Contents(SegmentPath(last)).substr(0, kPageBytes) == std::string(kPageBytes, 0));
  // What is open now is part of the reserve.
  EXPECT_THAT(Put("first"), StatusIs(absl::StatusCode::kResourceExhausted));
}

// The disk is full after every number of bytes more.
TEST_F(EngineCompactionFaultTest, NothingIsLostWhereverTheDiskIsFull) {
  for (uint64_t more_bytes = 0; more_bytes < 6 * options_.segment_bytes; more_bytes += 1536) {
    SCOPED_TRACE(absl::StrCat("full after ", more_bytes));
    fs_.set_capacity_bytes(UINT64_MAX);
    engine_.reset();
    values_.clear();
    ASSERT_OK(fs_.CreateDirectory(kDirectory));
    ASSERT_OK_AND_ASSIGN(const std::vector<std::string> names, fs_.ListDirectory(kDirectory));
    for (const std::string& name : names) ASSERT_OK(fs_.Remove(JoinPath(kDirectory, name)));
    Open();
    ASSERT_OK(Put("key0"));
    ASSERT_OK(Maintain());
    fs_.set_capacity_bytes(fs_.used_bytes() + more_bytes);
    bool was_full = false;
    for (int i = 0; i < 80; ++i) {
      const std::string key = absl::StrCat("key", i % 7);
      const absl::Status status = i % 9 == 8 ? Delete(key) : Put(key);
      if (!status.ok()) {
        ASSERT_THAT(status, StatusIs(absl::StatusCode::kResourceExhausted));
        was_full = true;
      }
      if (i % 3 == 0) ASSERT_OK(Sync());
      const absl::StatusOr<bool> more = engine_->Maintain();
      if (!more.ok()) ASSERT_THAT(more, StatusIs(absl::StatusCode::kResourceExhausted));
    }
    ASSERT_OK(engine_->status());
    ASSERT_OK(Sync());
    CheckValues();
    ASSERT_EQ(engine_->stats().failed_segment_count, 0u);
    if (was_full && more_bytes % 4096 == 0) {
      // What a crash on the full disk leaves is whole.
      const std::unique_ptr<MemoryFileSystem> crashed = fs_.Clone();
      crashed->CrashKeeping([](size_t) { return false; });
      base::Random rng(2);
      ASSERT_OK_AND_ASSIGN(const auto reopened,
                           Engine::Open(crashed.get(), kDirectory, options_, &rng, nullptr));
      ASSERT_OK(CheckEntriesAgainstLog(*reopened, crashed.get()));
      ASSERT_EQ(reopened->stats().live_key_count, values_.size());
    }
    fs_.set_capacity_bytes(UINT64_MAX);
    Maintain().IgnoreError();
    ASSERT_OK(Maintain());
    for (int i = 0; i < 30; ++i) ASSERT_OK(Put("resumed"));
    ASSERT_OK(Sync());
    ASSERT_OK(Maintain());
    CheckValues();
    Open();
    CheckValues();
    if (HasFatalFailure()) return;
  }
}

TEST_F(EngineCompactionFaultTest, ManifestIsWrittenInThePlaceOfItsSpare) {
  Open();
  ASSERT_OK(Put("kept"));
  for (int i = 0; i < 40; ++i) {
    ASSERT_OK(Put("replaced"));
    ASSERT_OK(Sync());
  }
  ASSERT_OK(engine_->Maintain());
  while (!Exists(fs_, JoinPath(kDirectory, kManifestSpareFileName))) ASSERT_OK(engine_->Maintain());
  ASSERT_EQ(engine_->stats().compacted_segment_count, 0u);
  fs_.set_capacity_bytes(fs_.used_bytes());
  while (engine_->stats().compacted_segment_count == 0) ASSERT_OK(engine_->Maintain());
  EXPECT_FALSE(Exists(fs_, JoinPath(kDirectory, kManifestSpareFileName)));
  // With the segment's space it is made anew.
  ASSERT_OK(Maintain());
  EXPECT_TRUE(Exists(fs_, JoinPath(kDirectory, kManifestSpareFileName)));
  CheckValues();
}

// Segments 1 to 4 of three frames of two records each: key0 to key23.
class DamagedSegmentTest : public EngineCompactionFaultTest {
 protected:
  void SetUp() override {
    Open();
    for (int i = 0; i < 30; ++i) {
      ASSERT_OK(Put(absl::StrCat("key", i)));
      if (i % 2 == 1) ASSERT_OK(Sync());
    }
  }

  void Replace(int first, int end) {
    for (int i = first; i < end; ++i) {
      ASSERT_OK(Put(absl::StrCat("key", i)));
      if (i % 2 == 1) ASSERT_OK(Sync());
    }
    ASSERT_OK(Sync());
  }
};

TEST_F(DamagedSegmentTest, IsNotCompactedWhileSomethingInItIsCurrentAndOthersAre) {
  fs_.FlipBit(SegmentPath(1), 2 * kPageBytes + kFrameHeaderBytes + 100, 1);
  Replace(0, 4);
  Replace(6, 30);
  ASSERT_OK(Maintain());
  EXPECT_EQ(engine_->stats().failed_segment_count, 1u);
  EXPECT_GT(engine_->stats().compacted_segment_count, 2u);
  EXPECT_TRUE(Exists(fs_, SegmentPath(1)));
  EXPECT_FALSE(Exists(fs_, SegmentPath(2)));
  // Nothing in it is current any more: nobody misses it.
  Replace(4, 6);
  ASSERT_OK(Maintain());
  EXPECT_EQ(engine_->stats().failed_segment_count, 0u);
  EXPECT_FALSE(Exists(fs_, SegmentPath(1)));
  CheckValues();
  Open();
  CheckValues();
}

TEST_F(DamagedSegmentTest, QuarantinedRecordKeepsItsSegment) {
  // Found by a read, and whole again: as a device that lied once.
  fs_.FlipBit(SegmentPath(1), kPageBytes + kFrameHeaderBytes + 100, 1);
  EXPECT_THAT(engine_->Get("key0", Noon()), StatusIs(absl::StatusCode::kDataLoss));
  fs_.FlipBit(SegmentPath(1), kPageBytes + kFrameHeaderBytes + 100, 1);
  Replace(1, 30);
  ASSERT_OK(Maintain());
  EXPECT_EQ(engine_->stats().failed_segment_count, 1u);
  EXPECT_TRUE(Exists(fs_, SegmentPath(1)));
  EXPECT_THAT(engine_->Get("key0", Noon()), StatusIs(absl::StatusCode::kDataLoss));
}

TEST_F(DamagedSegmentTest, AcceptedDamageIsTheSameAfterCompaction) {
  engine_.reset();
  fs_.FlipBit(SegmentPath(2), kPageBytes, 0);
  options_.on_damage = OnDamage::kServeRest;
  Open();
  EXPECT_TRUE(engine_->recovery_report().new_actor);
  Replace(0, 30);
  ASSERT_OK(Maintain());
  EXPECT_TRUE(Exists(fs_, SegmentPath(2)));
  EXPECT_FALSE(Exists(fs_, SegmentPath(1)));
  EXPECT_FALSE(Exists(fs_, SegmentPath(3)));
  options_.on_damage = OnDamage::kRefuse;
  Open();
  EXPECT_FALSE(engine_->recovery_report().new_actor);
  CheckValues();
}

// Segments are dropped around segment 3, all of which is kept.
class DroppedSegmentsTest : public DamagedSegmentTest {
 protected:
  DroppedSegmentsTest() { options_.compaction_dead_share = 1; }

  void SetUp() override {
    DamagedSegmentTest::SetUp();
    before_ = fs_.Clone();
    // In segment 3 are the keys 12 to 17.
    Replace(0, 12);
    Replace(18, 30);
    ASSERT_OK(Maintain());
    ASSERT_FALSE(Exists(fs_, SegmentPath(2)));
    ASSERT_TRUE(Exists(fs_, SegmentPath(3)));
    ASSERT_FALSE(Exists(fs_, SegmentPath(4)));
    ASSERT_OK(Sync());
  }

  std::string ManifestPath() const { return JoinPath(kDirectory, kManifestFileName); }

  std::unique_ptr<MemoryFileSystem> before_;  // With all segments.
};

TEST_F(DroppedSegmentsTest, LeftoverFilesAreRemovedAndResurrectNothing) {
  ASSERT_OK(Delete("key0"));
  ASSERT_OK(Sync());
  engine_.reset();
  for (const uint64_t number : {1, 2, 4}) {
    fs_.Install(SegmentPath(number), before_->Contents(SegmentPath(number)));
  }
  Open();
  EXPECT_TRUE(engine_->recovery_report().damaged.empty());
  for (const uint64_t number : {1, 2, 4}) EXPECT_FALSE(Exists(fs_, SegmentPath(number)));
  CheckValues();
  ASSERT_OK(CheckEntriesAgainstLog(*engine_, &fs_));
}

TEST_F(DroppedSegmentsTest, SegmentBeforeAGapIsStillKnownToHaveBeenDurable) {
  engine_.reset();
  // In the last frame of segment 3, which would pass for a torn tail: its first record is saved.
  fs_.FlipBit(SegmentPath(3), 3 * kPageBytes + kFrameHeaderBytes + kRecordHeaderBytes + 800, 0);
  EXPECT_THAT(TryOpen(), StatusIs(absl::StatusCode::kDataLoss,
                                  AllOf(HasSubstr("1 records are lost"),
                                        HasSubstr("segment 3, offsets 12288 to 16384"))));
}

TEST_F(DroppedSegmentsTest, LostSegmentNextToAGapIsReportedWithItsRecordsAlone) {
  engine_.reset();
  ASSERT_OK(fs_.Remove(SegmentPath(3)));
  EXPECT_THAT(TryOpen(),
              StatusIs(absl::StatusCode::kDataLoss, AllOf(HasSubstr("6 records are lost"),
                                                          HasSubstr("6 of the records 13 to 18"))));
}

TEST_F(DroppedSegmentsTest, NumbersOfDroppedSegmentsAreNotGivenAgain) {
  engine_.reset();
  // All that followed the gap is lost.
  ASSERT_OK_AND_ASSIGN(const std::vector<std::string> names, fs_.ListDirectory(kDirectory));
  for (const std::string& name : names) {
    const auto number = ParseSegmentFileName(name);
    if (number.has_value() && *number > 4) ASSERT_OK(fs_.Remove(JoinPath(kDirectory, name)));
  }
  options_.on_damage = OnDamage::kServeRest;
  Open();
  EXPECT_EQ(engine_->stats().live_key_count, 6u);
  ASSERT_OK(Put("after"));
  ASSERT_OK(Sync());
  Open();
  ASSERT_OK_AND_ASSIGN(const ReadResult read, engine_->Get("after", Noon()));
  EXPECT_EQ(read.value, values_["after"]);
  EXPECT_EQ(engine_->stats().live_key_count, 7u);
}

TEST_F(DroppedSegmentsTest, WithoutTheManifestWhatWasDroppedIsMissing) {
  engine_.reset();
  ASSERT_OK(fs_.Remove(ManifestPath()));
  EXPECT_THAT(TryOpen(), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("segment is missing")));
}

TEST_F(DroppedSegmentsTest, DamagedManifestIsRefusedOrServedUnderANewActor) {
  const base::ActorId actor = engine_->actor();
  engine_.reset();
  fs_.FlipBit(ManifestPath(), 100, 0);
  const absl::Status refused = TryOpen();
  EXPECT_THAT(refused, StatusIs(absl::StatusCode::kDataLoss,
                                AllOf(HasSubstr("manifest crc"), HasSubstr("new actor"))));
  EXPECT_EQ(base::ReasonOf(refused), base::kReasonLogDamaged);
  options_.on_damage = OnDamage::kServeRest;
  Open();
  EXPECT_TRUE(engine_->recovery_report().manifest_damaged);
  EXPECT_TRUE(engine_->recovery_report().new_actor);
  const base::ActorId new_actor = engine_->actor();
  EXPECT_NE(new_actor, actor);
  CheckValues();
  Replace(0, 30);
  ASSERT_OK(Maintain());
  CheckValues();
  // Accepted once, it is not refused again.
  options_.on_damage = OnDamage::kRefuse;
  Open();
  EXPECT_FALSE(engine_->recovery_report().manifest_damaged);
  EXPECT_EQ(engine_->actor(), new_actor);
  CheckValues();
}

TEST_F(DroppedSegmentsTest, ManifestOfAnotherNodeIsForeign) {
  engine_.reset();
  ASSERT_OK_AND_ASSIGN(Manifest manifest, ReadManifest(&fs_, kDirectory));
  ++manifest.header.node_id;
  ASSERT_OK(WriteManifest(&fs_, kDirectory, manifest));
  const absl::Status refused = TryOpen();
  EXPECT_THAT(refused, StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("belongs to")));
  EXPECT_EQ(base::ReasonOf(refused), base::kReasonDirectoryForeign);
}

TEST_F(DroppedSegmentsTest, DamagedIdentityTakesTheNodeFromWhatIsLeft) {
  const uint64_t node_id = engine_->node_id();
  engine_.reset();
  fs_.FlipBit(JoinPath(kDirectory, "identity"), 30, 0);
  options_.on_damage = OnDamage::kServeRest;
  Open();
  EXPECT_EQ(engine_->node_id(), node_id);
  EXPECT_FALSE(engine_->recovery_report().manifest_damaged);
  CheckValues();
}

}  // namespace
}  // namespace slipstream::storage

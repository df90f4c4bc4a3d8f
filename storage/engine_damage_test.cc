// Flips bits in a store at rest: damage before the tail is reported with what it cost, never served
// and never taken for a torn tail.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/error_reason.h"
#include "base/key_id.h"
#include "base/random.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/engine.h"
#include "storage/entry.h"
#include "storage/file_system.h"
#include "storage/frame.h"
#include "storage/memory_file_system.h"
#include "storage/options.h"
#include "storage/record.h"
#include "storage/segment.h"
#include "storage/testing/small_store.h"

namespace slipstream::storage {
namespace {

using base::testing::StatusIs;
using testing::AllEntries;
using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::kDirectory;
using testing::Noon;
using testing::SmallOptions;

constexpr uint64_t kSegmentBytes = 65536;

std::string SegmentPath(uint64_t number) { return JoinPath(kDirectory, SegmentFileName(number)); }

class EngineDamageTest : public ::testing::Test {
 protected:
  EngineDamageTest() {
    options_.segment_bytes = kSegmentBytes;
    options_.reserve_segments = 0;  // These tests count segments.
  }

  absl::Status Open() {
    engine_.reset();
    absl::StatusOr<std::unique_ptr<Engine>> opened =
        Engine::Open(&fs_, kDirectory, options_, &rng_, nullptr);
    if (opened.ok()) engine_ = *std::move(opened);
    return opened.status();
  }

  void Put(absl::string_view key, absl::string_view value) {
    const Mutation put{.key = key, .value = value};
    ASSERT_OK(engine_->Write({put}, Atomicity::kEach, Noon()));
  }

  void Sync() { ASSERT_OK(engine_->Flush(Engine::FlushMode::kSync)); }

  // Frame i of segment 1, at page i, holds the records a<i> and b<i>: LSN 2i - 1 and 2i.
  void WriteFrames(int count) {
    ASSERT_OK(Open());
    for (int i = 1; i <= count; ++i) {
      Put(absl::StrCat("a", i), "first");
      Put(absl::StrCat("b", i), "second");
      Sync();
    }
    engine_.reset();
  }

  std::string Value(absl::string_view key) {
    const absl::StatusOr<ReadResult> read = engine_->Get(key, Noon());
    if (!read.ok()) return read.status().ToString();
    return read->found ? read->value : "absent";
  }

  MemoryFileSystem fs_;
  base::Random rng_{1};
  Options options_ = SmallOptions();
  std::unique_ptr<Engine> engine_;
};

uint64_t OffsetOfFrame(int number) { return static_cast<uint64_t>(number) * kPageBytes; }

TEST_F(EngineDamageTest, EveryBitOfAFrameHeaderBeforeTheTail) {
  WriteFrames(4);
  for (uint64_t bit = 0; bit < kFrameHeaderBytes * 8; ++bit) {
    SCOPED_TRACE(absl::StrCat("bit ", bit));
    fs_.FlipBit(SegmentPath(1), OffsetOfFrame(2) + bit / 8, static_cast<int>(bit % 8));
    const absl::Status refused = Open();
    ASSERT_THAT(refused, StatusIs(absl::StatusCode::kDataLoss,
                                  AllOf(HasSubstr("2 records are lost"),
                                        HasSubstr("2 of the records 3 to 4"),
                                        HasSubstr("segment 1, offsets 8192 to 12288"))));
    ASSERT_EQ(base::ReasonOf(refused), base::kReasonLogDamaged);
    fs_.FlipBit(SegmentPath(1), OffsetOfFrame(2) + bit / 8, static_cast<int>(bit % 8));
  }
  ASSERT_OK(Open());
  EXPECT_TRUE(engine_->recovery_report().damaged.empty());
}

TEST_F(EngineDamageTest, EveryByteOfAPayloadBeforeTheTailCostsOneRecordOrItsFrame) {
  WriteFrames(4);
  const uint64_t payload_bytes = 2 * kRecordHeaderBytes + 2 + 2 + 5 + 6;
  for (uint64_t i = 0; i < payload_bytes; ++i) {
    SCOPED_TRACE(absl::StrCat("payload byte ", i));
    std::unique_ptr<MemoryFileSystem> disk = fs_.Clone();
    disk->FlipBit(SegmentPath(1), OffsetOfFrame(2) + kFrameHeaderBytes + i, 3);
    ASSERT_THAT(Engine::Open(disk.get(), kDirectory, options_, &rng_, nullptr),
                StatusIs(absl::StatusCode::kDataLoss));
    Options options = options_;
    options.on_damage = OnDamage::kServeRest;
    ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Engine> engine,
                         Engine::Open(disk.get(), kDirectory, options, &rng_, nullptr));
    ASSERT_EQ(engine->recovery_report().damaged.size(), 1u);
    const DamagedRange& range = engine->recovery_report().damaged[0];
    EXPECT_EQ(range.first_lsn, 3u);
    EXPECT_EQ(range.last_lsn, 4u);
    EXPECT_EQ(range.first_offset, OffsetOfFrame(2));
    EXPECT_EQ(range.end_offset, OffsetOfFrame(3));
    EXPECT_GE(range.lost_count(), 1u);
    EXPECT_TRUE(engine->recovery_report().new_actor);
    EXPECT_FALSE(engine->recovery_report().tail_cut);
    EXPECT_EQ(AllEntries(*engine).size(), 8 - range.lost_count());
    for (const absl::string_view key : {"a1", "b1", "a3", "b3", "a4", "b4"}) {
      ASSERT_OK_AND_ASSIGN(const ReadResult read, engine->Get(key, Noon()));
      EXPECT_EQ(read.value, key[0] == 'a' ? "first" : "second");
    }
  }
}

TEST_F(EngineDamageTest, EveryBitOfASegmentHeaderCostsNothing) {
  WriteFrames(3);
  for (uint64_t bit = 0; bit < kSegmentHeaderBytes * 8; ++bit) {
    SCOPED_TRACE(absl::StrCat("bit ", bit));
    std::unique_ptr<MemoryFileSystem> disk = fs_.Clone();
    disk->FlipBit(SegmentPath(1), bit / 8, static_cast<int>(bit % 8));
    ASSERT_OK_AND_ASSIGN(std::unique_ptr<Engine> engine,
                         Engine::Open(disk.get(), kDirectory, options_, &rng_, nullptr));
    ASSERT_EQ(engine->recovery_report().damaged.size(), 1u);
    EXPECT_EQ(engine->recovery_report().damaged[0].lost_count(), 0u);
    EXPECT_EQ(AllEntries(*engine).size(), 6u);
    // The segment is not written to again; what comes next is found too.
    const Mutation put{.key = "next", .value = "segment"};
    ASSERT_OK(engine->Write({put}, Atomicity::kEach, Noon()));
    ASSERT_OK(engine->Close());
    engine.reset();
    ASSERT_OK_AND_ASSIGN(engine, Engine::Open(disk.get(), kDirectory, options_, &rng_, nullptr));
    EXPECT_EQ(AllEntries(*engine).size(), 7u);
    EXPECT_EQ(engine->stats().segment_count, 2u);
  }
}

TEST_F(EngineDamageTest, LastFrameWithoutAWitnessIsATornTail) {
  WriteFrames(3);
  fs_.FlipBit(SegmentPath(1), OffsetOfFrame(3) + kFrameHeaderBytes + 5, 0);
  ASSERT_OK(Open());
  const RecoveryReport& report = engine_->recovery_report();
  EXPECT_TRUE(report.tail_cut);
  EXPECT_EQ(report.tail_segment_number, 1u);
  EXPECT_EQ(report.tail_offset, OffsetOfFrame(3));
  EXPECT_THAT(report.tail_cause, HasSubstr("segment 1 offset 12288: frame payload crc"));
  EXPECT_TRUE(report.damaged.empty());
  EXPECT_FALSE(report.new_actor);
  EXPECT_EQ(engine_->appended_lsn(), 4u);
  EXPECT_EQ(Value("a3"), "absent");
  // The cut is kept: what stands after it never comes back.
  Put("c", "after the cut");
  Sync();
  ASSERT_OK(Open());
  EXPECT_FALSE(engine_->recovery_report().tail_cut);
  EXPECT_EQ(Value("a3"), "absent");
  EXPECT_EQ(Value("c"), "after the cut");
  EXPECT_EQ(engine_->appended_lsn(), 5u);
}

TEST_F(EngineDamageTest, LastFrameWithAWitnessIsDamage) {
  ASSERT_OK(Open());
  Put("a", "1");
  Sync();
  Put("b", "2");
  Sync();
  ASSERT_OK_AND_ASSIGN(const bool prepared, engine_->Maintain());
  EXPECT_TRUE(prepared);
  for (int i = 0; i < 2; ++i) ASSERT_OK(engine_->Maintain());
  engine_.reset();
  fs_.FlipBit(SegmentPath(1), OffsetOfFrame(2) + kFrameHeaderBytes + 5, 0);
  EXPECT_THAT(Open(), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("1 of the records 2 to 2")));
}

TEST_F(EngineDamageTest, LastFrameAfterAnOpenIsDamageEvenWithoutAWitness) {
  WriteFrames(2);
  ASSERT_OK(Open());  // Notes in the identity what it found durable.
  fs_.FlipBit(SegmentPath(1), OffsetOfFrame(2) + 8, 0);
  EXPECT_THAT(Open(), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("2 of the records 3 to 4")));
}

TEST_F(EngineDamageTest, LogThatEndsTooEarlyAfterCloseIsDamage) {
  WriteFrames(2);
  ASSERT_OK(Open());
  ASSERT_OK(engine_->Close());
  engine_.reset();
  std::string bytes = fs_.Contents(SegmentPath(1));
  std::fill(bytes.begin() + 2 * kPageBytes, bytes.end(), '\0');
  fs_.Install(SegmentPath(1), bytes);
  EXPECT_THAT(Open(), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("2 of the records 3 to 4")));
}

TEST_F(EngineDamageTest, MissingOnlySegmentIsDamage) {
  WriteFrames(2);
  ASSERT_OK(Open());
  engine_.reset();
  ASSERT_OK(fs_.Remove(SegmentPath(1)));
  EXPECT_THAT(Open(), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("4 of the records 1 to 4")));
}

// A file is as long as its header says before it is used: a shorter one is an incomplete copy.
TEST_F(EngineDamageTest, LastSegmentCutShortInItsFramesIsDamage) {
  WriteFrames(4);
  for (const uint64_t bytes_left : {OffsetOfFrame(3), OffsetOfFrame(4) + 100}) {
    SCOPED_TRACE(absl::StrCat(bytes_left, " bytes left"));
    const std::unique_ptr<MemoryFileSystem> disk = fs_.Clone();
    disk->Install(SegmentPath(1), disk->Contents(SegmentPath(1)).substr(0, bytes_left));
    const auto open = [&](OnDamage on_damage) {
      Options options = options_;
      options.on_damage = on_damage;
      return Engine::Open(disk.get(), kDirectory, options, &rng_, nullptr);
    };
    EXPECT_THAT(open(OnDamage::kRefuse),
                StatusIs(absl::StatusCode::kDataLoss, HasSubstr("cut short")));
    ASSERT_OK_AND_ASSIGN(engine_, open(OnDamage::kServeRest));
    EXPECT_TRUE(engine_->recovery_report().new_actor);
    EXPECT_FALSE(engine_->recovery_report().tail_cut);
    EXPECT_EQ(Value("a2"), "first");
    EXPECT_EQ(Value("a4"), "absent");
    Put("c", "on");
    Sync();
    engine_.reset();
    // Accepted: the same loss is found again, and nothing else.
    ASSERT_OK_AND_ASSIGN(engine_, open(OnDamage::kRefuse));
    EXPECT_FALSE(engine_->recovery_report().new_actor);
    EXPECT_EQ(Value("c"), "on");
    engine_.reset();
  }
}

TEST_F(EngineDamageTest, LastSegmentCutShortBehindItsFramesCostsNothing) {
  WriteFrames(2);
  fs_.Install(SegmentPath(1), fs_.Contents(SegmentPath(1)).substr(0, OffsetOfFrame(4)));
  ASSERT_OK(Open());
  EXPECT_TRUE(engine_->recovery_report().damaged.empty());
  Put("c", "on");
  Sync();
  ASSERT_OK(Open());
  EXPECT_EQ(Value("a2"), "first");
  EXPECT_EQ(Value("c"), "on");
}

TEST_F(EngineDamageTest, DamagedWitnessCostsNothing) {
  ASSERT_OK(Open());
  Put("a", "1");
  Sync();
  for (int i = 0; i < 3; ++i) ASSERT_OK(engine_->Maintain());
  Put("b", "2");
  Sync();
  engine_.reset();
  fs_.FlipBit(SegmentPath(1), OffsetOfFrame(2) + 20, 0);
  ASSERT_OK(Open());
  ASSERT_EQ(engine_->recovery_report().damaged.size(), 1u);
  EXPECT_EQ(engine_->recovery_report().damaged[0].lost_count(), 0u);
  EXPECT_FALSE(engine_->recovery_report().tail_cut);
  EXPECT_FALSE(engine_->recovery_report().new_actor);
  EXPECT_EQ(Value("a"), "1");
  EXPECT_EQ(Value("b"), "2");
}

TEST_F(EngineDamageTest, AcceptedDamageIsReportedButChangesNothingMore) {
  WriteFrames(4);
  fs_.FlipBit(SegmentPath(1), OffsetOfFrame(2), 0);
  ASSERT_THAT(Open(), StatusIs(absl::StatusCode::kDataLoss));
  options_.on_damage = OnDamage::kServeRest;
  ASSERT_OK(Open());
  EXPECT_TRUE(engine_->recovery_report().new_actor);
  const base::ActorId actor = engine_->actor();
  Put("c", "on");
  Sync();
  options_.on_damage = OnDamage::kRefuse;
  ASSERT_OK(Open());
  EXPECT_EQ(engine_->recovery_report().damaged.size(), 1u);
  EXPECT_FALSE(engine_->recovery_report().new_actor);
  EXPECT_EQ(engine_->actor(), actor);
  // Other damage is refused again.
  fs_.FlipBit(SegmentPath(1), OffsetOfFrame(3), 0);
  EXPECT_THAT(Open(), StatusIs(absl::StatusCode::kDataLoss));
}

TEST_F(EngineDamageTest, AcceptedLossOfTheTailIsTheSameAfterTheLogWentOn) {
  WriteFrames(2);
  ASSERT_OK(Open());
  fs_.FlipBit(SegmentPath(1), OffsetOfFrame(2), 0);
  options_.on_damage = OnDamage::kServeRest;
  ASSERT_OK(Open());
  EXPECT_EQ(engine_->appended_lsn(), 4u);
  Put("c", "on");
  Sync();
  options_.on_damage = OnDamage::kRefuse;
  ASSERT_OK(Open());
  EXPECT_FALSE(engine_->recovery_report().new_actor);
  EXPECT_EQ(Value("c"), "on");
  EXPECT_EQ(Value("a1"), "first");
  EXPECT_EQ(Value("a2"), "absent");
}

TEST_F(EngineDamageTest, MissingSegmentInTheMiddleIsDamage) {
  ASSERT_OK(Open());
  const std::string value(1000, 'v');
  for (int i = 0; engine_->stats().segment_count < 3; ++i) {
    Put(absl::StrCat("key", i), value);
    Sync();
  }
  const Lsn last_lsn = engine_->appended_lsn();
  engine_.reset();
  ASSERT_OK(fs_.Remove(SegmentPath(2)));
  EXPECT_THAT(Open(), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("a segment is missing")));
  options_.on_damage = OnDamage::kServeRest;
  ASSERT_OK(Open());
  EXPECT_EQ(engine_->appended_lsn(), last_lsn);
  EXPECT_EQ(Value("key0"), value);
}

TEST_F(EngineDamageTest, NamedEndOfASegmentSavesFramesThatBearNoWitness) {
  options_.segment_bytes = 16384;
  options_.unflushed_bytes_max = 1 << 20;
  ASSERT_OK(Open());
  // Three frames without a sync between: none says that another was durable. The fourth is in the
  // next segment, whose header says so of all of them.
  for (int i = 1; i <= 4; ++i) {
    Put(absl::StrCat("key", i), "v");
    ASSERT_OK(engine_->Flush(Engine::FlushMode::kWrite));
  }
  Sync();
  engine_.reset();
  fs_.FlipBit(SegmentPath(1), OffsetOfFrame(1) + 10, 0);
  EXPECT_THAT(Open(), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("1 of the records 1 to 1")));
  options_.on_damage = OnDamage::kServeRest;
  ASSERT_OK(Open());
  EXPECT_EQ(Value("key1"), "absent");
  for (const char* key : {"key2", "key3", "key4"}) EXPECT_EQ(Value(key), "v");
}

TEST_F(EngineDamageTest, SegmentOfAnotherNodeIsForeign) {
  WriteFrames(2);
  const std::string older = fs_.Contents(SegmentPath(1));
  ASSERT_OK(fs_.Remove(SegmentPath(1)));
  ASSERT_OK(fs_.Remove(JoinPath(kDirectory, "identity")));
  WriteFrames(3);
  fs_.Install(SegmentPath(1), older);
  // Another node's: its node_id differs.
  const absl::Status refused = Open();
  EXPECT_THAT(refused,
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("belongs to node")));
  EXPECT_EQ(base::ReasonOf(refused), base::kReasonDirectoryForeign);
}

TEST_F(EngineDamageTest, FramesOfAnotherIncarnationAreNeverTaken) {
  WriteFrames(3);
  // Frame 2 of an earlier use of the same file, whole in itself, over the last frame.
  std::string bytes = fs_.Contents(SegmentPath(1));
  std::string stale = bytes.substr(OffsetOfFrame(3), kPageBytes);
  FrameHeader header;
  std::memcpy(&header, stale.data(), sizeof(header));
  ++header.incarnation;
  header.header_crc32c = FrameHeaderCrc(header);
  std::memcpy(stale.data(), &header, sizeof(header));
  fs_.Install(SegmentPath(1), bytes.replace(OffsetOfFrame(3), kPageBytes, stale));
  ASSERT_OK(Open());
  EXPECT_TRUE(engine_->recovery_report().tail_cut);
  EXPECT_THAT(engine_->recovery_report().tail_cause, HasSubstr("incarnation"));
  EXPECT_EQ(Value("a3"), "absent");
}

TEST_F(EngineDamageTest, ReadNeverServesADamagedRecordUntilItIsReplaced) {
  WriteFrames(2);
  ASSERT_OK(Open());
  const Record healthy = *engine_->GetRecord(base::KeyIdOf("a1"), nullptr);
  fs_.FlipBit(SegmentPath(1), OffsetOfFrame(1) + kFrameHeaderBytes + kRecordHeaderBytes + 3, 2);
  for (int i = 0; i < 2; ++i) {
    const absl::StatusOr<ReadResult> read = engine_->Get("a1", Noon());
    EXPECT_THAT(read, StatusIs(absl::StatusCode::kDataLoss, HasSubstr("segment 1 offset 4160")));
    EXPECT_EQ(base::ReasonOf(read.status()), base::kReasonRecordDamaged);
  }
  EXPECT_EQ(engine_->stats().damaged_key_count, 1u);
  EXPECT_EQ(AllEntries(*engine_).size(), 3u);
  // A replica's copy of the very same version heals it.
  ASSERT_OK_AND_ASSIGN(const WriteResult healed,
                       engine_->Apply({healthy}, Atomicity::kEach, Noon()));
  EXPECT_EQ(healed.applied_count, 1u);
  EXPECT_EQ(Value("a1"), "first");
  EXPECT_EQ(engine_->stats().damaged_key_count, 0u);
  EXPECT_EQ(AllEntries(*engine_).size(), 4u);
}

// A record whose own checksum holds, but whose value is not what its header tells: what a codec
// that errs, or a writer that lies, leaves behind.
TEST_F(EngineDamageTest, ReadNeverServesAValueThatDoesNotDecodeToWhatItsRecordTells) {
  options_.compression = Compression::kLz4;
  ASSERT_OK(Open());
  Put("key", std::string(500, 'a'));
  Sync();
  const std::string good = fs_.Contents(SegmentPath(1));
  const uint64_t offset = OffsetOfFrame(1) + kFrameHeaderBytes;
  ASSERT_OK_AND_ASSIGN(const RecordView record,
                       DecodeRecord(absl::string_view(good).substr(offset)));
  ASSERT_EQ(record.header.codec, Codec::kLz4);
  const Record healthy = *engine_->GetRecord(base::KeyIdOf("key"), nullptr);
  RecordHeader header = record.header;
  header.raw_bytes = 501;
  header.crc32c = RecordCrc(header, record.key, record.value);
  const absl::string_view bad(reinterpret_cast<const char*>(&header), sizeof(header));
  for (size_t bit = 0; bit < bad.size() * 8; ++bit) {
    const int difference = bad[bit / 8] ^ good[offset + bit / 8];
    if ((difference >> (bit % 8) & 1) == 0) continue;
    fs_.FlipBit(SegmentPath(1), offset + bit / 8, static_cast<int>(bit % 8));
  }
  for (int i = 0; i < 2; ++i) {
    const absl::StatusOr<ReadResult> read = engine_->Get("key", Noon());
    EXPECT_THAT(read, StatusIs(absl::StatusCode::kDataLoss));
    EXPECT_EQ(base::ReasonOf(read.status()), base::kReasonRecordDamaged);
  }
  EXPECT_EQ(engine_->stats().damaged_key_count, 1u);
  EXPECT_TRUE(AllEntries(*engine_).empty());
  ASSERT_OK(engine_->Apply({healthy}, Atomicity::kEach, Noon()));
  EXPECT_EQ(Value("key"), std::string(500, 'a'));
}

TEST_F(EngineDamageTest, DamagedIdentityIsMadeAnewUnderANewActor) {
  WriteFrames(2);
  ASSERT_OK(Open());
  const base::ActorId actor = engine_->actor();
  const uint64_t node_id = engine_->node_id();
  engine_.reset();
  fs_.FlipBit(JoinPath(kDirectory, "identity"), 30, 1);
  EXPECT_THAT(Open(), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("identity crc")));
  options_.on_damage = OnDamage::kServeRest;
  ASSERT_OK(Open());
  EXPECT_EQ(engine_->node_id(), node_id);
  EXPECT_NE(engine_->actor(), actor);
  EXPECT_EQ(Value("a1"), "first");
}

TEST_F(EngineDamageTest, TransactionWithADamagedRecordIsLostWhole) {
  ASSERT_OK(Open());
  const std::vector<Mutation> batch = {{.key = "x", .value = "1"}, {.key = "y", .value = "2"}};
  Put("alone", "0");
  ASSERT_OK(engine_->Write(batch, Atomicity::kAll, Noon()));
  Put("later", "3");
  Sync();
  Put("last", "4");
  Sync();
  engine_.reset();
  const uint64_t y_offset = OffsetOfFrame(1) + kFrameHeaderBytes + 2 * kRecordHeaderBytes + 6 + 2;
  fs_.FlipBit(SegmentPath(1), y_offset + kRecordHeaderBytes + 1, 0);
  options_.on_damage = OnDamage::kServeRest;
  ASSERT_OK(Open());
  EXPECT_EQ(engine_->recovery_report().damaged[0].lost_count(), 3u);
  EXPECT_EQ(Value("alone"), "0");
  EXPECT_EQ(Value("x"), "absent");
  EXPECT_EQ(Value("y"), "absent");
  EXPECT_EQ(Value("later"), "3");
  EXPECT_EQ(Value("last"), "4");
}

}  // namespace
}  // namespace slipstream::storage

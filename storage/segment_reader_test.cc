#include "storage/segment_reader.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/check.h"
#include "base/random.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/entry.h"
#include "storage/file_system.h"
#include "storage/frame.h"
#include "storage/keydir_shard.h"
#include "storage/log.h"
#include "storage/log_segment.h"
#include "storage/memory_file_system.h"
#include "storage/record.h"

namespace slipstream::storage {
namespace {

using base::testing::StatusIs;

constexpr absl::string_view kPath = "/d/0000000000000001.log";

PendingRecord MakeRecord(RecordType type, absl::string_view key, absl::string_view value,
                         uint64_t tx_id) {
  PendingRecord record{.key = key, .value = value};
  record.header.type = type;
  record.header.tx_id = tx_id;
  if (type != RecordType::kCommit) record.header.hlc = 1;
  record.header.sequence = 1;
  record.header.key_bytes = static_cast<uint32_t>(key.size());
  record.header.stored_bytes = record.header.raw_bytes = static_cast<uint32_t>(value.size());
  record.header.crc32c = RecordCrc(record.header, key, value);
  return record;
}

class SegmentReaderTest : public ::testing::Test {
 protected:
  static constexpr LogOptions kOptions{.node_id = 1,
                                       .segment_bytes = 1 << 20,
                                       .frame_bytes_target = 4096,
                                       .unflushed_bytes_max = 1 << 20};

  void SetUp() override {
    SLIP_CHECK_OK(fs_.CreateDirectory("/d"));
    log_ = std::make_unique<Log>(&fs_, "/d", kOptions, base::Random(1), LogTail{});
  }

  void Append(std::vector<PendingRecord> records) {
    uint64_t bytes = 0;
    for (const PendingRecord& record : records) bytes += record.bytes();
    ASSERT_OK(log_->EnsureRoom(bytes));
    ASSERT_OK_AND_ASSIGN(const Lsn lsn, log_->TryAppend(absl::MakeSpan(records)));
    ASSERT_NE(lsn, 0u);
    locations_.push_back(records[0].location);
  }

  void Put(absl::string_view key, size_t value_bytes) {
    const std::string value(value_bytes, 'v');
    Append({MakeRecord(RecordType::kPut, key, value, 0)});
  }

  // Puts segment 2 into use.
  SealedSegment Seal() {
    SLIP_CHECK_OK(log_->Flush(Log::Mode::kSync).status());
    while (log_->SealedSegments().empty()) {
      Put("filler", 300'000);
      SLIP_CHECK_OK(log_->Flush(Log::Mode::kSync).status());
    }
    return log_->SealedSegments()[0];
  }

  absl::StatusOr<std::vector<std::string>> ReadKeys(const SealedSegment& segment) {
    SegmentReader reader(log_->FindFile(1), segment);
    std::vector<std::string> keys;
    for (;;) {
      const absl::StatusOr<const LocatedRecord*> located = reader.Current();
      if (!located.ok()) return located.status();
      if (*located == nullptr) return keys;
      keys.emplace_back((*located)->record.key);
      if ((*located)->record.key != "filler") {
        const auto bytes = log_->Read((*located)->location, (*located)->record.bytes());
        SLIP_CHECK_OK(bytes.status());
        SLIP_CHECK(DecodeRecord(bytes->view())->key == (*located)->record.key);
      }
      reader.Advance();
    }
  }

  MemoryFileSystem fs_;
  std::unique_ptr<Log> log_;
  std::vector<Location> locations_;
};

TEST_F(SegmentReaderTest, GivesWhatAppliesWithItsPlaceWhateverTheFrames) {
  Put("small", 10);
  Append(
      {MakeRecord(RecordType::kPut, "a", "1", 5), MakeRecord(RecordType::kDelete, "b", "", 5), [] {
         PendingRecord commit = MakeRecord(RecordType::kCommit, "", "", 5);
         commit.header.sequence = 2;
         commit.header.crc32c = RecordCrc(commit.header, "", "");
         return commit;
       }()});
  ASSERT_OK(log_->WriteWitness());
  Put("larger than a read", 400'000);
  Put("after", 1);
  const SealedSegment segment = Seal();
  ASSERT_OK_AND_ASSIGN(std::vector<std::string> keys, ReadKeys(segment));
  while (keys.back() == "filler") keys.pop_back();
  EXPECT_THAT(keys, ::testing::ElementsAre("small", "a", "b", "larger than a read", "after"));
}

TEST_F(SegmentReaderTest, EveryBitOfAFrameIsChecked) {
  Put("first", 10);
  ASSERT_OK(log_->Flush(Log::Mode::kSync));
  Put("second", 10);
  const SealedSegment segment = Seal();
  ASSERT_OK(ReadKeys(segment));
  const uint64_t frame = 2 * kPageBytes;
  for (uint64_t bit = 0; bit < 8 * (kFrameHeaderBytes + kRecordHeaderBytes + 16); ++bit) {
    fs_.FlipBit(kPath, frame + bit / 8, static_cast<int>(bit % 8));
    SegmentReader reader(log_->FindFile(1), segment);
    ASSERT_OK(reader.Current());
    reader.Advance();
    ASSERT_THAT(reader.Current(), StatusIs(absl::StatusCode::kDataLoss)) << "bit " << bit;
    fs_.FlipBit(kPath, frame + bit / 8, static_cast<int>(bit % 8));
  }
}

TEST_F(SegmentReaderTest, AFrameOfAnotherPlaceIsDamage) {
  for (const char* key : {"first", "second", "third"}) {
    Put(key, 10);
    ASSERT_OK(log_->Flush(Log::Mode::kSync));
  }
  const SealedSegment segment = Seal();
  std::string bytes = fs_.Contents(kPath);
  // The second frame's page stands in the place of the third.
  bytes.replace(3 * kPageBytes, kPageBytes, bytes.substr(2 * kPageBytes, kPageBytes));
  fs_.Install(kPath, bytes);
  ASSERT_OK_AND_ASSIGN(std::shared_ptr<const File> file, fs_.OpenDirect(kPath, OpenMode::kRead));
  SegmentReader reader(std::move(file), segment);
  for (int i = 0; i < 2; ++i) {
    ASSERT_OK(reader.Current());
    reader.Advance();
  }
  EXPECT_THAT(reader.Current(), StatusIs(absl::StatusCode::kDataLoss));
}

TEST_F(SegmentReaderTest, EndsWhereTheLogSaysOrIsDamaged) {
  Put("first", 10);
  ASSERT_OK(log_->Flush(Log::Mode::kSync));
  Put("second", 10);
  SealedSegment segment = Seal();
  segment.link.end_offset = 2 * kPageBytes;
  SegmentReader reader(log_->FindFile(1), segment);
  ASSERT_OK(reader.Current());
  reader.Advance();
  EXPECT_THAT(reader.Current(), StatusIs(absl::StatusCode::kDataLoss));
}

TEST_F(SegmentReaderTest, AReadThatFailedIsTriedAgain) {
  Put("first", 10);
  const SealedSegment segment = Seal();
  SegmentReader reader(log_->FindFile(1), segment);
  fs_.InjectFault({.operation = MemoryFileSystem::Operation::kRead});
  EXPECT_THAT(reader.Current(), StatusIs(absl::StatusCode::kUnavailable));
  ASSERT_OK_AND_ASSIGN(const LocatedRecord* const located, reader.Current());
  EXPECT_EQ(located->record.key, "first");
}

// Reads the segment with whatever damage it has; returns the keys and how often it passed over
// some.
struct Rest {
  std::vector<std::string> keys;
  int passed_count = 0;
};

Rest ReadRest(SegmentReader& reader) {
  Rest rest;
  for (;;) {
    const absl::StatusOr<const LocatedRecord*> located = reader.Current();
    if (!located.ok()) {
      reader.PassOver();
      ++rest.passed_count;
      continue;
    }
    if (*located == nullptr) return rest;
    rest.keys.emplace_back((*located)->record.key);
    reader.Advance();
  }
}

TEST_F(SegmentReaderTest, PassesOverABadFrameByItsLengthOrPageByPage) {
  for (const char* key : {"first", "second", "third"}) {
    Put(key, key[0] == 's' ? 10'000 : 10);  // The second takes 3 pages.
    ASSERT_OK(log_->Flush(Log::Mode::kSync));
  }
  SealedSegment segment = Seal();
  segment.link.end_offset = 6 * kPageBytes;  // Without the filler.
  segment.link.last_lsn = 3;
  const auto expect = [&](uint64_t offset, const std::vector<std::string>& keys, int passed_count) {
    fs_.FlipBit(kPath, offset, 0);
    SegmentReader reader(log_->FindFile(1), segment);
    const Rest rest = ReadRest(reader);
    EXPECT_EQ(rest.keys, keys) << offset;
    EXPECT_EQ(rest.passed_count, passed_count) << offset;
    EXPECT_EQ(reader.next_offset(), segment.link.end_offset);
    fs_.FlipBit(kPath, offset, 0);
  };
  expect(kPageBytes, {"second", "third"}, 1);
  expect(2 * kPageBytes + 4096 + 17, {"first", "third"}, 1);
  expect(2 * kPageBytes, {"first", "third"}, 3);
  expect(5 * kPageBytes + kFrameHeaderBytes + 1, {"first", "second"}, 1);
}

TEST_F(SegmentReaderTest, ReadsWhatIsLeftOfAFileThatWasCutShort) {
  for (const char* key : {"first", "second", "third"}) {
    Put(key, 10);
    ASSERT_OK(log_->Flush(Log::Mode::kSync));
  }
  SealedSegment segment = Seal();
  segment.link.end_offset = 4 * kPageBytes;
  segment.link.last_lsn = 3;
  fs_.Install(kPath, fs_.Contents(kPath).substr(0, 3 * kPageBytes));
  ASSERT_OK_AND_ASSIGN(std::shared_ptr<const File> file, fs_.OpenDirect(kPath, OpenMode::kRead));
  SegmentReader reader(std::move(file), segment);
  EXPECT_EQ(ReadRest(reader).keys, (std::vector<std::string>{"first", "second"}));
}

}  // namespace
}  // namespace slipstream::storage

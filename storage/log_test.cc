#include "storage/log.h"

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
#include "storage/aligned_buffer.h"
#include "storage/ceilings.h"
#include "storage/entry.h"
#include "storage/file_system.h"
#include "storage/frame.h"
#include "storage/keydir_shard.h"
#include "storage/log_segment.h"
#include "storage/memory_file_system.h"
#include "storage/record.h"
#include "storage/segment.h"

namespace slipstream::storage {
namespace {

using base::testing::IsOkAndHolds;
using base::testing::StatusIs;
using ::testing::HasSubstr;

constexpr LogOptions kOptions{.node_id = 1,
                              .segment_bytes = 16384,
                              .frame_bytes_target = 4096,
                              .unflushed_bytes_max = 1 << 20};

class LogTest : public ::testing::Test {
 protected:
  LogTest() : log_(MakeLog()) {}

  std::unique_ptr<Log> MakeLog() {
    SLIP_CHECK_OK(fs_.CreateDirectory("/d"));
    return std::make_unique<Log>(&fs_, "/d", kOptions, base::Random(1), LogTail{});
  }

  // Appends one record with a value of this size; 0: no room.
  Lsn Append(size_t value_bytes) {
    const std::string value(value_bytes, 'v');
    PendingRecord record{.key = "key", .value = value};
    record.header.key_bytes = 3;
    record.header.stored_bytes = static_cast<uint32_t>(value.size());
    const absl::StatusOr<Lsn> lsn = log_->TryAppend(absl::MakeSpan(&record, 1));
    EXPECT_OK(lsn);
    location_ = record.location;
    return *lsn;
  }

  bool IsMarked(absl::string_view path) const {
    return ReadRecycledMark(fs_.Contents(path)).has_value();
  }

  std::string Read(const Location& location, size_t count) {
    const absl::StatusOr<LogBytes> bytes = log_->Read(location, count);
    EXPECT_OK(bytes);
    return std::string(bytes->view());
  }

  MemoryFileSystem fs_;
  std::unique_ptr<Log> log_;
  Location location_;  // Of the last record.
};

// The record in a frame of its own fills one page exactly.
constexpr size_t kValueOfAPage = kPageBytes - kFrameHeaderBytes - kRecordHeaderBytes - 3;

TEST_F(LogTest, AppendNeedsRoomAndDoesNoInputOrOutput) {
  EXPECT_EQ(Append(10), 0u);
  ASSERT_OK(log_->EnsureRoom(93));
  const uint64_t call_count = fs_.call_count();
  EXPECT_EQ(Append(10), 1u);
  EXPECT_EQ(Append(10), 2u);
  EXPECT_EQ(fs_.call_count(), call_count);
  EXPECT_EQ(log_->appended_lsn(), 2u);
  EXPECT_EQ(log_->durable_lsn(), 0u);
}

TEST_F(LogTest, ReadsFromMemoryAndFromDiskAreTheSame) {
  ASSERT_OK(log_->EnsureRoom(93));
  Append(10);
  const Location first = location_;
  EXPECT_EQ(first, (Location{.segment_number = 1, .offset = 4096 + 64}));
  const std::string in_memory = Read(first, 93);
  EXPECT_EQ(in_memory.substr(80), "keyvvvvvvvvvv");
  ASSERT_OK(log_->Flush(Log::Mode::kWrite));
  EXPECT_EQ(Read(first, 93), in_memory);
  EXPECT_FALSE(log_->IsDurable(first));
  ASSERT_OK(log_->Flush(Log::Mode::kSync));
  EXPECT_TRUE(log_->IsDurable(first));
}

TEST_F(LogTest, ReadsFromDiskTakeOneCallForExactlyTheirPages) {
  ASSERT_OK(log_->EnsureRoom(9000));
  Append(kValueOfAPage);
  const Location to_the_end = location_;
  Append(4096);
  const Location across = location_;
  ASSERT_OK(log_->Flush(Log::Mode::kSync));
  const auto reads = [this] { return fs_.call_count(MemoryFileSystem::Operation::kRead); };
  const uint64_t reads_before = reads();
  ASSERT_OK_AND_ASSIGN(const LogBytes one_page, log_->Read(to_the_end, 83 + kValueOfAPage));
  EXPECT_EQ(reads(), reads_before + 1);
  EXPECT_EQ(one_page.pages.capacity(), kPageBytes);
  ASSERT_OK_AND_ASSIGN(const LogBytes two_pages, log_->Read(across, 83 + 4096));
  EXPECT_EQ(reads(), reads_before + 2);
  EXPECT_EQ(two_pages.pages.capacity(), 2 * kPageBytes);
  EXPECT_EQ(two_pages.view().substr(80), "key" + std::string(4096, 'v'));
}

TEST_F(LogTest, TellsTheWayToTheDevice) {
  EXPECT_FALSE(log_->stats().io_path.has_value());
  ASSERT_OK(log_->EnsureRoom(93));
  ASSERT_TRUE(log_->stats().io_path.has_value());
  EXPECT_EQ(DescribeIoPath(*log_->stats().io_path), "direct");
  Append(10);  // Now no segment is prepared.
  EXPECT_EQ(DescribeIoPath(*log_->stats().io_path), "direct");
}

TEST_F(LogTest, FrameIsFilledToTheLastByteAndNotBeyond) {
  ASSERT_OK(log_->EnsureRoom(93));
  Append(kValueOfAPage - 93);
  Append(10);
  EXPECT_EQ(location_.offset, 2 * kPageBytes - 93);
  Append(10);
  EXPECT_EQ(location_.offset, 2 * kPageBytes + kFrameHeaderBytes);
}

TEST_F(LogTest, LargeAppendGetsAFrameOfItsOwn) {
  ASSERT_OK(log_->EnsureRoom(93));
  Append(10);
  ASSERT_OK(log_->EnsureRoom(5083));
  Append(5000);
  EXPECT_EQ(location_.offset, 2 * kPageBytes + kFrameHeaderBytes);
  EXPECT_EQ(Read(location_, 5083).substr(80), "key" + std::string(5000, 'v'));
  ASSERT_OK(log_->Flush(Log::Mode::kSync));
  EXPECT_EQ(log_->stats().frame_count, 2u);
  EXPECT_EQ(Read(location_, 5083).substr(80), "key" + std::string(5000, 'v'));
}

TEST_F(LogTest, LargestAppendFillsASegment) {
  const uint64_t largest = log_->payload_bytes_max();
  EXPECT_EQ(largest, 16384u - 4096u - 64u);
  ASSERT_OK(log_->EnsureRoom(largest));
  EXPECT_EQ(Append(largest - 83), 1u);
  EXPECT_EQ(Append(10), 0u);
  ASSERT_OK(log_->EnsureRoom(93));
  EXPECT_EQ(Append(10), 2u);
  EXPECT_EQ(location_.segment_number, 2u);
  ASSERT_OK(log_->Flush(Log::Mode::kSync));
  EXPECT_EQ(log_->durable_lsn(), 2u);
}

TEST_F(LogTest, SegmentIsDurableBeforeTheNextIsInUse) {
  for (int i = 0; i < 4; ++i) {
    ASSERT_OK(log_->EnsureRoom(kPageBytes - kFrameHeaderBytes));
    Append(kValueOfAPage);
  }
  EXPECT_EQ(location_.segment_number, 2u);
  // No sync was asked for; the change of segments made one.
  EXPECT_THAT(log_->Flush(Log::Mode::kWrite), IsOkAndHolds(Lsn{3}));
  const std::string page = fs_.Contents("/d/0000000000000002.log").substr(0, kPageBytes);
  ASSERT_OK_AND_ASSIGN(const SegmentHeader header, DecodeSegmentHeader(page));
  EXPECT_EQ(header.first_lsn, 4u);
  EXPECT_EQ(header.previous_segment_number, 1u);
  EXPECT_EQ(header.previous_end_offset, 16384u);
  EXPECT_EQ(header.previous_last_lsn, 3u);
}

TEST_F(LogTest, FlushWritesEachFrameInOneCallAndSyncsOnce) {
  ASSERT_OK(log_->EnsureRoom(93));
  Append(10);
  ASSERT_OK(log_->Flush(Log::Mode::kSync));
  Append(kValueOfAPage);
  Append(10);
  const uint64_t writes = fs_.call_count(MemoryFileSystem::Operation::kWrite);
  const uint64_t syncs = fs_.call_count(MemoryFileSystem::Operation::kSyncData);
  ASSERT_OK(log_->Flush(Log::Mode::kSync));
  EXPECT_EQ(fs_.call_count(MemoryFileSystem::Operation::kWrite), writes + 2);
  EXPECT_EQ(fs_.call_count(MemoryFileSystem::Operation::kSyncData), syncs + 1);
}

TEST_F(LogTest, TooMuchUnflushedIsFlushedByTheWriter) {
  LogOptions options = kOptions;
  options.unflushed_bytes_max = 100;
  log_ = std::make_unique<Log>(&fs_, "/d", options, base::Random(1), LogTail{});
  ASSERT_OK(log_->EnsureRoom(93));
  Append(10);
  ASSERT_OK(log_->EnsureRoom(93));
  EXPECT_EQ(log_->stats().frame_count, 0u);
  Append(10);
  ASSERT_OK(log_->EnsureRoom(93));
  EXPECT_EQ(log_->stats().frame_count, 1u);
}

TEST_F(LogTest, SegmentsAreSealedWhenTheNextIsInUse) {
  for (int i = 0; i < 7; ++i) {
    ASSERT_OK(log_->EnsureRoom(kPageBytes - kFrameHeaderBytes));
    Append(kValueOfAPage);
    if (i == 3) {
      // The second segment has a frame in memory, and no header on disk yet.
      EXPECT_TRUE(log_->SealedSegments().empty());
    }
  }
  ASSERT_OK(log_->Flush(Log::Mode::kWrite));
  const std::vector<SealedSegment> sealed = log_->SealedSegments();
  ASSERT_EQ(sealed.size(), 2u);
  EXPECT_EQ(sealed[0].link.number, 1u);
  EXPECT_EQ(sealed[0].link.end_offset, 16384u);
  EXPECT_EQ(sealed[0].link.last_lsn, 3u);
  EXPECT_EQ(sealed[0].previous, SegmentLink{});
  EXPECT_EQ(sealed[0].bytes, 16384u);
  EXPECT_EQ(sealed[0].record_bytes, 3 * (kPageBytes - kFrameHeaderBytes));
  EXPECT_TRUE(sealed[0].holds_writes);
  EXPECT_EQ(sealed[1].previous, sealed[0].link);
  EXPECT_EQ(sealed[1].link.last_lsn, 6u);
}

TEST_F(LogTest, DroppedSegmentIsGoneButForTheReadsThatHoldIt) {
  ASSERT_OK(log_->EnsureRoom(kPageBytes - kFrameHeaderBytes));
  Append(kValueOfAPage);
  const Location first = location_;
  for (int i = 0; i < 3; ++i) {
    ASSERT_OK(log_->EnsureRoom(kPageBytes - kFrameHeaderBytes));
    Append(kValueOfAPage);
  }
  ASSERT_OK(log_->Flush(Log::Mode::kSync));
  const uint64_t log_bytes = log_->stats().log_bytes;
  const std::shared_ptr<const File> file = log_->FindFile(1);
  ASSERT_OK(log_->DropSegment(1, Log::Reuse::kNo));
  EXPECT_TRUE(log_->SealedSegments().empty());
  EXPECT_EQ(log_->stats().log_bytes, log_bytes - 16384u);
  EXPECT_EQ(log_->FindFile(1), nullptr);
  EXPECT_THAT(log_->Read(first, 100), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_FALSE(fs_.Open("/d/0000000000000001.log", OpenMode::kRead).ok());
  AlignedBuffer page(kPageBytes);
  EXPECT_OK(file->Read(kPageBytes, kPageBytes, page.data()));
}

TEST_F(LogTest, AnIdleLogKeepsWhatALargeTransactionIsAboutToUse) {
  // Ten records of a page each; a segment takes three.
  const std::string value(kValueOfAPage, 'v');
  std::vector<PendingRecord> records;
  for (int i = 0; i < 10; ++i) {
    records.push_back({.key = "key", .value = value});
    records.back().header.key_bytes = 3;
    records.back().header.stored_bytes = static_cast<uint32_t>(value.size());
  }
  ASSERT_OK(log_->EnsureRoomSpanning(records));
  for (int i = 0; i < 5; ++i) ASSERT_OK(log_->Maintain());
  ASSERT_OK_AND_ASSIGN(const Lsn lsn, log_->TryAppendSpanning(absl::MakeSpan(records)));
  EXPECT_EQ(lsn, 10u);
}

TEST_F(LogTest, ADroppedSegmentIsRecycledAndAnIdleLogRemovesOneThatIsTooMany) {
  const auto append_pages = [this](int count) {
    for (int i = 0; i < count; ++i) {
      ASSERT_OK(log_->EnsureRoom(kPageBytes - kFrameHeaderBytes));
      Append(kValueOfAPage);
    }
  };
  // Three of a segment's pages, but in the fourth, where a witness follows.
  append_pages(11);
  ASSERT_OK(log_->Flush(Log::Mode::kSync));
  const uint64_t reserved_bytes = log_->stats().log_bytes;
  ASSERT_OK(log_->DropSegment(1, Log::Reuse::kNo));
  EXPECT_EQ(log_->stats().log_bytes, reserved_bytes - 16384);
  ASSERT_OK(log_->DropSegment(2, Log::Reuse::kYes));
  ASSERT_OK(log_->DropSegment(3, Log::Reuse::kYes));
  EXPECT_EQ(log_->stats().recycled_segment_count, 2u);
  EXPECT_EQ(log_->stats().log_bytes, reserved_bytes - 16384);
  // What could not be removed is tried again.
  fs_.InjectFault({.operation = MemoryFileSystem::Operation::kRemove});
  absl::Status removed;
  for (int i = 0; i < 5 && removed.ok(); ++i) removed = log_->Maintain().status();
  EXPECT_THAT(removed, StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_EQ(log_->stats().log_bytes, reserved_bytes - 16384);
  // One stays, as the next to be used.
  for (int i = 0; i < 5; ++i) ASSERT_OK(log_->Maintain());
  EXPECT_EQ(log_->stats().log_bytes, reserved_bytes - 2 * 16384);
  EXPECT_TRUE(fs_.Open("/d/0000000000000005.log", OpenMode::kRead).ok());
  EXPECT_FALSE(fs_.Open("/d/0000000000000006.log", OpenMode::kRead).ok());
  append_pages(1);
  EXPECT_EQ(location_.segment_number, 5u);
}

TEST_F(LogTest, ASegmentThatCouldNotBeRecycledForLackOfSpaceIsReplaced) {
  for (int i = 0; i < 7; ++i) {
    ASSERT_OK(log_->EnsureRoom(kPageBytes - kFrameHeaderBytes));
    Append(kValueOfAPage);
  }
  ASSERT_OK(log_->Flush(Log::Mode::kSync));
  for (const auto operation :
       {MemoryFileSystem::Operation::kSyncDirectory, MemoryFileSystem::Operation::kWrite}) {
    fs_.InjectFault({.operation = operation, .error = MemoryFileSystem::Fault::Error::kDiskFull});
    const bool is_renamed = operation == MemoryFileSystem::Operation::kSyncDirectory;
    ASSERT_OK(log_->DropSegment(is_renamed ? 1 : 2, Log::Reuse::kYes));
    EXPECT_EQ(log_->stats().recycled_segment_count, 0u);
  }
  EXPECT_FALSE(fs_.Open("/d/0000000000000001.log", OpenMode::kRead).ok());
  EXPECT_FALSE(fs_.Open("/d/0000000000000002.log", OpenMode::kRead).ok());
  // The first got the next name before, which is given to another file now.
  EXPECT_TRUE(IsMarked("/d/0000000000000004.log"));
  ASSERT_OK(log_->Maintain());
  EXPECT_FALSE(IsMarked("/d/0000000000000004.log"));
  for (int i = 0; i < 3; ++i) Append(kValueOfAPage);
  EXPECT_EQ(location_.segment_number, 4u);
}

class ReserveTest : public LogTest {
 protected:
  ReserveTest() {
    LogOptions options = kOptions;
    options.reserve_segments = 1;
    log_ = std::make_unique<Log>(&fs_, "/d", options, base::Random(1), LogTail{});
  }

  Lsn AppendFor(AppendPurpose purpose) {
    const std::string value(kValueOfAPage, 'v');
    PendingRecord record{.key = "key", .value = value};
    const absl::StatusOr<Lsn> lsn = log_->TryAppend(absl::MakeSpan(&record, 1), purpose);
    EXPECT_OK(lsn);
    return *lsn;
  }

  absl::Status EnsureRoomFor(AppendPurpose purpose) {
    return log_->EnsureRoom(kPageBytes - kFrameHeaderBytes, purpose);
  }
};

TEST_F(ReserveTest, IsPreparedBeforeTheFirstWriteAndKept) {
  ASSERT_OK(EnsureRoomFor(AppendPurpose::kWrite));
  EXPECT_EQ(log_->stats().segment_count, 2u);
  for (int i = 0; i < 3; ++i) EXPECT_NE(AppendFor(AppendPurpose::kWrite), 0u);
  EXPECT_EQ(AppendFor(AppendPurpose::kWrite), 0u);
  EXPECT_EQ(log_->stats().segment_count, 2u);
}

TEST_F(ReserveTest, IsNotUsedWhileThereIsSpace) {
  ASSERT_OK(EnsureRoomFor(AppendPurpose::kWrite));
  for (int i = 0; i < 3; ++i) EXPECT_NE(AppendFor(AppendPurpose::kWrite), 0u);
  ASSERT_OK(EnsureRoomFor(AppendPurpose::kCompact));
  EXPECT_EQ(log_->stats().segment_count, 3u);
}

TEST_F(ReserveTest, TakesDeletesToItsHalfAndCopiesToItsEnd) {
  ASSERT_OK(EnsureRoomFor(AppendPurpose::kWrite));
  for (int i = 0; i < 3; ++i) EXPECT_NE(AppendFor(AppendPurpose::kWrite), 0u);
  fs_.set_capacity_bytes(0);
  EXPECT_THAT(EnsureRoomFor(AppendPurpose::kWrite),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("no space")));
  // The data pages start at 4096, 8192 and 12288.
  ASSERT_OK(EnsureRoomFor(AppendPurpose::kDelete));
  EXPECT_NE(AppendFor(AppendPurpose::kDelete), 0u);
  EXPECT_THAT(EnsureRoomFor(AppendPurpose::kWrite), StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_THAT(EnsureRoomFor(AppendPurpose::kDelete),
              StatusIs(absl::StatusCode::kResourceExhausted));
  for (int i = 0; i < 2; ++i) {
    ASSERT_OK(EnsureRoomFor(AppendPurpose::kCompact));
    EXPECT_NE(AppendFor(AppendPurpose::kCompact), 0u);
  }
  EXPECT_THAT(EnsureRoomFor(AppendPurpose::kCompact),
              StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_TRUE(log_->is_out_of_space());
  fs_.set_capacity_bytes(UINT64_MAX);
  ASSERT_OK(log_->Flush(Log::Mode::kSync));
  ASSERT_OK(log_->DropSegment(1, Log::Reuse::kNo));
  EXPECT_FALSE(log_->is_out_of_space());
  ASSERT_OK(EnsureRoomFor(AppendPurpose::kWrite));
  EXPECT_NE(AppendFor(AppendPurpose::kWrite), 0u);
}

TEST_F(LogTest, SegmentNumbersEndWhereALocationCannotNameThem) {
  LogTail tail{.next_segment_number = kSegmentNumberMax};
  log_ = std::make_unique<Log>(&fs_, "/d", kOptions, base::Random(1), std::move(tail));
  const uint64_t largest = log_->payload_bytes_max();
  ASSERT_OK(log_->EnsureRoom(largest));
  EXPECT_EQ(Append(largest - 83), 1u);
  EXPECT_EQ(location_.segment_number, kSegmentNumberMax);
  EXPECT_THAT(log_->EnsureRoom(93),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("segment number 67108864")));
}

TEST_F(LogTest, FramesBearWitnessToWhatWasDurable) {
  ASSERT_OK(log_->EnsureRoom(93));
  for (int i = 0; i < 2; ++i) {
    Append(10);
    ASSERT_OK(log_->Flush(Log::Mode::kSync));
  }
  ASSERT_OK(log_->WriteWitness());
  ASSERT_OK(log_->WriteWitness());
  const std::string bytes = fs_.Contents("/d/0000000000000001.log");
  const auto header = [&bytes](size_t page) {
    return *DecodeFrameHeader(absl::string_view(bytes).substr(page * kPageBytes));
  };
  EXPECT_EQ(header(1).durable_lsn, 0u);
  EXPECT_EQ(header(2).durable_lsn, 1u);
  EXPECT_EQ(header(3).durable_lsn, 2u);
  EXPECT_EQ(header(3).record_count, 0u);
  EXPECT_EQ(header(3).first_lsn, 3u);
  EXPECT_EQ(header(3).previous_header_crc32c, header(2).header_crc32c);
  EXPECT_EQ(log_->stats().frame_count, 3u);
}

TEST_F(LogTest, WitnessWithoutRoomIsLeftToTheNextSegment) {
  ASSERT_OK(log_->EnsureRoom(log_->payload_bytes_max()));
  Append(log_->payload_bytes_max() - 83);
  ASSERT_OK(log_->WriteWitness());
  EXPECT_EQ(log_->stats().frame_count, 1u);
}

TEST_F(LogTest, AppendPositionIsBehindWhatWasAppendedAndNotBehindWhatWillBe) {
  EXPECT_EQ(log_->append_position(), Location{});
  base::Random rng(1);
  Location last;  // Of the last record.
  for (int i = 0; i < 300; ++i) {
    const size_t value_bytes = rng.Below(rng.OneIn(4) ? 8000 : 500);
    ASSERT_OK(log_->EnsureRoom(83 + value_bytes));
    const Location before = log_->append_position();
    ASSERT_NE(Append(value_bytes), 0u);
    ASSERT_LE(before, location_);
    ASSERT_GE(before, last);
    // The last record ends before what comes next.
    const Location after = log_->append_position();
    if (after.segment_number == location_.segment_number) {
      ASSERT_GE(after.offset, location_.offset + 83 + value_bytes);
    } else {
      ASSERT_GT(after, location_);
    }
    last = location_;
    if (rng.OneIn(5)) ASSERT_OK(log_->Flush(rng.OneIn(2) ? Log::Mode::kSync : Log::Mode::kWrite));
    ASSERT_GE(log_->append_position(), after);
  }
  EXPECT_GT(location_.segment_number, 10u);
}

TEST_F(LogTest, AppendPositionOfALogThatGoesOnInANewSegmentIsBehindTheOld) {
  LogTail tail{.next_segment_number = 6, .segment_number = 5, .end_offset = 8192};
  log_ = std::make_unique<Log>(&fs_, "/d", kOptions, base::Random(1), std::move(tail));
  const Location position = log_->append_position();
  EXPECT_EQ(position, (Location{.segment_number = 5, .offset = 8192}));
  ASSERT_OK(log_->EnsureRoom(93));
  EXPECT_EQ(log_->append_position(), position);
  Append(10);
  EXPECT_LE(position, location_);
}

TEST_F(LogTest, AfterAStopNothingIsTakenAndTheCauseIsTold) {
  ASSERT_OK(log_->EnsureRoom(93));
  Append(10);
  EXPECT_THAT(log_->Fail(absl::DataLossError("a bad page")),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("a bad page")));
  EXPECT_THAT(log_->EnsureRoom(93), StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_THAT(log_->Flush(Log::Mode::kSync), StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_EQ(Read(location_, 93).substr(80), "keyvvvvvvvvvv");
}

}  // namespace
}  // namespace slipstream::storage

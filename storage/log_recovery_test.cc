// What recovery reads and what it leaves unread behind a checkpoint. What it makes of torn and
// damaged logs: engine_damage_test.cc, engine_crash_test.cc.

#include "storage/log_recovery.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
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
#include "storage/memory_file_system.h"
#include "storage/record.h"
#include "storage/segment.h"

namespace slipstream::storage {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;
using Operation = MemoryFileSystem::Operation;

constexpr LogOptions kOptions{.node_id = 1,
                              .segment_bytes = 16384,
                              .frame_bytes_target = 4096,
                              .unflushed_bytes_max = 1 << 20};
constexpr uint64_t kSegmentCount = 6;

// A log of six segments.
class LogRecoveryTest : public ::testing::Test {
 protected:
  LogRecoveryTest() {
    SLIP_CHECK_OK(fs_.CreateDirectory("/d"));
    Log log(&fs_, "/d", kOptions, base::Random(1), LogTail{});
    while (Append(log) < kSegmentCount) {
    }
    SLIP_CHECK_OK(log.Flush(Log::Mode::kSync).status());
    last_lsn_ = log.appended_lsn();
  }

  // Appends a record; returns the number of its segment.
  uint64_t Append(Log& log) {
    const std::string value(1000, 'v');
    PendingRecord record{.key = "key", .value = value};
    record.header.hlc = 1;
    record.header.actor = 1;
    record.header.sequence = 1;
    record.header.key_bytes = 3;
    record.header.stored_bytes = static_cast<uint32_t>(value.size());
    record.header.raw_bytes = record.header.stored_bytes;
    record.header.crc32c = RecordCrc(record.header, record.key, record.value);
    SLIP_CHECK_OK(log.EnsureRoom(record.bytes()));
    SLIP_CHECK_OK(log.TryAppend(absl::MakeSpan(&record, 1)).status());
    locations_.push_back(record.location);
    return record.location.segment_number;
  }

  absl::StatusOr<LogRecovery> Recover(uint64_t first_needed_segment,
                                      std::vector<uint64_t> numbers = {1, 2, 3, 4, 5, 6}) {
    seen_.clear();
    std::vector<KnownSegment> known;
    for (uint64_t number = 1; number < first_needed_segment; ++number) {
      known.push_back({.number = number, .record_bytes = 1000 + number, .holds_writes = true});
    }
    return RecoverLog(&fs_, "/d", numbers,
                      {.node_id = 1,
                       .known_segments = known,
                       .durable_lsn = last_lsn_,
                       .segment_bytes = kOptions.segment_bytes},
                      [this](const RecoveredRecord& recovered) {
                        seen_.push_back(recovered.location);
                        return absl::OkStatus();
                      });
  }

  std::vector<Location> LocationsFrom(uint64_t segment_number) const {
    std::vector<Location> locations = locations_;
    std::erase_if(locations, [segment_number](const Location& location) {
      return location.segment_number < segment_number;
    });
    return locations;
  }

  static std::string PathOf(uint64_t number) { return JoinPath("/d", SegmentFileName(number)); }

  MemoryFileSystem fs_;
  std::vector<Location> locations_;  // Of all records.
  std::vector<Location> seen_;       // By the last recovery.
  Lsn last_lsn_ = 0;
};

TEST_F(LogRecoveryTest, ReadsOnlyHeadersOfWhatIsNotNeeded) {
  for (uint64_t first = 0; first <= kSegmentCount + 1; ++first) {
    SCOPED_TRACE(first);
    const uint64_t reads_before = fs_.call_count(Operation::kRead);
    ASSERT_OK_AND_ASSIGN(const LogRecovery recovery, Recover(first));
    // The last one is read in any case: nothing says where it ends.
    const uint64_t first_read = std::clamp<uint64_t>(first, 1, kSegmentCount);
    EXPECT_EQ(seen_, LocationsFrom(first_read));
    EXPECT_EQ(fs_.call_count(Operation::kRead) - reads_before,
              kSegmentCount + (kSegmentCount - first_read + 1));
    EXPECT_THAT(recovery.report.damaged, IsEmpty());
    // The log goes on as if all had been read.
    EXPECT_EQ(recovery.tail.last_lsn, last_lsn_);
    EXPECT_EQ(recovery.tail.segment_number, kSegmentCount);
    EXPECT_TRUE(recovery.tail.goes_on);
    EXPECT_THAT(recovery.tail.segments, SizeIs(kSegmentCount));
  }
}

TEST_F(LogRecoveryTest, DoesNotNoticeDamageOfWhatItDoesNotRead) {
  fs_.FlipBit(PathOf(2), kPageBytes + 500, 0);
  ASSERT_OK_AND_ASSIGN(const LogRecovery skipping, Recover(3));
  EXPECT_THAT(skipping.report.damaged, IsEmpty());
  ASSERT_OK_AND_ASSIGN(const LogRecovery reading, Recover(2));
  EXPECT_THAT(reading.report.damaged, SizeIs(1));
}

TEST_F(LogRecoveryTest, ReadsASegmentThatNoHeaderVouchesFor) {
  // Its own header is bad.
  fs_.FlipBit(PathOf(2), 100, 0);
  ASSERT_OK_AND_ASSIGN(const LogRecovery own, Recover(5));
  EXPECT_THAT(own.report.damaged, SizeIs(1));
  EXPECT_EQ(own.report.damaged[0].lost_count(), 0u);
  EXPECT_EQ(own.tail.last_lsn, last_lsn_);
  // So is that of the next one, which alone says where it ends: both are read.
  std::vector<Location> expected = LocationsFrom(1);
  std::erase_if(expected, [](const Location& location) {
    return location.segment_number > 2 && location.segment_number < 5;
  });
  EXPECT_EQ(seen_, expected);
}

TEST_F(LogRecoveryTest, MissesASegmentAmongThoseThatItDoesNotRead) {
  ASSERT_OK_AND_ASSIGN(const LogRecovery recovery, Recover(5, {1, 2, 4, 5, 6}));
  ASSERT_THAT(recovery.report.damaged, SizeIs(1));
  const uint64_t lost_count = recovery.report.damaged[0].lost_count();
  EXPECT_EQ(lost_count, LocationsFrom(3).size() - LocationsFrom(4).size());
  EXPECT_EQ(recovery.tail.last_lsn, last_lsn_);
}

TEST_F(LogRecoveryTest, ReadsAForeignCopyThatTheNextHeaderDoesNotName) {
  // An older copy of the file: another incarnation, so other frames than the log's.
  MemoryFileSystem other;
  SLIP_CHECK_OK(other.CreateDirectory("/d"));
  Log log(&other, "/d", kOptions, base::Random(2), LogTail{});
  const std::vector<Location> locations = locations_;
  while (Append(log) < 3) {
  }
  locations_ = locations;
  ASSERT_OK(log.Flush(Log::Mode::kSync));
  fs_.Install(PathOf(2), other.Contents(PathOf(2)));
  ASSERT_OK_AND_ASSIGN(const LogRecovery recovery, Recover(5));
  ASSERT_FALSE(recovery.report.damaged.empty());
  EXPECT_GT(recovery.report.damaged[0].lost_count(), 0u);
}

}  // namespace
}  // namespace slipstream::storage

#include "storage/stream_commit.h"

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/ceilings.h"
#include "storage/record.h"

namespace slipstream::storage {
namespace {

using base::testing::StatusIs;
using ::testing::HasSubstr;

// Of five records, three of them in segment 7 and two in 9, of shards 0 and 255.
StreamCommit Sample() {
  return {.tx_id = 3,
          .hlc = 1000,
          .actor = 42,
          .first_place = {},
          .extents =
              {{.segment_number = 7, .first_offset = 4160, .last_offset = 9000, .record_count = 3},
               {.segment_number = 9, .first_offset = 4160, .last_offset = 4300, .record_count = 2}},
          .shards = {{.last_sequence = 10, .shard = 0, .record_count = 1},
                     {.last_sequence = 20, .shard = 255, .record_count = 4}}};
}

absl::StatusOr<StreamCommit> Decode(const StreamCommit& commit, const std::string& value) {
  return DecodeStreamCommit(
      {.header = StreamCommitRecordHeader(commit, value), .key = {}, .value = value});
}

absl::StatusOr<StreamCommit> Decode(const StreamCommit& commit) {
  return Decode(commit, EncodeStreamCommit(commit));
}

RecordHeader Streamed(uint64_t number, uint64_t sequence) {
  RecordHeader header;
  header.flags = kRecordFlagStreamed;
  header.tx_id = 3;
  header.actor = 42;
  header.hlc = number;
  header.sequence = sequence;
  header.expires_at_ms = 77;
  header.crc32c = 1;
  return header;
}

TEST(StreamCommitTest, IsReadAsItWasWritten) {
  StreamCommit commit = Sample();
  for (const Location& place : {Location{}, Location{.segment_number = 12, .offset = 8192}}) {
    commit.first_place = place;
    ASSERT_OK_AND_ASSIGN(const StreamCommit read, Decode(commit));
    EXPECT_EQ(read.tx_id, 3u);
    EXPECT_EQ(read.hlc, 1000u);
    EXPECT_EQ(read.actor, 42u);
    EXPECT_EQ(read.first_place, place);
    EXPECT_EQ(read.extents, commit.extents);
    EXPECT_EQ(read.shards, commit.shards);
    EXPECT_EQ(read.record_count(), 5u);
  }
}

TEST(StreamCommitTest, ItsBytesAreThoseOfTheFormatPage) {
  StreamCommit commit = Sample();
  commit.extents.pop_back();
  commit.first_place = {.segment_number = 0x0102, .offset = 0x2040};
  const std::string value = EncodeStreamCommit(commit);
  const std::string expected(
      "\x02\x01\x00\x00\x40\x20\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00"
      "\x07\x00\x00\x00\x40\x10\x00\x00\x28\x23\x00\x00\x03\x00\x00\x00"
      "\x0a\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00"
      "\x14\x00\x00\x00\x00\x00\x00\x00\xff\x00\x00\x00\x04\x00\x00\x00",
      64);
  EXPECT_EQ(value, expected);
}

TEST(StreamCommitTest, GivesItsRecordsVersionsAndDots) {
  const StreamCommit commit = Sample();
  ASSERT_OK_AND_ASSIGN(const RecordHeader first, commit.Resolve(Streamed(1, 1), 0));
  EXPECT_EQ(first.hlc, 1001u);
  EXPECT_EQ(first.sequence, 11u);
  EXPECT_EQ(first.flags, 0u);
  EXPECT_EQ(first.tx_id, 0u);
  EXPECT_EQ(first.crc32c, 0u);
  EXPECT_EQ(first.actor, 42u);
  EXPECT_EQ(first.expires_at_ms, 77u);
  ASSERT_OK_AND_ASSIGN(const RecordHeader last, commit.Resolve(Streamed(5, 4), 255));
  EXPECT_EQ(last.hlc, 1005u);
  EXPECT_EQ(last.sequence, 24u);
}

TEST(StreamCommitTest, RefusesRecordsThatItDoesNotCount) {
  const StreamCommit commit = Sample();
  const auto refused = StatusIs(absl::StatusCode::kDataLoss, HasSubstr("does not count"));
  EXPECT_THAT(commit.Resolve(Streamed(6, 1), 0), refused);
  EXPECT_THAT(commit.Resolve(Streamed(1, 2), 0), refused);
  EXPECT_THAT(commit.Resolve(Streamed(1, 1), 1), refused);
  RecordHeader other = Streamed(1, 1);
  other.tx_id = 4;
  EXPECT_THAT(commit.Resolve(other, 0), refused);
  other = Streamed(1, 1);
  other.actor = 43;
  EXPECT_THAT(commit.Resolve(other, 0), refused);
  other = Streamed(1, 1);
  other.flags = 0;
  EXPECT_THAT(commit.Resolve(other, 0), refused);
}

TEST(StreamCommitTest, RefusesWhatNoWriterWrites) {
  const auto refused = [](const char* text) {
    return StatusIs(absl::StatusCode::kDataLoss, HasSubstr(text));
  };
  const std::string whole = EncodeStreamCommit(Sample());
  EXPECT_THAT(Decode(Sample(), whole.substr(0, 15)), refused("of 15 bytes"));
  EXPECT_THAT(Decode(Sample(), whole.substr(0, 64)), refused("2 extents and 2 shards in 64"));
  EXPECT_THAT(Decode(Sample(), whole + '\0'), refused("2 extents and 2 shards in 81"));

  const auto changed = [](auto change) {
    StreamCommit commit = Sample();
    change(commit);
    return Decode(commit);
  };
  EXPECT_THAT(changed([](StreamCommit& c) { c.extents[1].segment_number = 7; }),
              refused("of segment 7"));
  EXPECT_THAT(changed([](StreamCommit& c) { c.extents[0].segment_number = 0; }),
              refused("of segment 0"));
  EXPECT_THAT(changed([](StreamCommit& c) { c.extents[0].last_offset = 4159; }),
              refused("from 4160 to 4159"));
  EXPECT_THAT(changed([](StreamCommit& c) { c.extents[1].record_count = 0; }),
              refused("0 records"));
  EXPECT_THAT(changed([](StreamCommit& c) { c.shards[1].shard = 0; }), refused("of shard 0"));
  EXPECT_THAT(changed([](StreamCommit& c) { c.shards[1].shard = 256; }), refused("of shard 256"));
  EXPECT_THAT(changed([](StreamCommit& c) { c.shards[0].last_sequence = kSequenceCeiling; }),
              refused("after sequence 281474976710655"));
  EXPECT_THAT(changed([](StreamCommit& c) { c.shards[1].last_sequence = ~uint64_t{0} - 2; }),
              refused("after sequence 18446744073709551613"));
  EXPECT_THAT(changed([](StreamCommit& c) { c.shards[1].record_count = 5; }),
              refused("5 in its segments, 6 in its shards"));
  EXPECT_THAT(changed([](StreamCommit& c) { c.hlc = kHlcCeiling - 4; }), refused("of 5 records"));
}

}  // namespace
}  // namespace slipstream::storage

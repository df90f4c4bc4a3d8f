#include "storage/segment_scan.h"

#include <cstring>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/optional.h"
#include "base/crc32c.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/entry.h"
#include "storage/frame.h"
#include "storage/keydir_shard.h"
#include "storage/record.h"
#include "storage/recovery_report.h"
#include "storage/spanning_run.h"

namespace slipstream::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr uint64_t kIncarnation = 0xabcdef;
constexpr uint64_t kPageCount = 8;

// Writes frames of one page into a segment of eight.
class Builder {
 public:
  // Appends a frame with `keys`, which says that LSNs up to `durable_lsn` were durable. Keys
  // that start with "t" are of transaction 9; "commit" is its Commit, of `committed_count`.
  Builder& Add(const std::vector<std::string>& keys, Lsn durable_lsn,
               uint64_t committed_count = 0) {
    std::string payload;
    for (const std::string& key : keys) {
      if (key == "commit") {
        RecordHeader commit{.type = RecordType::kCommit, .tx_id = 9, .sequence = committed_count};
        commit.crc32c = RecordCrc(commit, "", "");
        payload.append(reinterpret_cast<const char*>(&commit), sizeof(commit));
        continue;
      }
      RecordHeader header{.type = RecordType::kPut,
                          .tx_id = key[0] == 't' ? uint64_t{9} : 0,
                          .hlc = 1,
                          .sequence = 1,
                          .key_bytes = static_cast<uint32_t>(key.size())};
      header.crc32c = RecordCrc(header, key, "");
      payload.append(reinterpret_cast<const char*>(&header), sizeof(header));
      payload.append(key);
    }
    FrameHeader header{.incarnation = kIncarnation,
                       .segment_number = 1,
                       .frame_number = ++frame_number_,
                       .first_lsn = next_lsn_,
                       .durable_lsn = durable_lsn,
                       .payload_bytes = static_cast<uint32_t>(payload.size()),
                       .record_count = static_cast<uint32_t>(keys.size()),
                       .payload_crc32c = base::Crc32c(payload),
                       .previous_header_crc32c = chain_};
    chain_ = header.header_crc32c = FrameHeaderCrc(header);
    std::memcpy(bytes_.data() + frame_number_ * kPageBytes, &header, sizeof(header));
    std::memcpy(bytes_.data() + frame_number_ * kPageBytes + sizeof(header), payload.data(),
                payload.size());
    next_lsn_ += keys.size();
    return *this;
  }

  // Makes frame `number` unreadable.
  Builder& Break(uint64_t number) {
    bytes_[number * kPageBytes + 10] ^= 1;
    return *this;
  }
  // Makes the payload of frame `number` fail its checksum from its first record on.
  Builder& BreakPayload(uint64_t number) {
    bytes_[number * kPageBytes + kFrameHeaderBytes + 10] ^= 1;
    return *this;
  }
  // Makes it as if frame `number` had never reached the disk.
  Builder& Erase(uint64_t number) {
    std::memset(bytes_.data() + number * kPageBytes, 0, kPageBytes);
    return *this;
  }

  // Puts a frame of another segment, valid for itself, after the last frame, and its payload into
  // all pages behind that.
  Builder& AddOldBytes() {
    const std::string old_payload(kPageCount * kPageBytes, 'o');
    FrameHeader old{.incarnation = kIncarnation + 1, .segment_number = 0, .frame_number = 1};
    old.header_crc32c = FrameHeaderCrc(old);
    const uint64_t offset = (frame_number_ + 1) * kPageBytes;
    std::memcpy(bytes_.data() + offset, &old, sizeof(old));
    std::memcpy(bytes_.data() + offset + sizeof(old), old_payload.data(),
                bytes_.size() - offset - sizeof(old));
    return *this;
  }
  // Makes it as if of frame `number` all had reached the disk but its first `count` bytes, where
  // old ones stand.
  Builder& LoseFirst(uint64_t number, size_t count) {
    std::memset(bytes_.data() + number * kPageBytes, 'o', count);
    return *this;
  }

  absl::string_view bytes() const { return bytes_; }

 private:
  std::string bytes_ = std::string(kPageCount * kPageBytes, '\0');
  uint64_t frame_number_ = 0;
  Lsn next_lsn_ = 1;
  uint32_t chain_ = 77;
};

SegmentExpectation Expectation() {
  return {.segment_number = 1, .incarnation = kIncarnation, .header_crc32c = 77, .first_lsn = 1};
}

struct Outcome {
  SegmentScan scan;
  SpanningRun run;
  std::vector<std::string> keys;
};

Outcome Scan(const Builder& builder, const SegmentExpectation& expectation) {
  Outcome outcome;
  outcome.scan = ScanSegment(builder.bytes(), expectation, outcome.run,
                             [&outcome](const RecordView& record, const Location&) {
                               outcome.keys.emplace_back(record.key);
                             });
  return outcome;
}

TEST(SegmentScanTest, EndsWhereOnlyZerosFollow) {
  const Outcome outcome =
      Scan(Builder().Add({"a", "b"}, 0).Add({"c"}, 2).Add({}, 3), Expectation());
  EXPECT_THAT(outcome.keys, ElementsAre("a", "b", "c"));
  EXPECT_FALSE(outcome.scan.torn);
  EXPECT_EQ(outcome.scan.end_offset, 4 * kPageBytes);
  EXPECT_EQ(outcome.scan.next_lsn, 4u);
  EXPECT_EQ(outcome.scan.frame_number, 3u);
  EXPECT_EQ(outcome.scan.frame_count, 3u);
  EXPECT_EQ(outcome.scan.record_count, 3u);
  EXPECT_EQ(outcome.scan.witnessed_lsn, 3u);
}

TEST(SegmentScanTest, ASpanningTransactionWaitsForItsCommit) {
  Builder builder;
  builder.Add({"a"}, 0).Add({"t1", "t2"}, 1).Add({"t3"}, 1);
  const Outcome open = Scan(builder, Expectation());
  EXPECT_THAT(open.keys, ElementsAre("a"));
  ASSERT_TRUE(open.run.UnfinishedFrom().has_value());
  EXPECT_EQ(open.run.UnfinishedFrom()->offset, 2 * kPageBytes);
  EXPECT_EQ(open.run.UnfinishedFrom()->first_lsn, 2u);
  EXPECT_EQ(open.run.UnfinishedFrom()->previous_frame_number, 1u);
  EXPECT_EQ(open.run.record_count(), 3u);
  builder.Add({"t4", "commit", "b"}, 1, 4);
  const Outcome committed = Scan(builder, Expectation());
  EXPECT_THAT(committed.keys, ElementsAre("a", "t1", "t2", "t3", "t4", "b"));
  EXPECT_FALSE(committed.run.UnfinishedFrom().has_value());
}

TEST(SegmentScanTest, ASpanningTransactionBeforeATornFrameIsUnfinished) {
  const Outcome outcome = Scan(
      Builder().Add({"a"}, 0).Add({"t1"}, 1).Add({"t2", "commit"}, 1, 2).Erase(3).Add({"b"}, 1),
      Expectation());
  EXPECT_THAT(outcome.keys, ElementsAre("a"));
  EXPECT_TRUE(outcome.run.UnfinishedFrom().has_value());
}

TEST(SegmentScanTest, ASpanningTransactionThatAnythingDurableFollowsWasCommitted) {
  // Its Commit is damaged: the frame after it says that it was durable.
  const Outcome outcome = Scan(
      Builder().Add({"t1"}, 0).Add({"t2", "commit"}, 0, 2).Add({"b"}, 3).Break(2), Expectation());
  EXPECT_THAT(outcome.keys, ElementsAre("t1", "b"));
  ASSERT_EQ(outcome.scan.damaged.size(), 1u);
  EXPECT_FALSE(outcome.run.UnfinishedFrom().has_value());
}

TEST(SegmentScanTest, ASpanningTransactionWhoseEndWasDurableAndIsDamagedWasCommitted) {
  SegmentExpectation expectation = Expectation();
  expectation.durable_lsn = 3;
  const Outcome outcome =
      Scan(Builder().Add({"t1"}, 0).Add({"t2", "commit"}, 0, 2).Break(2), expectation);
  ASSERT_EQ(outcome.scan.damaged.size(), 1u);
  EXPECT_EQ(outcome.run.record_count(), 1u);
  EXPECT_FALSE(outcome.run.UnfinishedFrom().has_value());
}

TEST(SegmentScanTest, ASpanningTransactionThatGoesOnBehindDamageIsNotDecidedByIt) {
  const Outcome outcome =
      Scan(Builder().Add({"t1"}, 0).Add({"t2"}, 0).Add({"t3"}, 2).Break(2), Expectation());
  EXPECT_THAT(outcome.keys, IsEmpty());
  ASSERT_TRUE(outcome.run.UnfinishedFrom().has_value());
  EXPECT_EQ(outcome.run.UnfinishedFrom()->first_lsn, 1u);
}

TEST(SegmentScanTest, EmptySegmentIsClean) {
  const Outcome outcome = Scan(Builder(), Expectation());
  EXPECT_FALSE(outcome.scan.torn);
  EXPECT_EQ(outcome.scan.end_offset, kPageBytes);
  EXPECT_EQ(outcome.scan.next_lsn, 1u);
}

SegmentExpectation ExpectationOfRecycled() {
  SegmentExpectation expectation = Expectation();
  expectation.is_recycled = true;
  return expectation;
}

TEST(SegmentScanTest, OldBytesAfterTheLastFrameAreNoTornTailInARecycledSegment) {
  Builder builder;
  builder.Add({"a"}, 0).Add({"b"}, 1).AddOldBytes();
  const Outcome outcome = Scan(builder, ExpectationOfRecycled());
  EXPECT_THAT(outcome.keys, ElementsAre("a", "b"));
  EXPECT_FALSE(outcome.scan.torn);
  EXPECT_EQ(outcome.scan.end_offset, 3 * kPageBytes);
  // In one that was made anew nothing but a torn frame can stand there.
  EXPECT_TRUE(Scan(builder, Expectation()).scan.torn);
  EXPECT_FALSE(Scan(Builder().AddOldBytes(), ExpectationOfRecycled()).scan.torn);
}

TEST(SegmentScanTest, WhatMayBeTakenForAFrameLaterIsATornTailInARecycledSegment) {
  // The last frame, or one behind a missing one, which a crash has left with its header.
  const Outcome bad_payload =
      Scan(Builder().Add({"a"}, 0).Add({"b"}, 1).BreakPayload(2), ExpectationOfRecycled());
  EXPECT_TRUE(bad_payload.scan.torn);
  const Outcome missing =
      Scan(Builder().Add({"a"}, 0).Add({"b"}, 1).Add({"c"}, 1).LoseFirst(2, 512),
           ExpectationOfRecycled());
  EXPECT_TRUE(missing.scan.torn);
  EXPECT_THAT(missing.keys, ElementsAre("a"));
  EXPECT_EQ(missing.scan.end_offset, 2 * kPageBytes);
  // A header of which not all has arrived.
  const Outcome torn_header =
      Scan(Builder().Add({"a"}, 0).Add({"b"}, 1).Break(2), ExpectationOfRecycled());
  EXPECT_TRUE(torn_header.scan.torn);
}

TEST(SegmentScanTest, AFrameWhoseHeaderNeverCameIsOverwrittenInARecycledSegment) {
  const Outcome outcome =
      Scan(Builder().Add({"a"}, 0).Add({"b"}, 1).LoseFirst(2, 512), ExpectationOfRecycled());
  EXPECT_FALSE(outcome.scan.torn);
  EXPECT_EQ(outcome.scan.end_offset, 2 * kPageBytes);
  EXPECT_THAT(outcome.scan.damaged, IsEmpty());
}

TEST(SegmentScanTest, ARecycledSegmentHidesNoDamage) {
  const Outcome outcome =
      Scan(Builder().Add({"a"}, 0).Add({"b"}, 1).Add({"c"}, 2).LoseFirst(2, 512).AddOldBytes(),
           ExpectationOfRecycled());
  EXPECT_THAT(outcome.keys, ElementsAre("a", "c"));
  EXPECT_EQ(outcome.scan.damaged.size(), 1u);
  EXPECT_FALSE(outcome.scan.torn);
}

TEST(SegmentScanTest, UnsyncedFramesAfterAMissingOneAreATornTail) {
  // Frames 2 and 3 were written without a sync between: frame 3 says that only LSN 1 was durable.
  const Outcome outcome =
      Scan(Builder().Add({"a"}, 0).Add({"b"}, 1).Add({"c"}, 1).Erase(2), Expectation());
  EXPECT_THAT(outcome.keys, ElementsAre("a"));
  EXPECT_TRUE(outcome.scan.torn);
  EXPECT_THAT(outcome.scan.damaged, IsEmpty());
  EXPECT_EQ(outcome.scan.end_offset, 2 * kPageBytes);
  EXPECT_EQ(outcome.scan.next_lsn, 2u);
}

TEST(SegmentScanTest, LaterFrameThatSaysItWasDurableMakesItDamage) {
  const Outcome outcome =
      Scan(Builder().Add({"a"}, 0).Add({"b"}, 1).Add({"c"}, 2).Break(2), Expectation());
  EXPECT_THAT(outcome.keys, ElementsAre("a", "c"));
  EXPECT_FALSE(outcome.scan.torn);
  ASSERT_EQ(outcome.scan.damaged.size(), 1u);
  EXPECT_EQ(outcome.scan.damaged[0].first_lsn, 2u);
  EXPECT_EQ(outcome.scan.damaged[0].last_lsn, 2u);
  EXPECT_EQ(outcome.scan.damaged[0].lost_count(), 1u);
  EXPECT_EQ(outcome.scan.next_lsn, 4u);
}

TEST(SegmentScanTest, EvidenceMayComeFromAFrameFurtherOn) {
  // Frames 2 to 4 share one sync; frame 5 bears witness to it. Nothing whole is given up.
  const Outcome outcome =
      Scan(Builder().Add({"a"}, 0).Add({"b"}, 1).Add({"c"}, 1).Add({"d"}, 1).Add({"e"}, 4).Break(2),
           Expectation());
  EXPECT_THAT(outcome.keys, ElementsAre("a", "c", "d", "e"));
  ASSERT_EQ(outcome.scan.damaged.size(), 1u);
  EXPECT_EQ(outcome.scan.damaged[0].end_offset, 3 * kPageBytes);
}

TEST(SegmentScanTest, EvidenceIsTakenFromAHeaderWhosePayloadIsBad) {
  const Outcome outcome = Scan(
      Builder().Add({"a"}, 0).Add({"b"}, 1).Add({"c"}, 2).Break(2).BreakPayload(3), Expectation());
  EXPECT_THAT(outcome.keys, ElementsAre("a"));
  ASSERT_EQ(outcome.scan.damaged.size(), 1u);
  EXPECT_TRUE(outcome.scan.torn);
  EXPECT_EQ(outcome.scan.end_offset, 3 * kPageBytes);
}

TEST(SegmentScanTest, TwoStretchesOfDamage) {
  const Outcome outcome = Scan(
      Builder().Add({"a"}, 0).Add({"b"}, 1).Add({"c"}, 2).Add({"d"}, 3).Add({}, 4).Break(1).Break(
          3),
      Expectation());
  EXPECT_THAT(outcome.keys, ElementsAre("b", "d"));
  ASSERT_EQ(outcome.scan.damaged.size(), 2u);
  EXPECT_EQ(outcome.scan.damaged[1].first_lsn, 3u);
}

TEST(SegmentScanTest, MissingWitnessIsDamageThatCostNothing) {
  const Outcome outcome =
      Scan(Builder().Add({"a"}, 0).Add({}, 1).Add({"b"}, 1).Erase(2), Expectation());
  EXPECT_THAT(outcome.keys, ElementsAre("a", "b"));
  ASSERT_EQ(outcome.scan.damaged.size(), 1u);
  EXPECT_EQ(outcome.scan.damaged[0].lost_count(), 0u);
}

TEST(SegmentScanTest, KnownDurableLsnMakesABadTailDamage) {
  SegmentExpectation expectation = Expectation();
  expectation.durable_lsn = 3;
  const Outcome outcome =
      Scan(Builder().Add({"a"}, 0).Add({"b", "c"}, 1).BreakPayload(2), expectation);
  EXPECT_FALSE(outcome.scan.torn);
  ASSERT_EQ(outcome.scan.damaged.size(), 1u);
  EXPECT_EQ(outcome.scan.damaged[0].last_lsn, 3u);
  EXPECT_EQ(outcome.scan.damaged[0].end_offset, kPageCount * kPageBytes);
  EXPECT_EQ(outcome.scan.next_lsn, 4u);
}

TEST(SegmentScanTest, NamedEndHidesWhatFollowsAndMakesAllBeforeItCount) {
  SegmentExpectation expectation = Expectation();
  expectation.end = SegmentEnd{.offset = 3 * kPageBytes, .last_lsn = 2};
  Builder builder;
  builder.Add({"a"}, 0).Add({"b"}, 1).Add({"cut off"}, 1);
  Outcome outcome = Scan(builder, expectation);
  EXPECT_THAT(outcome.keys, ElementsAre("a", "b"));
  EXPECT_THAT(outcome.scan.damaged, IsEmpty());
  outcome = Scan(builder.Break(2), expectation);
  EXPECT_THAT(outcome.keys, ElementsAre("a"));
  ASSERT_EQ(outcome.scan.damaged.size(), 1u);
  EXPECT_EQ(outcome.scan.next_lsn, 3u);
}

TEST(SegmentScanTest, DamagedHeaderPageLeavesTheFirstLinkOpen) {
  SegmentExpectation expectation = Expectation();
  expectation.header_crc32c = absl::nullopt;
  EXPECT_THAT(Scan(Builder().Add({"a"}, 0), expectation).keys, ElementsAre("a"));
  expectation.header_crc32c = 78;
  EXPECT_THAT(Scan(Builder().Add({"a"}, 0), expectation).scan.torn_cause, HasSubstr("0x0000004e"));
}

TEST(SegmentScanTest, FindsHeadersByPage) {
  const Builder builder = Builder().Add({"a"}, 0).Add({"b"}, 1).Add({"c"}, 1).Break(2);
  uint64_t offset = 2 * kPageBytes;
  ASSERT_TRUE(FindFrameHeader(builder.bytes(), 1, 0, offset).has_value());
  EXPECT_EQ(offset, 3 * kPageBytes);
  offset = kPageBytes;
  EXPECT_FALSE(FindFrameHeader(builder.bytes(), 1, kIncarnation + 1, offset).has_value());
  offset = kPageBytes;
  EXPECT_FALSE(FindFrameHeader(builder.bytes(), 2, 0, offset).has_value());
}

TEST(SegmentScanTest, IsZeroLooksAtEveryByte) {
  EXPECT_TRUE(IsZero(""));
  EXPECT_TRUE(IsZero(std::string(5000, '\0')));
  for (const size_t index : {0, 1, 2500, 4999}) {
    std::string bytes(5000, '\0');
    bytes[index] = 1;
    EXPECT_FALSE(IsZero(bytes));
  }
}

}  // namespace
}  // namespace slipstream::storage

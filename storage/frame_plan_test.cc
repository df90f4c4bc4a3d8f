#include "storage/frame_plan.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "storage/frame.h"
#include "storage/pending_record.h"
#include "storage/record.h"

namespace slipstream::storage {
namespace {

const std::string& Filler() {
  static const auto* const filler = new std::string(100'000, 'v');
  return *filler;
}

// Records of these lengths, header included.
std::vector<PendingRecord> Records(const std::vector<size_t>& lengths) {
  std::vector<PendingRecord> records;
  for (const size_t bytes : lengths) {
    records.push_back({.header = {},
                       .key = {},
                       .value = absl::string_view(Filler()).substr(0, bytes - kRecordHeaderBytes),
                       .location = {}});
  }
  return records;
}

constexpr FrameRoom kRoom{
    .left_bytes = 8192, .segment_bytes = 5 * kPageBytes, .frame_bytes_target = 4096};
constexpr size_t kFull = 4096 - kFrameHeaderBytes;  // A payload that fills a page.

TEST(PlanFramesTest, FillsFramesUpToTheTarget) {
  const FramePlan plan = PlanFrames(Records({kFull - 100, 100, 80}), kRoom);
  ASSERT_EQ(plan.frames.size(), 2u);
  EXPECT_EQ(plan.frames[0].record_count, 2u);
  EXPECT_EQ(plan.frames[0].payload_bytes, kFull);
  EXPECT_EQ(plan.frames[1].record_count, 1u);
  EXPECT_EQ(plan.next_segment_count, 0u);
  EXPECT_EQ(PlanFrames(Records({kFull - 100, 101, 80}), kRoom).frames[0].record_count, 1u);
}

TEST(PlanFramesTest, GoesOnInTheNextSegment) {
  const FramePlan plan = PlanFrames(Records(std::vector<size_t>(7, kFull)), kRoom);
  ASSERT_EQ(plan.frames.size(), 7u);
  EXPECT_EQ(plan.next_segment_count, 2u);
  for (size_t i = 0; i < 7; ++i) EXPECT_EQ(plan.frames[i].in_next_segment, i == 2 || i == 6) << i;
}

TEST(PlanFramesTest, StartsWithTheNextSegmentIfThereIsNone) {
  FrameRoom room = kRoom;
  room.left_bytes = 0;
  const FramePlan plan = PlanFrames(Records({80}), room);
  EXPECT_TRUE(plan.frames[0].in_next_segment);
  EXPECT_EQ(plan.next_segment_count, 1u);
}

TEST(PlanFramesTest, ARecordBeyondTheTargetHasAFrameOfItsOwn) {
  const FramePlan plan = PlanFrames(Records({80, 2 * 4096 - kFrameHeaderBytes, 80}), kRoom);
  ASSERT_EQ(plan.frames.size(), 3u);
  EXPECT_EQ(FrameBytes(plan.frames[1].payload_bytes), 8192u);
  EXPECT_TRUE(plan.frames[1].in_next_segment);  // One page was left.
  EXPECT_FALSE(plan.frames[2].in_next_segment);
}

TEST(PlanFramesTest, NoFrameGoesBeyondItsSegment) {
  FrameRoom room = kRoom;
  room.frame_bytes_target = 1 << 20;
  const FramePlan plan = PlanFrames(Records(std::vector<size_t>(300, 100)), room);
  uint64_t left_bytes = room.left_bytes;
  size_t record_count = 0;
  for (const FramePlan::Frame& frame : plan.frames) {
    if (frame.in_next_segment) left_bytes = room.segment_bytes - kPageBytes;
    ASSERT_LE(FrameBytes(frame.payload_bytes), left_bytes);
    left_bytes -= FrameBytes(frame.payload_bytes);
    record_count += frame.record_count;
  }
  EXPECT_EQ(record_count, 300u);
  EXPECT_EQ(plan.frames.size(), 1 + plan.next_segment_count);
}

}  // namespace
}  // namespace slipstream::storage

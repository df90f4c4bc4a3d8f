#include "storage/frame_plan.h"

#include <algorithm>

#include "base/check.h"
#include "storage/frame.h"

namespace slipstream::storage {

FramePlan PlanFrames(absl::Span<const PendingRecord> records, const FrameRoom& room) {
  FramePlan plan;
  uint64_t left_bytes = room.left_bytes;
  for (size_t next = 0; next < records.size();) {
    FramePlan::Frame frame;
    const uint64_t bytes_min = FrameBytes(records[next].bytes());
    if (bytes_min > left_bytes) {
      left_bytes = room.segment_bytes - kPageBytes;
      SLIP_CHECK(bytes_min <= left_bytes);
      frame.in_next_segment = true;
      ++plan.next_segment_count;
    }
    const uint64_t bytes_max = std::max(bytes_min, std::min(room.frame_bytes_target, left_bytes));
    for (; next < records.size(); ++next) {
      const uint64_t payload_bytes = frame.payload_bytes + records[next].bytes();
      if (FrameBytes(payload_bytes) > bytes_max) break;
      frame.payload_bytes = payload_bytes;
      ++frame.record_count;
    }
    left_bytes -= FrameBytes(frame.payload_bytes);
    plan.frames.push_back(frame);
  }
  return plan;
}

}  // namespace slipstream::storage

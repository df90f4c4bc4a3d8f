// FramePlan: which frames and segments a transaction too large for one frame will take.
//
// Pure arithmetic on lengths, so that room can be made before a lock is taken and the same answer
// be found again under it. What such frames mean: docs/storage_format.md, "Transactions".
#ifndef SLIPSTREAM_STORAGE_FRAME_PLAN_H_
#define SLIPSTREAM_STORAGE_FRAME_PLAN_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "storage/pending_record.h"

namespace slipstream::storage {

// Where the frames may go.
struct FrameRoom {
  uint64_t left_bytes = 0;     // Of the segment in use: whole pages; 0 if there is none.
  uint64_t segment_bytes = 0;  // Of the next ones.
  uint64_t frame_bytes_target = 0;
};

struct FramePlan {
  struct Frame {
    size_t record_count = 0;
    uint64_t payload_bytes = 0;
    bool in_next_segment = false;  // It is the first one of another segment.
  };
  std::vector<Frame> frames;
  size_t next_segment_count = 0;
};

// Returns frames that hold `records` in order, as few as there can be: none is longer than the
// target, unless a record is. Each record must fit a segment.
FramePlan PlanFrames(absl::Span<const PendingRecord> records, const FrameRoom& room);

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_FRAME_PLAN_H_

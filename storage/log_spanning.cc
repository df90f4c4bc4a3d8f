// Transactions larger than a frame: how Log appends them, as a whole, to as many as it takes.

#include "base/status_macros.h"
#include "storage/frame.h"
#include "storage/log.h"

namespace slipstream::storage {

// Where the frames of `records` would go, as things are. The first one starts anew: recovery cuts
// the log off before it if the Commit is missing.
FramePlan Log::PlanSpanning(absl::Span<const PendingRecord> records) const {
  uint64_t offset = append_offset_;
  if (open_frame_ != nullptr) offset = open_frame_->offset + open_frame_->bytes();
  return PlanFrames(records,
                    {.left_bytes = append_segment_ == nullptr ? 0 : append_segment_->bytes - offset,
                     .segment_bytes = options_.segment_bytes,
                     .frame_bytes_target = options_.frame_bytes_target});
}

absl::Status Log::EnsureRoomSpanning(absl::Span<const PendingRecord> records) {
  for (;;) {
    size_t segment_count = 0;
    bool too_much_unflushed = false;
    {
      absl::MutexLock lock(&mutex_);
      SLIP_RETURN_IF_ERROR(status_);
      segment_count = PlanSpanning(records).next_segment_count;
      too_much_unflushed = unflushed_bytes_ > options_.unflushed_bytes_max;
    }
    if (too_much_unflushed) {
      SLIP_RETURN_IF_ERROR(Flush(Mode::kWrite).status());
      continue;
    }
    if (HasPreparedEnough(segment_count)) return absl::OkStatus();
    SLIP_RETURN_IF_ERROR(PrepareSegment(Retry::kSometimes, segment_count));
  }
}

absl::StatusOr<Lsn> Log::TryAppendSpanning(absl::Span<PendingRecord> records) {
  absl::MutexLock lock(&mutex_);
  SLIP_RETURN_IF_ERROR(status_);
  const FramePlan plan = PlanSpanning(records);
  const bool has_segments = prepared_.size() >= options_.reserve_segments + plan.next_segment_count;
  // The bound is held once more, so that one transaction at a time goes beyond it.
  if (!has_segments || unflushed_bytes_ > options_.unflushed_bytes_max) return Lsn{0};
  Lsn last_lsn = appended_lsn_.load(std::memory_order_relaxed);
  size_t next = 0;
  for (const FramePlan::Frame& planned : plan.frames) {
    SealOpenFrame();
    if (planned.in_next_segment) UseNextSegment();
    StartFrame(planned.payload_bytes, last_lsn + 1);
    const absl::Span<PendingRecord> part = records.subspan(next, planned.record_count);
    CopyInto(*open_frame_, part);
    uint64_t record_bytes = planned.payload_bytes;
    if (part.back().key.empty()) record_bytes -= part.back().bytes();  // The Commit.
    CountAppended(*open_frame_->segment, record_bytes, AppendPurpose::kWrite);
    unflushed_bytes_ += planned.payload_bytes;
    last_lsn += planned.record_count;
    next += planned.record_count;
    open_frame_->is_undecided = next < records.size();
  }
  // At once: whoever waits for a part of a transaction waits for its end.
  appended_lsn_.store(last_lsn, std::memory_order_release);
  return last_lsn;
}

}  // namespace slipstream::storage

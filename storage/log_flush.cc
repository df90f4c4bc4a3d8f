// The writing side of Log: frames to files, in order, and what a sync makes of them.

#include <cstddef>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "base/check.h"
#include "base/coding.h"
#include "base/crc32c.h"
#include "base/status_macros.h"
#include "storage/log.h"
#include "storage/segment.h"

namespace slipstream::storage {

absl::StatusOr<Lsn> Log::Flush(Mode mode) {
  absl::MutexLock flush_lock(&flush_mutex_);
  SLIP_RETURN_IF_ERROR(FlushLocked(mode));
  return durable_lsn();
}

absl::Status Log::FlushLocked(Mode mode) {
  size_t frame_count = 0;
  {
    absl::MutexLock lock(&mutex_);
    SLIP_RETURN_IF_ERROR(status_);
    SealOpenFrame();
    frame_count = sealed_frames_.size();
  }
  // Frames that are sealed from now on are for the next flush: this one must end.
  for (; frame_count > 0; --frame_count) {
    SLIP_RETURN_IF_ERROR(WriteFirstSealed(frame_count == 1 ? mode : Mode::kWrite));
  }
  if (mode == Mode::kSync && unsynced_) return SyncWritten();
  return absl::OkStatus();
}

// With kSync, durable too if that takes no second call.
absl::Status Log::WriteFirstSealed(Mode mode) {
  Frame* frame = nullptr;
  {
    absl::MutexLock lock(&mutex_);
    frame = sealed_frames_.front().get();
  }
  // Only this thread, which holds flush_mutex_, writes to or removes a sealed frame; readers copy
  // from its payload meanwhile.
  SLIP_RETURN_IF_ERROR(WriteFrame(*frame, mode));
  absl::MutexLock lock(&mutex_);
  unflushed_bytes_ -= frame->payload_bytes;
  written_position_.store((write_segment_number_ << 32) | write_offset_, std::memory_order_release);
  const uint64_t spare_frames_max = options_.unflushed_bytes_max / options_.frame_bytes_target + 2;
  if (frame->buffer.capacity() == options_.frame_bytes_target &&
      spare_frames_.size() < spare_frames_max) {
    spare_frames_.push_back(std::move(sealed_frames_.front()));
  }
  sealed_frames_.pop_front();
  return absl::OkStatus();
}

absl::Status Log::WriteFrame(Frame& frame, Mode mode) {
  if (frame.segment != write_segment_) {
    SLIP_RETURN_IF_ERROR(Activate(frame.segment, frame.first_lsn));
  }
  SLIP_CHECK(frame.offset == write_offset_);
  SLIP_CHECK(frame.first_lsn == written_lsn_ + 1);
  FrameHeader header{
      .incarnation = write_incarnation_,
      .segment_number = write_segment_number_,
      .frame_number = frame_number_ + 1,
      .first_lsn = frame.first_lsn,
      .durable_lsn = durable_lsn(),
      .payload_bytes = frame.payload_bytes,
      .record_count = frame.record_count,
      .payload_crc32c = base::Crc32c(
          absl::string_view(frame.buffer.data() + kFrameHeaderBytes, frame.payload_bytes)),
      .previous_header_crc32c = header_crc32c_,
  };
  header.header_crc32c = FrameHeaderCrc(header);
  std::memcpy(frame.buffer.data(), &header, sizeof(header));
  const absl::string_view bytes(frame.buffer.data(), frame.bytes());
  File& file = *write_segment_->file;
  // One wait for the device in place of two, if nothing else waits to be synced.
  const bool becomes_durable = mode == Mode::kSync && !unsynced_;
  absl::Status status =
      becomes_durable ? file.WriteDurably(frame.offset, bytes) : file.Write(frame.offset, bytes);
  if (!status.ok()) return Fail(status);
  frame_number_ = header.frame_number;
  header_crc32c_ = header.header_crc32c;
  write_offset_ += frame.bytes();
  written_lsn_ += frame.record_count;
  if (!frame.is_undecided) {
    decided_lsn_ = written_lsn_;
    decided_position_ = (write_segment_number_ << 32) | write_offset_;
  }
  witnessed_lsn_ = header.durable_lsn;
  frame_count_.fetch_add(1, std::memory_order_relaxed);
  if (becomes_durable) {
    NoteDurable();
  } else {
    unsynced_ = true;
  }
  return absl::OkStatus();
}

// Puts the next segment into use. Its header says where the one before ends, so that one must be
// durable up to there first: else a crash could leave the claim without what it claims.
absl::Status Log::Activate(Segment* segment, Lsn first_lsn) {
  if (unsynced_) SLIP_RETURN_IF_ERROR(SyncWritten());
  SegmentHeader header{
      .node_id = options_.node_id,
      .segment_number = segment->number,
      .segment_bytes = segment->bytes,
      .first_lsn = first_lsn,
      .previous_segment_number = write_segment_number_,
      .previous_incarnation = write_incarnation_,
      .previous_end_offset = write_offset_,
      .previous_last_lsn = written_lsn_,
  };
  while (header.incarnation == 0) header.incarnation = rng_.Next();
  AlignedBuffer page(kPageBytes);
  const std::string encoded = EncodeSegmentHeader(header);
  std::memcpy(page.data(), encoded.data(), kPageBytes);
  sync_count_.fetch_add(1, std::memory_order_relaxed);
  if (absl::Status status = segment->file->WriteDurably(0, page.view()); !status.ok()) {
    return Fail(status);
  }
  NoteActivated(*segment, header);
  write_segment_ = segment;
  write_segment_number_ = header.segment_number;
  write_incarnation_ = header.incarnation;
  write_offset_ = kPageBytes;
  frame_number_ = 0;
  header_crc32c_ = base::LoadLittle<uint32_t>(page.data() + offsetof(SegmentHeader, crc32c));
  witnessed_lsn_ = header.previous_last_lsn;
  return absl::OkStatus();
}

absl::Status Log::SyncWritten() {
  if (absl::Status status = write_segment_->file->SyncData(); !status.ok()) return Fail(status);
  NoteDurable();
  return absl::OkStatus();
}

// All that was written is durable now.
void Log::NoteDurable() {
  sync_count_.fetch_add(1, std::memory_order_relaxed);
  unsynced_ = false;
  durable_position_.store(decided_position_, std::memory_order_release);
  durable_lsn_.store(decided_lsn_, std::memory_order_release);
}

absl::StatusOr<LogCut> Log::Cut() {
  absl::MutexLock flush_lock(&flush_mutex_);
  SLIP_RETURN_IF_ERROR(FlushLocked(Mode::kSync));
  LogCut cut{.last_lsn = written_lsn_};
  absl::ReaderMutexLock lock(&segments_mutex_);
  for (const std::shared_ptr<Segment>& segment : segments_) {
    // Those behind are waited for by frames in memory; their files hold nothing yet.
    if (segment->number > write_segment_number_) break;
    const bool is_open = segment.get() == write_segment_;
    cut.segments.push_back({.number = segment->number,
                            .bytes = segment->bytes,
                            .end_offset = is_open ? write_offset_ : segment->bytes,
                            .is_open = is_open,
                            .file = {segment, segment->file.get()}});
  }
  return cut;
}

absl::Status Log::WriteWitness() {
  absl::MutexLock flush_lock(&flush_mutex_);
  SLIP_RETURN_IF_ERROR(FlushLocked(Mode::kSync));
  return WriteWitnessLocked();
}

absl::Status Log::WriteWitnessLocked() {
  if (witnessed_lsn_ == written_lsn_) return absl::OkStatus();
  {
    absl::MutexLock lock(&mutex_);
    const bool idle = open_frame_ == nullptr && sealed_frames_.empty();
    // Without room for it there is no witness: the next segment's header will be one.
    if (!idle || FrameFor(0, AppendPurpose::kWrite) == nullptr) return absl::OkStatus();
    SealOpenFrame();
  }
  SLIP_RETURN_IF_ERROR(WriteFirstSealed(Mode::kSync));
  // Before any other frame is written: that makes a gap without records tell of damage.
  return unsynced_ ? SyncWritten() : absl::OkStatus();
}

absl::StatusOr<bool> Log::Maintain() {
  absl::Status prepared;
  if (!HasPreparedEnough()) {
    prepared = PrepareSegment(Retry::kNow);
    if (prepared.ok()) return true;
    // A full disk may stay full for long; a witness needs no new segment.
    if (!absl::IsResourceExhausted(prepared)) return prepared;
  }
  absl::MutexLock flush_lock(&flush_mutex_);
  SLIP_RETURN_IF_ERROR(status());
  const Lsn appended = appended_lsn();
  const bool idle = appended == maintained_lsn_;
  maintained_lsn_ = appended;
  if (idle && appended == durable_lsn()) SLIP_RETURN_IF_ERROR(WriteWitnessLocked());
  SLIP_RETURN_IF_ERROR(prepared);
  return false;
}

}  // namespace slipstream::storage

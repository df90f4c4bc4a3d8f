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
  const Lsn target = appended_lsn();
  absl::MutexLock flush_lock(&flush_mutex_);
  SLIP_RETURN_IF_ERROR(FlushUpTo(target, mode));
  return durable_lsn();
}

// Records behind `target`, which is the end of an append, may be left to the next flush: this one
// must end.
absl::Status Log::FlushUpTo(Lsn target, Mode mode) {
  while (started_lsn_ < target) {
    // Waits first and takes a frame then: meanwhile that one fills.
    flush_mutex_.Await(absl::Condition(this, &Log::MayStartWrite));
    if (started_lsn_ >= target) break;  // Another thread took it.
    SLIP_ASSIGN_OR_RETURN(LogFrame* const frame, NextToWrite());
    if (frame->segment != write_segment_) {
      if (!IsQuiet()) {
        AwaitQuiet();
        continue;
      }
      SLIP_RETURN_IF_ERROR(Activate(frame->segment, frame->first_lsn));
    }
    SLIP_RETURN_IF_ERROR(WriteFrame(*frame, frame->last_lsn() >= target ? mode : Mode::kWrite));
  }
  const auto is_written = [this, target]() ABSL_SHARED_LOCKS_REQUIRED(flush_mutex_) {
    return written_lsn_ >= target || IsQuiet();
  };
  flush_mutex_.Await(absl::Condition(&is_written));
  if (mode == Mode::kSync && durable_lsn() < target) {
    AwaitQuiet();
    if (unsynced_) SLIP_RETURN_IF_ERROR(SyncWritten());
  }
  return status();
}

// Makes all durable that was appended before the call. Then no frame is in flight, and none will be
// until flush_mutex_ is let go.
absl::Status Log::FlushAll() {
  do {
    SLIP_RETURN_IF_ERROR(FlushUpTo(appended_lsn(), Mode::kSync));
    AwaitQuiet();
    SLIP_RETURN_IF_ERROR(status());
  } while (written_lsn_ != decided_lsn_);
  return unsynced_ ? SyncWritten() : absl::OkStatus();
}

bool Log::MayStartWrite() const {
  // Through the page cache, a write-back that failed is reported to whichever call on the file
  // comes first, be it of another frame: then no second one may be under way.
  const bool is_direct = write_segment_ == nullptr || write_segment_->file->io_path().direct;
  const size_t in_flight_max = is_direct ? options_.frames_in_flight_max : 1;
  return quiet_wanted_count_ == 0 && in_flight_.size() < in_flight_max;
}

void Log::AwaitQuiet() {
  ++quiet_wanted_count_;
  flush_mutex_.Await(absl::Condition(this, &Log::IsQuiet));
  --quiet_wanted_count_;
}

// Returns the first frame that is not in flight; there must be one, sealed or open.
absl::StatusOr<LogFrame*> Log::NextToWrite() {
  absl::MutexLock lock(&mutex_);
  // Once a write has failed, what is in flight and what is sealed need not match.
  SLIP_RETURN_IF_ERROR(status_);
  if (sealed_frames_.size() == in_flight_.size()) SealOpenFrame();
  return sealed_frames_[in_flight_.size()].get();
}

// With kSync, durable too if that takes no second call.
absl::Status Log::WriteFrame(LogFrame& frame, Mode mode) {
  SLIP_CHECK(frame.segment == write_segment_ && frame.offset == write_offset_);
  SLIP_CHECK(frame.first_lsn == started_lsn_ + 1);
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
  // Readers copy from the payload meanwhile; the header is for the thread that writes the frame.
  std::memcpy(frame.buffer.data(), &header, sizeof(header));
  frame_number_ = header.frame_number;
  header_crc32c_ = header.header_crc32c;
  write_offset_ += frame.bytes();
  started_lsn_ = frame.last_lsn();
  witnessed_lsn_ = header.durable_lsn;
  // One wait for the device in place of two, if nothing else waits to be synced.
  const bool becomes_durable = mode == Mode::kSync && !unsynced_;
  if (!becomes_durable) unsynced_ = true;
  in_flight_.push_back({.is_durable_when_done = becomes_durable});
  FrameInFlight& flight = in_flight_.back();
  File& file = *write_segment_->file;
  flush_mutex_.Unlock();
  const absl::string_view bytes(frame.buffer.data(), frame.bytes());
  absl::Status status =
      becomes_durable ? file.WriteDurably(frame.offset, bytes) : file.Write(frame.offset, bytes);
  if (!status.ok()) status = Fail(status);
  flush_mutex_.Lock();
  write_failed_ = write_failed_ || !status.ok();
  NoteDone(flight);
  return status;
}

// Takes back what is done with all before it. After a failed write nothing more counts as written.
void Log::NoteDone(FrameInFlight& flight) {
  flight.is_done = true;
  for (; !in_flight_.empty() && in_flight_.front().is_done; in_flight_.pop_front()) {
    if (!write_failed_) TakeBack(in_flight_.front());
  }
}

void Log::TakeBack(const FrameInFlight& flight) {
  absl::MutexLock lock(&mutex_);
  std::unique_ptr<LogFrame> frame = std::move(sealed_frames_.front());
  sealed_frames_.pop_front();
  const uint64_t end_position = PositionOf(frame->segment->number, frame->offset + frame->bytes());
  written_lsn_ = frame->last_lsn();
  if (!frame->is_undecided) {
    decided_lsn_ = written_lsn_;
    decided_position_ = end_position;
  }
  frame_count_.fetch_add(1, std::memory_order_relaxed);
  if (flight.is_durable_when_done) NoteDurable();
  unflushed_bytes_ -= frame->payload_bytes;
  written_position_.store(end_position, std::memory_order_release);
  const uint64_t spare_frames_max = options_.unflushed_bytes_max / options_.frame_bytes_target + 2;
  if (frame->buffer.capacity() == options_.frame_bytes_target &&
      spare_frames_.size() < spare_frames_max) {
    spare_frames_.push_back(std::move(frame));
  }
}

// Puts the next segment into use; no frame may be in flight. Its header says where the one before
// ends, so that one must be durable up to there first: else a crash could leave the claim without
// what it claims.
absl::Status Log::Activate(Segment* segment, Lsn first_lsn) {
  SLIP_CHECK(IsQuiet());
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
  const bool is_recycled = segment->incarnation != 0;
  header.incarnation = segment->incarnation;
  while (header.incarnation == 0) header.incarnation = rng_.Next();
  AlignedBuffer page(kPageBytes);
  const std::string encoded = EncodeSegmentHeader(header, is_recycled);
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

// No frame may be in flight. Not after a failure, which another thread may have met while this one
// waited: the system reports a failed write-back once, so that a second sync would succeed.
absl::Status Log::SyncWritten() {
  SLIP_CHECK(IsQuiet());
  SLIP_RETURN_IF_ERROR(status());
  if (absl::Status status = write_segment_->file->SyncData(); !status.ok()) return Fail(status);
  unsynced_ = false;
  NoteDurable();
  return absl::OkStatus();
}

// All that was written and taken back is durable now.
void Log::NoteDurable() {
  sync_count_.fetch_add(1, std::memory_order_relaxed);
  durable_position_.store(decided_position_, std::memory_order_release);
  durable_lsn_.store(decided_lsn_, std::memory_order_release);
}

absl::StatusOr<LogCut> Log::Cut() {
  absl::MutexLock flush_lock(&flush_mutex_);
  SLIP_RETURN_IF_ERROR(FlushAll());
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
  SLIP_RETURN_IF_ERROR(FlushAll());
  return WriteWitnessLocked();
}

// No frame may be in flight, and all that was written must be durable.
absl::Status Log::WriteWitnessLocked() {
  SLIP_CHECK(IsQuiet() && !unsynced_);
  if (witnessed_lsn_ == written_lsn_) return absl::OkStatus();
  {
    absl::MutexLock lock(&mutex_);
    const bool idle = open_frame_ == nullptr && sealed_frames_.empty();
    // Without room for it there is no witness: the next segment's header will be one.
    if (!idle || FrameFor(0, AppendPurpose::kWrite) == nullptr) return absl::OkStatus();
  }
  SLIP_ASSIGN_OR_RETURN(LogFrame* const witness, NextToWrite());
  if (witness->segment != write_segment_) {
    SLIP_RETURN_IF_ERROR(Activate(witness->segment, witness->first_lsn));
  }
  // No other frame is started before it is durable: that makes a gap without records tell of
  // damage.
  ++quiet_wanted_count_;
  const absl::Status written = WriteFrame(*witness, Mode::kSync);
  --quiet_wanted_count_;
  return written;
}

absl::StatusOr<bool> Log::Maintain() {
  absl::Status prepared;
  if (!HasPreparedEnough()) {
    prepared = PrepareSegment(Retry::kNow);
    if (prepared.ok()) return true;
    // A full disk may stay full for long; a witness needs no new segment.
    if (!absl::IsResourceExhausted(prepared)) return prepared;
  }
  bool idle = false;
  {
    absl::MutexLock flush_lock(&flush_mutex_);
    SLIP_RETURN_IF_ERROR(status());
    const Lsn appended = appended_lsn();
    idle = appended == maintained_lsn_;
    maintained_lsn_ = appended;
    if (idle && appended == durable_lsn()) {
      AwaitQuiet();
      if (!unsynced_) SLIP_RETURN_IF_ERROR(WriteWitnessLocked());
    }
  }
  SLIP_RETURN_IF_ERROR(prepared);
  return idle ? RemoveSpare() : false;
}

}  // namespace slipstream::storage

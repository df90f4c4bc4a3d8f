#include "storage/log.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/check.h"
#include "base/error_reason.h"
#include "base/status_macros.h"
#include "storage/ceilings.h"
#include "storage/segment.h"

namespace slipstream::storage {
namespace {

// Calls between two tries to prepare a segment on a full disk, each of which writes until it fails.
constexpr uint64_t kCallsPerRetry = 64;

}  // namespace

Log::Log(FileSystem* fs, absl::string_view directory, const LogOptions& options, base::Random rng,
         LogTail tail)
    : fs_(fs),
      directory_(directory),
      options_(options),
      next_segment_number_(tail.next_segment_number),
      rng_(rng),
      write_segment_number_(tail.segment_number),
      write_incarnation_(tail.incarnation),
      write_offset_(tail.end_offset),
      frame_number_(tail.frame_number),
      header_crc32c_(tail.header_crc32c),
      started_lsn_(tail.last_lsn),
      written_lsn_(tail.last_lsn),
      decided_lsn_(tail.last_lsn),
      decided_position_(PositionOf(tail.segment_number, tail.end_offset)),
      witnessed_lsn_(tail.last_lsn),
      maintained_lsn_(tail.last_lsn),
      sealed_below_(tail.segment_number),
      appended_lsn_(tail.last_lsn),
      durable_lsn_(tail.last_lsn),
      written_position_(PositionOf(tail.segment_number, tail.end_offset)),
      durable_position_(PositionOf(tail.segment_number, tail.end_offset)) {
  if (tail.goes_on) {
    SLIP_CHECK(!tail.segments.empty());
    SLIP_CHECK(tail.segments.back()->number == tail.segment_number);
    write_segment_ = append_segment_ = tail.segments.back().get();
    append_offset_ = tail.end_offset;
  }
  for (std::unique_ptr<Segment>& segment : tail.segments) {
    log_bytes_ += segment->bytes;
    segments_.push_back(std::move(segment));
  }
  for (std::unique_ptr<Segment>& segment : tail.prepared) prepared_.push_back(std::move(segment));
}

uint64_t Log::payload_bytes_max() const {
  return options_.segment_bytes - kPageBytes - kFrameHeaderBytes;
}

absl::Status Log::EnsureRoom(uint64_t payload_bytes, AppendPurpose purpose) {
  SLIP_CHECK(payload_bytes <= payload_bytes_max());
  for (;;) {
    bool too_much_unflushed = false;
    bool has_reserve = false;
    {
      absl::MutexLock lock(&mutex_);
      SLIP_RETURN_IF_ERROR(status_);
      too_much_unflushed = unflushed_bytes_ > options_.unflushed_bytes_max;
      if (!too_much_unflushed && PlaceFor(payload_bytes, AppendPurpose::kWrite) != Place::kNone) {
        return absl::OkStatus();
      }
      has_reserve = PlaceFor(payload_bytes, purpose) != Place::kNone;
    }
    if (too_much_unflushed) {
      SLIP_RETURN_IF_ERROR(Flush(Mode::kWrite).status());
      continue;
    }
    const absl::Status prepared = PrepareSegment(Retry::kSometimes);
    // The reserve is for when there is nothing else.
    if (absl::IsResourceExhausted(prepared) && has_reserve) return absl::OkStatus();
    SLIP_RETURN_IF_ERROR(prepared);
  }
}

absl::StatusOr<Lsn> Log::TryAppend(absl::Span<PendingRecord> records, AppendPurpose purpose) {
  uint64_t payload_bytes = 0;
  uint64_t record_bytes = 0;  // Without the end of a transaction, which has no key.
  bool commits_stream = false;
  for (const PendingRecord& record : records) {
    payload_bytes += record.bytes();
    if (!record.key.empty()) record_bytes += record.bytes();
    commits_stream = commits_stream || IsStreamCommit(record.header);
  }
  absl::MutexLock lock(&mutex_);
  SLIP_RETURN_IF_ERROR(status_);
  LogFrame* const frame = FrameFor(payload_bytes, purpose);
  if (frame == nullptr) return Lsn{0};
  CopyInto(*frame, records);
  unflushed_bytes_ += payload_bytes;
  CountAppended(*frame->segment, record_bytes, purpose);
  if (commits_stream) frame->segment->holds_commits.store(true, std::memory_order_relaxed);
  const Lsn last_lsn = appended_lsn_.load(std::memory_order_relaxed) + records.size();
  appended_lsn_.store(last_lsn, std::memory_order_release);
  return last_lsn;
}

// Adds `records`, for which there is room, and sets their locations.
void Log::CopyInto(LogFrame& frame, absl::Span<PendingRecord> records) {
  for (PendingRecord& record : records) {
    char* const target = frame.payload_end();
    record.location = {
        .segment_number = static_cast<uint32_t>(frame.segment->number),
        .offset = static_cast<uint32_t>(frame.offset + (target - frame.buffer.data()))};
    std::memcpy(target, &record.header, kRecordHeaderBytes);
    // Not memcpy: a Commit's key and value are empty views, whose pointers may be null.
    char* const value =
        std::copy(record.key.begin(), record.key.end(), target + kRecordHeaderBytes);
    std::copy(record.value.begin(), record.value.end(), value);
    frame.payload_bytes += static_cast<uint32_t>(record.bytes());
  }
  frame.record_count += static_cast<uint32_t>(records.size());
}

void Log::CountAppended(Segment& segment, uint64_t record_bytes, AppendPurpose purpose) {
  segment.record_bytes.fetch_add(record_bytes, std::memory_order_relaxed);
  const bool copies = purpose == AppendPurpose::kCompact;
  if (!copies) segment.holds_writes.store(true, std::memory_order_relaxed);
  (copies ? copied_bytes_ : appended_bytes_).fetch_add(record_bytes, std::memory_order_relaxed);
}

// Returns whether an append of this purpose may go to `offset` of the append segment: if the
// reserve is not whole, that segment is a part of it.
bool Log::MayAppendAt(uint64_t offset, AppendPurpose purpose) const {
  switch (purpose) {
    case AppendPurpose::kWrite:
      return prepared_.size() >= options_.reserve_segments;
    case AppendPurpose::kDelete:
      // Deletes free nothing by themselves: compaction must have room left to do so.
      return options_.reserve_segments == 0 || !prepared_.empty() ||
             offset < append_segment_->bytes / 2;
    case AppendPurpose::kCompact:
      return true;
  }
  return false;
}

// Says where a payload of this size would go, changing nothing.
Log::Place Log::PlaceFor(uint64_t payload_bytes, AppendPurpose purpose) const {
  uint64_t next_offset = append_offset_;
  if (open_frame_ != nullptr) {
    const uint64_t used = kFrameHeaderBytes + open_frame_->payload_bytes;
    if (used + payload_bytes <= open_frame_->bytes_max) {
      return MayAppendAt(open_frame_->offset, purpose) ? Place::kOpenFrame : Place::kNone;
    }
    next_offset = open_frame_->offset + open_frame_->bytes();
  }
  const uint64_t frame_bytes = FrameBytes(payload_bytes);
  if (append_segment_ != nullptr && next_offset + frame_bytes <= append_segment_->bytes) {
    return MayAppendAt(next_offset, purpose) ? Place::kSameSegment : Place::kNone;
  }
  const size_t kept_count = purpose == AppendPurpose::kWrite ? options_.reserve_segments : 0;
  return prepared_.size() > kept_count ? Place::kNextSegment : Place::kNone;
}

// Returns the frame that takes `payload_bytes` more, opened if need be; null if there is no room.
LogFrame* Log::FrameFor(uint64_t payload_bytes, AppendPurpose purpose) {
  const Place place = PlaceFor(payload_bytes, purpose);
  if (place == Place::kNone) return nullptr;
  if (place != Place::kOpenFrame) {
    SealOpenFrame();
    if (place == Place::kNextSegment) UseNextSegment();
    StartFrame(payload_bytes, appended_lsn_.load(std::memory_order_relaxed) + 1);
  }
  return open_frame_.get();
}

void Log::StartFrame(uint64_t payload_bytes, Lsn first_lsn) {
  const uint64_t capacity =
      std::max<uint64_t>(options_.frame_bytes_target, FrameBytes(payload_bytes));
  if (capacity == options_.frame_bytes_target && !spare_frames_.empty()) {
    open_frame_ = std::move(spare_frames_.back());
    spare_frames_.pop_back();
  } else {
    open_frame_.reset(new LogFrame{.buffer = AlignedBuffer(capacity)});
  }
  open_frame_->segment = append_segment_;
  open_frame_->offset = append_offset_;
  open_frame_->bytes_max = std::min(capacity, append_segment_->bytes - append_offset_);
  open_frame_->first_lsn = first_lsn;
  open_frame_->payload_bytes = 0;
  open_frame_->record_count = 0;
  open_frame_->is_undecided = false;
}

void Log::SealOpenFrame() {
  if (open_frame_ == nullptr) return;
  LogFrame& frame = *open_frame_;
  std::memset(frame.payload_end(), 0, frame.bytes() - kFrameHeaderBytes - frame.payload_bytes);
  append_offset_ = frame.offset + frame.bytes();
  sealed_frames_.push_back(std::move(open_frame_));
}

void Log::UseNextSegment() {
  append_segment_ = prepared_.front().get();
  append_offset_ = kPageBytes;
  absl::MutexLock lock(&segments_mutex_);
  log_bytes_ += append_segment_->bytes;
  segments_.push_back(std::move(prepared_.front()));
  prepared_.pop_front();
}

absl::StatusOr<LogBytes> Log::Read(const Location& location, size_t count) const {
  SLIP_ASSIGN_OR_RETURN(StartedLogRead read, StartRead(location, count));
  AlignedBuffer& pages = read.bytes.pages;
  if (read.file != nullptr) {
    SLIP_RETURN_IF_ERROR(read.file->Read(read.offset, pages.capacity(), pages.data()));
  }
  return std::move(read.bytes);
}

absl::StatusOr<StartedLogRead> Log::StartRead(const Location& location, size_t count) const {
  const size_t start = location.offset % kPageBytes;
  const size_t pages_bytes = (start + count + kPageBytes - 1) / kPageBytes * kPageBytes;
  StartedLogRead read{
      .bytes = {.pages = AlignedBuffer(pages_bytes), .start = start, .count = count}};
  const bool written = PositionOf(location.segment_number, location.offset) <
                       written_position_.load(std::memory_order_acquire);
  if (!written && ReadFromFrames(location, count, read.bytes.pages.data() + start)) return read;
  // If it was in no frame, it has been written meanwhile. No frame shares a page with another, so
  // these pages do not change under the read.
  read.file = FindFile(location.segment_number);
  if (read.file == nullptr) {
    return absl::NotFoundError(absl::StrFormat("segment %d was dropped", location.segment_number));
  }
  read.offset = location.offset - start;
  return read;
}

bool Log::ReadFromFrames(const Location& location, size_t count, char* destination) const {
  absl::MutexLock lock(&mutex_);
  const auto copy_from = [&](const LogFrame& frame) {
    if (!frame.Holds(location)) return false;
    SLIP_CHECK(location.offset + count <= frame.offset + kFrameHeaderBytes + frame.payload_bytes);
    std::memcpy(destination, frame.buffer.data() + (location.offset - frame.offset), count);
    return true;
  };
  if (open_frame_ != nullptr && copy_from(*open_frame_)) return true;
  return std::any_of(sealed_frames_.begin(), sealed_frames_.end(),
                     [&](const std::unique_ptr<LogFrame>& frame) { return copy_from(*frame); });
}

// Returns whether there are `count` segments beside the reserve.
bool Log::HasPreparedEnough(size_t count) const {
  absl::MutexLock lock(&mutex_);
  return prepared_.size() >= options_.reserve_segments + count;
}

// Prepares one, unless there are `count`.
absl::Status Log::PrepareSegment(Retry retry, size_t count) {
  absl::MutexLock prepare_lock(&prepare_mutex_);
  SLIP_RETURN_IF_ERROR(status());
  if (HasPreparedEnough(count))
    return absl::OkStatus();  // By another thread, while this one waited.
  if (!no_space_.ok() && retry == Retry::kSometimes &&
      ++no_space_call_count_ % kCallsPerRetry != 0) {
    return no_space_;
  }
  if (next_segment_number_ > kSegmentNumberMax) {
    return absl::ResourceExhaustedError(absl::StrFormat(
        "segment number %d, more than %d: a new directory, filled by its peers, starts at 1",
        next_segment_number_, kSegmentNumberMax));
  }
  auto segment = std::make_unique<Segment>();
  segment->number = next_segment_number_;
  segment->bytes = options_.segment_bytes;
  absl::StatusOr<std::unique_ptr<File>> file =
      CreateSegment(fs_, directory_, segment->number, segment->bytes);
  if (absl::IsResourceExhausted(file.status())) {
    no_space_ =
        base::WithReason(absl::ResourceExhaustedError(absl::StrFormat(
                             "no space for a segment of %d bytes; writes go on when there is: %s",
                             segment->bytes, std::string(file.status().message()))),
                         base::ReasonOf(file.status()).empty() ? base::kReasonDiskFull
                                                               : base::ReasonOf(file.status()));
    return no_space_;
  }
  if (!file.ok()) return Fail(file.status());
  no_space_ = absl::OkStatus();
  segment->file = *std::move(file);
  ++next_segment_number_;
  absl::MutexLock lock(&mutex_);
  prepared_.push_back(std::move(segment));
  return absl::OkStatus();
}

absl::Status Log::Fail(const absl::Status& cause) {
  absl::MutexLock lock(&mutex_);
  if (status_.ok()) {
    status_ = base::WithReason(
        absl::UnavailableError(absl::StrCat("storage stopped; start it anew: ", cause.message())),
        base::kReasonEngineFailed);
  }
  return status_;
}

absl::Status Log::status() const {
  absl::MutexLock lock(&mutex_);
  return status_;
}

Location Log::append_position() const {
  absl::MutexLock lock(&mutex_);
  if (append_segment_ == nullptr) {
    // Nothing was appended in this life: this is the end of what was recovered.
    const uint64_t position = written_position_.load(std::memory_order_relaxed);
    return {.segment_number = static_cast<uint32_t>(position >> 32),
            .offset = static_cast<uint32_t>(position)};
  }
  const uint64_t offset =
      open_frame_ == nullptr ? append_offset_
                             : open_frame_->offset + kFrameHeaderBytes + open_frame_->payload_bytes;
  return {.segment_number = static_cast<uint32_t>(append_segment_->number),
          .offset = static_cast<uint32_t>(offset)};
}

bool Log::IsDurable(const Location& location) const {
  return PositionOf(location.segment_number, location.offset) <
         durable_position_.load(std::memory_order_acquire);
}

LogStats Log::stats() const {
  LogStats stats{.frame_count = frame_count_.load(std::memory_order_relaxed),
                 .recycled_segment_count = recycled_segment_count_.load(std::memory_order_relaxed),
                 .sync_count = sync_count_.load(std::memory_order_relaxed),
                 .appended_bytes = appended_bytes_.load(std::memory_order_relaxed),
                 .copied_bytes = copied_bytes_.load(std::memory_order_relaxed)};
  absl::MutexLock lock(&mutex_);
  for (const std::unique_ptr<Segment>& segment : prepared_) stats.log_bytes += segment->bytes;
  absl::MutexLock segments_lock(&segments_mutex_);
  stats.segment_count = segments_.size() + prepared_.size();
  stats.log_bytes += log_bytes_;
  if (!prepared_.empty()) {
    stats.io_path = prepared_.back()->file->io_path();
  } else if (!segments_.empty()) {
    stats.io_path = segments_.back()->file->io_path();
  }
  return stats;
}

}  // namespace slipstream::storage

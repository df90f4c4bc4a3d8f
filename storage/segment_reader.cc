#include "storage/segment_reader.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_format.h"
#include "base/status_macros.h"

namespace slipstream::storage {
namespace {

// A frame of the usual size at once.
constexpr uint64_t kBytesPerRead = 1 << 20;

// Returns the pages that the frame which starts with `page` says it takes.
absl::StatusOr<uint64_t> ClaimedFrameBytes(absl::string_view page) {
  FrameHeader header;
  std::memcpy(&header, page.data(), sizeof(header));
  if (header.magic != kFrameMagic || FrameHeaderCrc(header) != header.header_crc32c) {
    return absl::DataLossError("no frame header");
  }
  return FrameBytes(header.payload_bytes);
}

}  // namespace

SegmentReader::SegmentReader(std::shared_ptr<const File> file, const SealedSegment& segment)
    : file_(std::move(file)),
      segment_(segment),
      next_lsn_(segment.previous.last_lsn + 1),
      buffer_(std::min(kBytesPerRead, segment.bytes)) {}

absl::StatusOr<const LocatedRecord*> SegmentReader::Current() {
  while (next_ == records_.size() && offset_ < segment_.link.end_offset) {
    if (const absl::Status status = ReadFrame(); !status.ok()) {
      return absl::Status(status.code(),
                          absl::StrFormat("segment %d offset %d: %s", segment_.link.number, offset_,
                                          std::string(status.message())));
    }
  }
  if (next_ < records_.size()) return &records_[next_];
  if (!resumes_ && next_lsn_ != segment_.link.last_lsn + 1) {
    return absl::DataLossError(absl::StrFormat("segment %d ends before LSN %d, not after LSN %d",
                                               segment_.link.number, next_lsn_,
                                               segment_.link.last_lsn));
  }
  return nullptr;
}

// Takes up the frame at offset_. After an error nothing has changed.
absl::Status SegmentReader::ReadFrame() {
  SLIP_ASSIGN_OR_RETURN(const absl::string_view page, Buffered(kPageBytes));
  SLIP_ASSIGN_OR_RETURN(const uint64_t frame_bytes, ClaimedFrameBytes(page));
  SLIP_ASSIGN_OR_RETURN(const absl::string_view bytes, Buffered(frame_bytes));
  SLIP_ASSIGN_OR_RETURN(const FrameHeader header, DecodeFrameHeader(bytes));
  SLIP_RETURN_IF_ERROR(CheckHeader(header));
  SLIP_ASSIGN_OR_RETURN(const absl::string_view payload, DecodeFramePayload(header, bytes));
  SLIP_ASSIGN_OR_RETURN(std::vector<PlacedRecord> records,
                        DecodeRecords(payload, header.record_count));
  records_.clear();
  next_ = 0;
  for (const PlacedRecord& placed : CommittedRecords(std::move(records))) {
    const uint64_t offset = offset_ + kFrameHeaderBytes + placed.payload_offset;
    records_.push_back({.record = placed.record,
                        .location = {.segment_number = static_cast<uint32_t>(segment_.link.number),
                                     .offset = static_cast<uint32_t>(offset)}});
  }
  offset_ += frame_bytes;
  resumes_ = false;
  frame_number_ = header.frame_number;
  next_lsn_ = header.first_lsn + header.record_count;
  return absl::OkStatus();
}

void SegmentReader::PassOver() {
  uint64_t bytes = kPageBytes;
  if (const absl::StatusOr<absl::string_view> page = Buffered(kPageBytes); page.ok()) {
    FrameHeader header;
    std::memcpy(&header, page->data(), sizeof(header));
    const bool is_whole =
        header.magic == kFrameMagic && FrameHeaderCrc(header) == header.header_crc32c;
    if (is_whole && CheckHeader(header).ok()) bytes = FrameBytes(header.payload_bytes);
  }
  offset_ = std::min(offset_ + bytes, segment_.link.end_offset);
  resumes_ = true;
}

absl::Status SegmentReader::CheckHeader(const FrameHeader& header) const {
  const bool is_ours = header.incarnation == segment_.link.incarnation &&
                       header.segment_number == segment_.link.number;
  const bool follows =
      resumes_ ? header.frame_number > frame_number_ && header.first_lsn >= next_lsn_
               : header.frame_number == frame_number_ + 1 && header.first_lsn == next_lsn_;
  if (is_ours && follows) return absl::OkStatus();
  return absl::DataLossError(absl::StrFormat(
      "frame %d of segment %d incarnation %016x, LSN %d, not frame %d, LSN %d", header.frame_number,
      header.segment_number, header.incarnation, header.first_lsn, frame_number_ + 1, next_lsn_));
}

// Returns the `bytes` bytes from offset_ on, reading ahead if they are not in memory.
absl::StatusOr<absl::string_view> SegmentReader::Buffered(uint64_t bytes) {
  const uint64_t left = segment_.link.end_offset - offset_;
  if (bytes > left) {
    return absl::DataLossError(absl::StrFormat("frame of %d bytes where %d are left", bytes, left));
  }
  if (offset_ < buffer_offset_ || offset_ + bytes > buffer_offset_ + buffered_bytes_) {
    uint64_t wanted = std::max(bytes, std::min(kBytesPerRead, left));
    buffered_bytes_ = 0;
    if (buffer_.capacity() < wanted) buffer_ = AlignedBuffer(wanted);
    absl::Status status = file_->Read(offset_, wanted, buffer_.data());
    if (absl::IsOutOfRange(status) && wanted != bytes) {
      // Of a file that was cut short, what is there may be good.
      wanted = bytes;
      status = file_->Read(offset_, wanted, buffer_.data());
    }
    SLIP_RETURN_IF_ERROR(status);
    buffer_offset_ = offset_;
    buffered_bytes_ = wanted;
  }
  return buffer_.view().substr(offset_ - buffer_offset_, bytes);
}

}  // namespace slipstream::storage

// SegmentReader: walks the records of a sealed segment, a bounded piece of its file at a time.
//
// For compaction and scrubbing, which must not take a damaged record for a good one: it checks all
// that Open checks, and saves nothing of a bad frame. What a crash leaves is segment_scan.h's.
#ifndef SLIPSTREAM_STORAGE_SEGMENT_READER_H_
#define SLIPSTREAM_STORAGE_SEGMENT_READER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "storage/aligned_buffer.h"
#include "storage/file_system.h"
#include "storage/frame.h"
#include "storage/keydir_shard.h"
#include "storage/log_segment.h"
#include "storage/record.h"

namespace slipstream::storage {

// A record and where it stands.
struct LocatedRecord {
  RecordView record;  // Valid until the next call of Current after Advance.
  Location location;
};

// Not thread-safe. Holds a MiB, or one frame if that is larger.
class SegmentReader {
 public:
  // Stands at the first record. The segment may be dropped meanwhile: `file` is kept.
  SegmentReader(std::shared_ptr<const File> file, const SealedSegment& segment);

  // Returns the record at the reader's place, reading on if need be; nullptr at the end. Records
  // that do not apply, and ends of transactions, are left out. DATA_LOSS if the segment is not what
  // the log says it is; others as File::Read: then the next call tries again.
  absl::StatusOr<const LocatedRecord*> Current();

  // Goes to the next record; Current must have returned one since.
  void Advance() { ++next_; }

  // After DATA_LOSS or OUT_OF_RANGE: passes over the bad frame, or a page of it where its length
  // cannot be trusted. Current then takes any later frame of this segment for the next, and fails
  // again, so that more is passed over, where none starts; at the end it returns nullptr.
  void PassOver();

  // Where the frame starts that is taken up next.
  uint64_t next_offset() const { return offset_; }
  const SealedSegment& segment() const { return segment_; }
  // Of the frames taken up so far.
  uint64_t scanned_bytes() const { return offset_ - kPageBytes; }

 private:
  absl::Status ReadFrame();
  absl::Status CheckHeader(const FrameHeader& header) const;
  absl::StatusOr<absl::string_view> Buffered(uint64_t bytes);

  const std::shared_ptr<const File> file_;
  const SealedSegment segment_;
  uint64_t offset_ = kPageBytes;  // Of the next frame.
  uint64_t frame_number_ = 0;     // Of the last one.
  Lsn next_lsn_;
  std::vector<LocatedRecord> records_;  // Of the last frame.
  size_t next_ = 0;
  bool resumes_ = false;  // Frames before offset_ were passed over.
  AlignedBuffer buffer_;  // Of the file from buffer_offset_; the first buffered_bytes_ are read.
  uint64_t buffer_offset_ = 0;
  uint64_t buffered_bytes_ = 0;
};

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_SEGMENT_READER_H_

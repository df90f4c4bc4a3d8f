// The segments of a log as it runs: those in use, what is known of each, and where a recovered log
// goes on. What a segment's file holds: segment.h.
#ifndef SLIPSTREAM_STORAGE_LOG_SEGMENT_H_
#define SLIPSTREAM_STORAGE_LOG_SEGMENT_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "storage/entry.h"
#include "storage/file_system.h"

namespace slipstream::storage {

// Positions order all places of a log in one number.
inline uint64_t PositionOf(uint64_t segment_number, uint64_t offset) {
  return (segment_number << 32) | offset;
}

// A segment and where its data ends: what the one after it must know of it. Part of the manifest's
// format.
struct SegmentLink {
  uint64_t number = 0;  // 0: there is none.
  uint64_t incarnation = 0;
  uint64_t end_offset = 0;
  Lsn last_lsn = 0;
  friend bool operator==(const SegmentLink&, const SegmentLink&) = default;
};

// A segment that is in use or prepared. Its owner says which lock guards it; what is atomic, none.
struct Segment {
  uint64_t number = 0;
  uint64_t bytes = 0;
  std::unique_ptr<File> file;
  // Known from when it is in use; the incarnation of a recycled one, from when it is prepared.
  SegmentLink previous;
  uint64_t incarnation = 0;
  // Known when it takes no more frames.
  uint64_t end_offset = 0;
  Lsn last_lsn = 0;
  bool damaged = false;  // Open reported damage of it.

  std::atomic<uint64_t> record_bytes{0};  // Of its Puts and Deletes.
  // Something else than compaction's copies was appended: it may be packed more tightly.
  std::atomic<bool> holds_writes{false};
  // Commits of streamed transactions: dead or not, they are copied or kept.
  std::atomic<bool> holds_commits{false};
};

// A segment that takes no more frames and is durable whole; a snapshot that stays true until it is
// dropped.
struct SealedSegment {
  SegmentLink link;
  SegmentLink previous;
  uint64_t bytes = 0;  // Of the file, the unused rest too.
  uint64_t record_bytes = 0;
  bool holds_writes = false;
  bool holds_commits = false;
  bool damaged = false;  // Never dropped: the next Open must report the same.
};

// A segment as part of the log at one moment.
struct CutSegment {
  uint64_t number = 0;
  uint64_t bytes = 0;  // Of the file.
  // What belongs to the moment, a multiple of 4096; behind it the file may change if it is_open.
  uint64_t end_offset = 0;
  bool is_open = false;  // It takes more frames; the others never change again.
  // Shared with the log and with reads: stays readable when the segment is dropped.
  std::shared_ptr<const File> file;
};

// The whole log at one moment, all of it durable.
struct LogCut {
  std::vector<CutSegment> segments;  // Ascending.
  Lsn last_lsn = 0;
};

// What an append is for: who may use the reserve when the disk is full.
enum class AppendPurpose : uint8_t {
  kWrite,    // Leaves the reserve alone.
  kDelete,   // Uses it, but for the second half of the last segment.
  kCompact,  // Uses all of it.
};

// Where a recovered or empty log goes on.
struct LogTail {
  std::vector<std::unique_ptr<Segment>> segments;  // In use, ascending; numbers may be missing.
  std::vector<std::unique_ptr<Segment>> prepared;  // Ascending, above those.
  uint64_t next_segment_number = 1;                // The next to prepare.
  // Whether the last one in use takes more frames, after end_offset; else the next frame starts a
  // new segment, whose header names end_offset.
  bool goes_on = false;
  uint64_t segment_number = 0;  // The last one in use, if any.
  uint64_t incarnation = 0;
  uint64_t end_offset = 0;
  uint64_t frame_number = 0;
  uint32_t header_crc32c = 0;
  Lsn last_lsn = 0;  // All of it durable, and witnessed.
};

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_LOG_SEGMENT_H_

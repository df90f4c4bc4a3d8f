// LogFrame: a frame of the log in memory, from when it is opened until it is written.
#ifndef SLIPSTREAM_STORAGE_LOG_FRAME_H_
#define SLIPSTREAM_STORAGE_LOG_FRAME_H_

#include <cstdint>

#include "storage/aligned_buffer.h"
#include "storage/entry.h"
#include "storage/frame.h"
#include "storage/keydir_shard.h"
#include "storage/log_segment.h"

namespace slipstream::storage {

// Sealed ones do not change, but for the header, which flushing fills in.
struct LogFrame {
  AlignedBuffer buffer;
  Segment* segment = nullptr;
  uint64_t offset = 0;     // In the segment; so are locations.
  uint64_t bytes_max = 0;  // Of the buffer, or what is left of the segment.
  Lsn first_lsn = 0;
  uint32_t payload_bytes = 0;
  uint32_t record_count = 0;
  bool is_undecided = false;  // Filled by a transaction that goes on in the next one.

  uint64_t bytes() const { return FrameBytes(payload_bytes); }
  Lsn last_lsn() const { return first_lsn + record_count - 1; }
  char* payload_end() { return buffer.data() + kFrameHeaderBytes + payload_bytes; }
  bool Holds(const Location& location) const {
    return location.segment_number == segment->number && location.offset >= offset &&
           location.offset < offset + kFrameHeaderBytes + payload_bytes;
  }
};

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_LOG_FRAME_H_

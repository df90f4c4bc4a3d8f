// What a Log is told, and what it tells of itself.
#ifndef SLIPSTREAM_STORAGE_LOG_OPTIONS_H_
#define SLIPSTREAM_STORAGE_LOG_OPTIONS_H_

#include <cstdint>

#include "absl/types/optional.h"
#include "storage/file_system.h"

namespace slipstream::storage {

struct LogOptions {
  uint64_t node_id = 0;
  uint64_t segment_bytes = 0;
  uint32_t frame_bytes_target = 0;
  uint64_t unflushed_bytes_max = 0;
  uint32_t frames_in_flight_max = 1;  // That as many threads write at once.
  uint32_t reserve_segments = 0;      // Prepared ones that ordinary appends leave alone.
};

struct LogStats {
  uint64_t segment_count = 0;
  uint64_t log_bytes = 0;
  uint64_t frame_count = 0;
  uint64_t recycled_segment_count = 0;  // Whose file was made another segment's, in this life.
  uint64_t sync_count = 0;
  uint64_t appended_bytes = 0;  // Of Puts and Deletes in this life, copies by compaction left out.
  uint64_t copied_bytes = 0;    // Of those.
  absl::optional<IoPath> io_path;  // Of the newest segment; nullopt if there is none.
};

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_LOG_OPTIONS_H_

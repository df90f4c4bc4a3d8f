// ScanSegment: reads one segment after a crash, and tells a torn tail from damage.
//
// Pure: bytes in, records and findings out, so that it can be fuzzed and enumerated. The rule and
// its reasons: docs/storage_format.md, "The tail rule". What the findings mean for the log as a
// whole is decided in log_recovery.h.
#ifndef SLIPSTREAM_STORAGE_SEGMENT_SCAN_H_
#define SLIPSTREAM_STORAGE_SEGMENT_SCAN_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/optional.h"
#include "storage/entry.h"
#include "storage/frame.h"
#include "storage/recovery_report.h"
#include "storage/spanning_run.h"

namespace slipstream::storage {

// Where the next segment's header says that this segment's data ends.
struct SegmentEnd {
  uint64_t offset = 0;
  Lsn last_lsn = 0;
};

// What is known of a segment before its frames are read.
struct SegmentExpectation {
  uint64_t segment_number = 0;
  uint64_t incarnation = 0;
  absl::optional<uint32_t> header_crc32c;  // Of its header page; nullopt if that is damaged.
  bool is_recycled = false;  // Another segment's bytes follow its last frame, in place of zeros.
  Lsn first_lsn = 0;
  absl::optional<SegmentEnd> end;
  Lsn durable_lsn = 0;  // Known, from elsewhere, to have been durable.
};

struct SegmentScan {
  uint64_t end_offset = 0;  // All before was read or is reported in `damaged`.
  bool torn = false;        // What follows is a torn tail; else it is nothing, or unused.
  std::string torn_cause;
  Lsn next_lsn = 0;            // After the last record before end_offset.
  uint64_t frame_number = 0;   // Of the last frame; 0: none.
  uint32_t header_crc32c = 0;  // Of the last frame's header, else of the segment's.
  Lsn witnessed_lsn = 0;       // The greatest durable_lsn of any frame.
  uint64_t frame_count = 0;
  uint64_t record_count = 0;
  std::vector<DamagedRange> damaged;
};

// Scans the whole file `bytes` (a multiple of kPageBytes, header page included). Calls `on_record`
// for each record that is known to apply, in log order; the views last as long as that call. `run`
// is the transaction that the segments before left open, and is what this one leaves open.
SegmentScan ScanSegment(absl::string_view bytes, const SegmentExpectation& expectation,
                        SpanningRun& run, SpanningRun::OnRecord on_record);

// Returns the first frame header of segment `segment_number` with a valid checksum at `offset` or a
// page after it; nullopt if there is none. `incarnation` 0 stands for any.
absl::optional<FrameHeader> FindFrameHeader(absl::string_view bytes, uint64_t segment_number,
                                            uint64_t incarnation, uint64_t& offset);

// Returns whether `bytes` (a page or more), at the end of a recycled segment's data, start with
// what was to be a frame's header: a crash has torn it, or it is damaged. Else they are old bytes,
// or a frame whose header never came.
bool StartsWithTornHeader(absl::string_view bytes);

// Returns whether all of `bytes` is zero.
bool IsZero(absl::string_view bytes);

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_SEGMENT_SCAN_H_

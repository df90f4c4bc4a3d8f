// Segment: one file of the log: its name, its header page, and how it comes into being.
//
// What stands after the header page is frame.h's. Layout: docs/storage_format.md.
#ifndef SLIPSTREAM_STORAGE_SEGMENT_H_
#define SLIPSTREAM_STORAGE_SEGMENT_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <type_traits>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/optional.h"
#include "storage/entry.h"
#include "storage/file_system.h"
#include "storage/frame.h"

namespace slipstream::storage {

inline constexpr uint64_t kSegmentMagic = 0x4d474553'50494c53;   // "SLIPSEGM"
inline constexpr uint64_t kRecycledMagic = 0x59434552'50494c53;  // "SLIPRECY"
inline constexpr uint32_t kFormatVersion = 1;

// The first bytes of the header page as they stand on disk; the rest of the page is zero, but for
// the mark of a recycled file.
struct SegmentHeader {
  uint64_t magic = kSegmentMagic;
  uint32_t crc32c = 0;  // Of all that follows, to the end of the page.
  uint32_t format_version = kFormatVersion;
  uint32_t page_bytes = kPageBytes;
  uint32_t reserved = 0;
  uint64_t node_id = 0;
  uint64_t segment_number = 0;
  uint64_t incarnation = 0;
  uint64_t segment_bytes = 0;
  Lsn first_lsn = 0;
  uint64_t previous_segment_number = 0;
  uint64_t previous_incarnation = 0;
  uint64_t previous_end_offset = 0;
  Lsn previous_last_lsn = 0;
};
inline constexpr size_t kSegmentHeaderBytes = 96;

static_assert(kPageBytes % kDirectAlignment == 0, "pages travel by direct I/O");
static_assert(sizeof(SegmentHeader) == kSegmentHeaderBytes);
static_assert(std::has_unique_object_representations_v<SegmentHeader>, "no padding on disk");
static_assert(std::is_trivially_copyable_v<SegmentHeader>);
static_assert(offsetof(SegmentHeader, crc32c) == 8);
static_assert(offsetof(SegmentHeader, format_version) == 12);
static_assert(offsetof(SegmentHeader, page_bytes) == 16);
static_assert(offsetof(SegmentHeader, node_id) == 24);
static_assert(offsetof(SegmentHeader, segment_number) == 32);
static_assert(offsetof(SegmentHeader, incarnation) == 40);
static_assert(offsetof(SegmentHeader, segment_bytes) == 48);
static_assert(offsetof(SegmentHeader, first_lsn) == 56);
static_assert(offsetof(SegmentHeader, previous_segment_number) == 64);
static_assert(offsetof(SegmentHeader, previous_incarnation) == 72);
static_assert(offsetof(SegmentHeader, previous_end_offset) == 80);
static_assert(offsetof(SegmentHeader, previous_last_lsn) == 88);

// In the header page of a file that was another segment's before, from when it is prepared on: what
// stands behind the page, up to the first frame with this number and incarnation and from the last
// one on, is that segment's. It stays when the header is written, in a sector of its own, so that a
// crash that tears the header leaves it.
struct RecycledMark {
  uint64_t magic = kRecycledMagic;
  uint32_t crc32c = 0;  // Of all that follows.
  uint32_t reserved = 0;
  uint64_t segment_number = 0;
  uint64_t incarnation = 0;  // That the header will have.
};
inline constexpr size_t kRecycledMarkOffset = 2048;
inline constexpr size_t kRecycledMarkBytes = 32;

static_assert(sizeof(RecycledMark) == kRecycledMarkBytes);
static_assert(std::has_unique_object_representations_v<RecycledMark>, "no padding on disk");
static_assert(offsetof(RecycledMark, crc32c) == 8);
static_assert(offsetof(RecycledMark, segment_number) == 16);
static_assert(offsetof(RecycledMark, incarnation) == 24);

// Returns a header page of kPageBytes bytes with `header` and its checksum and, if `is_recycled`,
// the mark.
std::string EncodeSegmentHeader(SegmentHeader header, bool is_recycled = false);

// Returns the header page of a recycled segment that is not in use yet: the mark, else zeros.
std::string EncodeRecycledPage(uint64_t segment_number, uint64_t incarnation);

// Returns the mark in a header page, whatever the header is like; nullopt if there is no good one.
absl::optional<RecycledMark> ReadRecycledMark(absl::string_view page);

// Decodes a header page of kPageBytes bytes. FAILED_PRECONDITION (DIRECTORY_FOREIGN) for a valid
// page of a newer format version; DATA_LOSS if it fails its checks.
absl::StatusOr<SegmentHeader> DecodeSegmentHeader(absl::string_view page);

// Returns the name of the file of segment `number`.
std::string SegmentFileName(uint64_t number);

// Returns the number in a segment's file name, nullopt for any other name.
absl::optional<uint64_t> ParseSegmentFileName(absl::string_view name);

// Returns the name under which a file is made whole before it is renamed to `name`.
std::string TemporaryName(absl::string_view name);

// Creates the file of segment `number`, full of zeros and durable, in `directory`, and returns it
// open for direct I/O. On error removes
// what it made, if it can, so that a full disk gets its space back.
absl::StatusOr<std::unique_ptr<File>> CreateSegment(FileSystem* fs, absl::string_view directory,
                                                    uint64_t number, uint64_t segment_bytes);

// Makes the file of segment `from`, open as `file`, that of segment `to`, prepared, marked and
// durable, and returns it open under that name. Nobody may read `from` any more, nor any start need
// it. After an error its file may have either name; after any but RESOURCE_EXHAUSTED the caller
// must stop.
absl::StatusOr<std::unique_ptr<File>> RecycleSegment(FileSystem* fs, absl::string_view directory,
                                                     File* file, uint64_t from, uint64_t to,
                                                     uint64_t incarnation);

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_SEGMENT_H_

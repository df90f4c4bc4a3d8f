// Frame: what one write appends: a 64-byte header and a run of records, padded to whole pages.
//
// Here are the layout and the decoding of one frame out of bytes that may be damaged. Which frame
// must stand where, and what a bad one means, is decided in segment_scan.h. Layout:
// docs/storage_format.md.
#ifndef SLIPSTREAM_STORAGE_FRAME_H_
#define SLIPSTREAM_STORAGE_FRAME_H_

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "storage/entry.h"
#include "storage/record.h"

namespace slipstream::storage {

// Frames start at multiples of this and are padded to it.
inline constexpr size_t kPageBytes = 4096;

inline constexpr uint32_t kFrameMagic = 0x4d415246;  // "FRAM"

// The header as it stands on disk.
struct FrameHeader {
  uint32_t magic = kFrameMagic;
  uint32_t header_crc32c = 0;  // Of the fields that follow.
  uint64_t incarnation = 0;
  uint64_t segment_number = 0;
  uint64_t frame_number = 0;  // In its segment, from 1.
  Lsn first_lsn = 0;
  Lsn durable_lsn = 0;
  uint32_t payload_bytes = 0;
  uint32_t record_count = 0;
  uint32_t payload_crc32c = 0;
  uint32_t previous_header_crc32c = 0;
};
inline constexpr size_t kFrameHeaderBytes = 64;

static_assert(sizeof(FrameHeader) == kFrameHeaderBytes);
static_assert(std::has_unique_object_representations_v<FrameHeader>, "no padding on disk");
static_assert(std::is_trivially_copyable_v<FrameHeader>);
static_assert(offsetof(FrameHeader, header_crc32c) == 4);
static_assert(offsetof(FrameHeader, incarnation) == 8);
static_assert(offsetof(FrameHeader, segment_number) == 16);
static_assert(offsetof(FrameHeader, frame_number) == 24);
static_assert(offsetof(FrameHeader, first_lsn) == 32);
static_assert(offsetof(FrameHeader, durable_lsn) == 40);
static_assert(offsetof(FrameHeader, payload_bytes) == 48);
static_assert(offsetof(FrameHeader, record_count) == 52);
static_assert(offsetof(FrameHeader, payload_crc32c) == 56);
static_assert(offsetof(FrameHeader, previous_header_crc32c) == 60);

// Returns the whole pages that a frame with this payload takes.
constexpr uint64_t FrameBytes(uint64_t payload_bytes) {
  return (kFrameHeaderBytes + payload_bytes + kPageBytes - 1) / kPageBytes * kPageBytes;
}

// Returns the CRC32C that belongs into `header.header_crc32c`, given all other fields.
uint32_t FrameHeaderCrc(const FrameHeader& header);

// Decodes the header at the start of `bytes`. DATA_LOSS if it is cut short, has another magic,
// fails its checksum, or claims a payload that `bytes` cannot hold.
absl::StatusOr<FrameHeader> DecodeFrameHeader(absl::string_view bytes);

// The same where only the header need be at hand, of a frame in a segment that has `bytes_left`
// bytes from there on.
absl::StatusOr<FrameHeader> DecodeFrameHeader(absl::string_view bytes, uint64_t bytes_left);

// Returns the payload of the frame at the start of `bytes`, given its decoded header. DATA_LOSS if
// it fails its checksum.
absl::StatusOr<absl::string_view> DecodeFramePayload(const FrameHeader& header,
                                                     absl::string_view bytes);

// A record and where it stands in its payload.
struct PlacedRecord {
  RecordView record;
  uint32_t payload_offset = 0;
  uint32_t index = 0;  // In its frame: its LSN is the frame's first_lsn + index.
};

// What a frame has of a transaction that goes beyond it. Such a transaction starts a frame, and
// fills all its frames but the last, which it starts with its end.
struct SpanningPart {
  uint64_t open_tx_id = 0;  // Whose records fill the frame, without an end; 0: none.
  size_t ended_count = 0;   // Of the records that are its end, the Commit too; 0: none.
};

// Returns the part that `records`, those at hand of a frame that has `record_count`, tell of.
SpanningPart SpanningPartOf(const std::vector<PlacedRecord>& records, uint32_t record_count);

// Decodes all records of a whole payload, ends of transactions included. DATA_LOSS if they are not
// `record_count` that fill the payload, or a transaction is not whole and does not span frames.
absl::StatusOr<std::vector<PlacedRecord>> DecodeRecords(absl::string_view payload,
                                                        uint32_t record_count);

// Returns what can be trusted of a payload that fails its checksum: records with a valid CRC before
// the first one without, and those after it only if all lengths together add up to `record_count`
// records that fill the payload. (Else a length may be wrong, and the bytes found by it a client's
// value that looks like a record.) Records of transactions that are not whole, or of which a part
// in this frame is missing, are left out.
std::vector<PlacedRecord> SalvageRecords(absl::string_view payload, uint32_t record_count);

// Returns `records` without ends of transactions and without what a Rollback undoes: what applies,
// if the transaction that spans frames does. Those of streamed ones, their ends too, stay: they
// apply as stream_commit.h says.
std::vector<PlacedRecord> CommittedRecords(std::vector<PlacedRecord> records);

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_FRAME_H_

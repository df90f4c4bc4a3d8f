// Record: one change to one key, or the end of a transaction, as bytes in the log.
//
// A 80-byte header, the key, the value. Decoding trusts nothing: the bytes may come from a damaged
// disk. Frames, which hold records, are in frame.h. Layout: docs/storage_format.md.
#ifndef SLIPSTREAM_STORAGE_RECORD_H_
#define SLIPSTREAM_STORAGE_RECORD_H_

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/digest.h"
#include "base/version.h"

namespace slipstream::storage {

// Values are part of the disk format: never change or reuse one.
enum class RecordType : uint8_t { kPut = 1, kDelete = 2, kCommit = 3, kRollback = 4 };

// How the stored bytes of a value are made from the raw ones: as they are, an LZ4 block, a zstd
// frame. compression.h makes and reads them.
enum class Codec : uint8_t { kNone = 0, kLz4 = 1, kZstd = 2 };

// The bits of RecordHeader::flags. Of a streamed transaction, whose records reach the log before it
// is known whether they will apply: stream_commit.h.
inline constexpr uint16_t kRecordFlagStreamed = 1;

// The header as it stands on disk.
struct RecordHeader {
  uint32_t crc32c = 0;  // Of all that follows, to the end of the value.
  RecordType type = RecordType::kPut;
  Codec codec = Codec::kNone;
  uint16_t flags = 0;
  uint64_t tx_id = 0;
  uint64_t hlc = 0;
  uint64_t actor = 0;
  uint64_t sequence = 0;
  uint64_t expires_at_ms = 0;
  uint32_t key_bytes = 0;
  uint32_t stored_bytes = 0;
  uint32_t raw_bytes = 0;
  base::ValueDigest value_digest;
};
inline constexpr size_t kRecordHeaderBytes = 80;

static_assert(sizeof(RecordHeader) == kRecordHeaderBytes);
static_assert(std::has_unique_object_representations_v<RecordHeader>, "no padding on disk");
static_assert(std::is_trivially_copyable_v<RecordHeader>);
static_assert(offsetof(RecordHeader, type) == 4);
static_assert(offsetof(RecordHeader, codec) == 5);
static_assert(offsetof(RecordHeader, flags) == 6);
static_assert(offsetof(RecordHeader, tx_id) == 8);
static_assert(offsetof(RecordHeader, hlc) == 16);
static_assert(offsetof(RecordHeader, actor) == 24);
static_assert(offsetof(RecordHeader, sequence) == 32);
static_assert(offsetof(RecordHeader, expires_at_ms) == 40);
static_assert(offsetof(RecordHeader, key_bytes) == 48);
static_assert(offsetof(RecordHeader, stored_bytes) == 52);
static_assert(offsetof(RecordHeader, raw_bytes) == 56);
static_assert(offsetof(RecordHeader, value_digest) == 60);

// A decoded record; the views point into the bytes that it was decoded from.
struct RecordView {
  RecordHeader header;
  absl::string_view key;
  absl::string_view value;  // As stored: header.codec says how to read it.

  size_t bytes() const { return kRecordHeaderBytes + key.size() + value.size(); }
  // Of a change that is not streamed; of one that is, its Commit decides.
  base::Version version() const {
    return {.hlc = header.hlc, .actor = base::ActorId{header.actor}};
  }
};

inline bool IsChange(const RecordHeader& header) {
  return header.type == RecordType::kPut || header.type == RecordType::kDelete;
}
inline bool IsStreamed(const RecordHeader& header) {
  return (header.flags & kRecordFlagStreamed) != 0;
}
inline bool IsStreamCommit(const RecordHeader& header) {
  return IsStreamed(header) && header.type == RecordType::kCommit;
}

// Returns the CRC32C that belongs into `header.crc32c`, given all its other fields.
uint32_t RecordCrc(const RecordHeader& header, absl::string_view key, absl::string_view value);

// Decodes the record at the start of `bytes`, which may continue with others. DATA_LOSS, saying
// which field is wrong, if it is cut short, fails its checksum or holds what no writer writes.
absl::StatusOr<RecordView> DecodeRecord(absl::string_view bytes);

// Returns how many bytes the record at the start of `bytes` says it has, without any other check; 0
// if `bytes` is too short to say or to hold as many.
size_t ClaimedRecordBytes(absl::string_view bytes);

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_RECORD_H_

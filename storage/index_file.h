// IndexFile: what a checkpoint leaves beside its runs, so that the next start reads them and the
// log behind them only. Derived: without it, the log is read from its beginning. Layout and the
// order of a checkpoint's steps: docs/sorted_log.md.
#ifndef SLIPSTREAM_STORAGE_INDEX_FILE_H_
#define SLIPSTREAM_STORAGE_INDEX_FILE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/key_id.h"
#include "storage/entry.h"
#include "storage/file_system.h"
#include "storage/keydir_shard.h"

namespace slipstream::storage {

inline constexpr absl::string_view kIndexFileName = "index";

inline constexpr uint64_t kIndexMagic = 0x58444e49'50494c53;  // "SLIPINDX"
inline constexpr uint32_t kIndexFormatVersion = 1;

// The first bytes of the file.
struct IndexHeader {
  uint64_t magic = kIndexMagic;
  uint32_t crc32c = 0;  // Of what follows in the header.
  uint32_t format_version = kIndexFormatVersion;
  uint64_t file_bytes = 0;
  uint64_t node_id = 0;
  uint64_t actor = 0;  // Whose sequences the shards name.
  uint64_t last_hlc = 0;
  uint64_t last_tx_id = 0;
  uint64_t next_run_number = 0;
  uint32_t run_count = 0;
  uint32_t segment_count = 0;
  uint32_t body_crc32c = 0;  // Of all that follows the header.
  uint32_t reserved = 0;
  Lsn durable_lsn = 0;  // All that the file depends on was durable up to here.
};
inline constexpr size_t kIndexHeaderBytes = 88;

static_assert(sizeof(IndexHeader) == kIndexHeaderBytes);
static_assert(std::has_unique_object_representations_v<IndexHeader>, "no padding on disk");
static_assert(std::is_trivially_copyable_v<IndexHeader>);
static_assert(offsetof(IndexHeader, crc32c) == 8);
static_assert(offsetof(IndexHeader, format_version) == 12);
static_assert(offsetof(IndexHeader, file_bytes) == 16);
static_assert(offsetof(IndexHeader, node_id) == 24);
static_assert(offsetof(IndexHeader, actor) == 32);
static_assert(offsetof(IndexHeader, last_hlc) == 40);
static_assert(offsetof(IndexHeader, last_tx_id) == 48);
static_assert(offsetof(IndexHeader, next_run_number) == 56);
static_assert(offsetof(IndexHeader, run_count) == 64);
static_assert(offsetof(IndexHeader, segment_count) == 68);
static_assert(offsetof(IndexHeader, body_crc32c) == 72);
static_assert(offsetof(IndexHeader, durable_lsn) == 80);

// One for each shard, in order, after the header.
struct IndexShard {
  // All records of the shard that stand before this are in the runs, or are superseded.
  uint32_t segment_number = 0;
  uint32_t offset = 0;
  uint64_t last_sequence = 0;  // Of the dots that the actor had given by then.

  Location position() const { return {.segment_number = segment_number, .offset = offset}; }
  friend bool operator==(const IndexShard&, const IndexShard&) = default;
};
static_assert(sizeof(IndexShard) == 16);
static_assert(std::has_unique_object_representations_v<IndexShard>, "no padding on disk");

// The bits of IndexSegment::flags.
inline constexpr uint32_t kIndexSegmentFull = 1;  // Took no more frames: record_bytes is final.
inline constexpr uint32_t kIndexSegmentHoldsWrites = 2;   // As Segment::holds_writes.
inline constexpr uint32_t kIndexSegmentDamaged = 4;       // As Segment::damaged.
inline constexpr uint32_t kIndexSegmentHoldsCommits = 8;  // As Segment::holds_commits.

// One for each segment that is full or has dead bytes, after the numbers of the runs.
struct IndexSegment {
  uint32_t number = 0;
  uint32_t flags = 0;
  uint64_t dead_bytes = 0;    // As of the shards' positions.
  uint64_t record_bytes = 0;  // Of its Puts and Deletes; 0 if it is not full.
  friend bool operator==(const IndexSegment&, const IndexSegment&) = default;
};
static_assert(sizeof(IndexSegment) == 24);
static_assert(std::has_unique_object_representations_v<IndexSegment>, "no padding on disk");
static_assert(offsetof(IndexSegment, flags) == 4);
static_assert(offsetof(IndexSegment, dead_bytes) == 8);
static_assert(offsetof(IndexSegment, record_bytes) == 16);

// The file without what the observer saved.
struct Index {
  uint64_t node_id = 0;
  uint64_t actor = 0;
  uint64_t last_hlc = 0;  // Not below any HLC of a record before the shards' positions.
  uint64_t last_tx_id = 0;
  uint64_t next_run_number = 1;
  Lsn durable_lsn = 0;  // What is missing of the log up to here is damage, no torn tail.
  std::array<IndexShard, base::kShardCount> shards;
  std::vector<uint64_t> run_numbers;  // Newest first.
  std::vector<IndexSegment> segments;

  // The least and the greatest of the shards' positions.
  Location first_position() const;
  Location last_position() const;
  friend bool operator==(const Index&, const Index&) = default;
};

// What was read.
struct LoadedIndex {
  Index index;
  std::string bytes;                                              // Of the file.
  std::array<absl::string_view, base::kShardCount> derived = {};  // Into `bytes`.
};

// Writes `index`, for each shard what `derive` returns, and then, as durable_lsn, what `last_lsn`
// returns, and replaces the file in `directory` in one atomic, durable step; `before_rename` is
// called when all is on disk but not yet in force. After an error before the rename the old file is
// there, if there was one; after one later either.
absl::Status WriteIndex(FileSystem* fs, absl::string_view directory, const Index& index,
                        absl::FunctionRef<std::string(uint8_t shard)> derive,
                        absl::FunctionRef<Lsn()> last_lsn,
                        absl::FunctionRef<absl::Status()> before_rename);

// Reads the file in `directory`. NOT_FOUND if there is none; DATA_LOSS if it fails its checks or is
// of another format version.
absl::StatusOr<LoadedIndex> ReadIndex(FileSystem* fs, absl::string_view directory);

// Decodes the bytes of a file.
absl::StatusOr<LoadedIndex> DecodeIndex(std::string bytes);

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_INDEX_FILE_H_

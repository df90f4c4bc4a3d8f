// StreamCommit: what the Commit of a streamed transaction says of its records.
//
// The records of such a transaction reach the log before it is known whether it commits, among
// those of others. They bear kRecordFlagStreamed and, in place of a version and a dot, numbers: in
// hlc the record's among those of the transaction, in sequence its number among those of its shard,
// both from 1. None applies, and each counts as dead, until the Commit is there, which says what to
// add to these numbers, and where the records stand. So versions and dots are given at the commit,
// as those of every other write are, and a transaction that was rolled back leaves no gap among
// them. Layout and the rules: docs/storage_format.md, "Streamed transactions".
#ifndef SLIPSTREAM_STORAGE_STREAM_COMMIT_H_
#define SLIPSTREAM_STORAGE_STREAM_COMMIT_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "storage/keydir_shard.h"
#include "storage/record.h"

namespace slipstream::storage {

// The first bytes of a Commit's value; the extents and then the shards follow.
struct StreamCommitHeader {
  // Where the Commit stood first, if this is a copy that compaction made: it takes effect there. 0,
  // 0: here.
  uint32_t segment_number = 0;
  uint32_t offset = 0;
  uint32_t extent_count = 0;
  uint32_t shard_count = 0;
};
inline constexpr size_t kStreamCommitHeaderBytes = 16;
static_assert(sizeof(StreamCommitHeader) == kStreamCommitHeaderBytes);
static_assert(std::has_unique_object_representations_v<StreamCommitHeader>, "no padding on disk");

// The records of the transaction in one segment. Within these bounds, others with its tx_id and the
// flag are none of an earlier life's.
struct StreamExtent {
  uint32_t segment_number = 0;
  uint32_t first_offset = 0;  // Of its first record there,
  uint32_t last_offset = 0;   // and of its last.
  uint32_t record_count = 0;
  friend bool operator==(const StreamExtent&, const StreamExtent&) = default;
};
inline constexpr size_t kStreamExtentBytes = 16;
static_assert(sizeof(StreamExtent) == kStreamExtentBytes);
static_assert(std::has_unique_object_representations_v<StreamExtent>, "no padding on disk");

// The dots of the transaction in one shard: those after `last_sequence`.
struct StreamShard {
  uint64_t last_sequence = 0;
  uint32_t shard = 0;
  uint32_t record_count = 0;
  friend bool operator==(const StreamShard&, const StreamShard&) = default;
};
inline constexpr size_t kStreamShardBytes = 16;
static_assert(sizeof(StreamShard) == kStreamShardBytes);
static_assert(std::has_unique_object_representations_v<StreamShard>, "no padding on disk");

struct StreamCommit {
  uint64_t tx_id = 0;
  uint64_t hlc = 0;  // Before that of its first record.
  uint64_t actor = 0;
  Location first_place;               // As the header says; {}: none.
  std::vector<StreamExtent> extents;  // Segments ascending, one each.
  std::vector<StreamShard> shards;    // Ascending, one each.

  uint64_t record_count() const;
  // Returns the header of a record with the version and the dot that the Commit gives it, as if it
  // had never been streamed; its checksum is 0. DATA_LOSS if the Commit does not count it.
  absl::StatusOr<RecordHeader> Resolve(const RecordHeader& streamed, uint8_t shard) const;
};

// Returns the Commit's value. Two Commits of as many extents and shards have values of one length.
std::string EncodeStreamCommit(const StreamCommit& commit);

// Returns the header of the Commit with this value; its checksum is for the caller to set.
RecordHeader StreamCommitRecordHeader(const StreamCommit& commit, absl::string_view value);

// Decodes a Commit of a streamed transaction. DATA_LOSS if it says what no writer writes.
absl::StatusOr<StreamCommit> DecodeStreamCommit(const RecordView& record);

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_STREAM_COMMIT_H_

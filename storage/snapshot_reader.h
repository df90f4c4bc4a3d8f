// ReadSnapshot: the state that a snapshot holds, worked out from its log alone; VerifySnapshot
// holds it against what the snapshot says of itself. Neither writes anything, nor needs an engine.
//
// Memory is bounded whatever the snapshot holds: where its entries do not fit, the log is read
// again for each part of the shards that do.
#ifndef SLIPSTREAM_STORAGE_SNAPSHOT_READER_H_
#define SLIPSTREAM_STORAGE_SNAPSHOT_READER_H_

#include <cstdint>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/digest.h"
#include "storage/entry.h"
#include "storage/file_system.h"
#include "storage/record.h"
#include "storage/snapshot_file.h"

namespace slipstream::storage {

// Makes a root of live entries: the Merkle tree's, of which storage knows nothing.
class EntryHasher {
 public:
  virtual ~EntryHasher() = default;
  // Adds a live entry. Called in key_id order.
  virtual void Add(const Entry& entry) = 0;
  // Returns the root of all that was added, and starts anew.
  virtual base::Digest Finish() = 0;
};

struct SnapshotContent {
  base::Digest root;
  uint64_t key_count = 0;        // Live.
  uint64_t tombstone_count = 0;  // Deleted keys that are remembered.
  Lsn last_lsn = 0;
  uint64_t damaged_count = 0;      // Stretches of the log that fail their checks,
  uint64_t lost_record_count = 0;  // and the records that they cost.
  std::string damage;              // The first of them in words; empty: none.
};

struct SnapshotReadOptions {
  // For entries, about 70 bytes each; the greatest shard of 256 is held whole in any case.
  uint64_t entry_bytes_max = 256 << 20;
};

// Is handed a record; an error ends the reading and is returned.
using OnSnapshotRecord = absl::FunctionRef<absl::Status(const RecordView& record)>;

// Reads the log in `directory`, which is or becomes a snapshot: every record is held against its
// checksum, every value against its digest. Damage that cost records is told, not an error.
// DATA_LOSS (SNAPSHOT_DAMAGED) if the files make no log, or a value has another digest; UNAVAILABLE
// (device).
absl::StatusOr<SnapshotContent> ReadSnapshot(FileSystem* fs, absl::string_view directory,
                                             const SnapshotReadOptions& options,
                                             EntryHasher& hasher);

// The same; also hands the current record of each key, tombstones and expired ones too, once to
// `use`, in no particular order.
absl::StatusOr<SnapshotContent> ReadSnapshot(FileSystem* fs, absl::string_view directory,
                                             const SnapshotReadOptions& options,
                                             EntryHasher& hasher, OnSnapshotRecord use);

// Returns what the file of the snapshot in `directory` says, if it, the directory's name, its files
// and their content agree. DATA_LOSS (SNAPSHOT_DAMAGED) naming what differs; NOT_FOUND if it is no
// snapshot; FAILED_PRECONDITION if it was never finished; others as ReadSnapshot.
absl::StatusOr<SnapshotFile> VerifySnapshot(FileSystem* fs, absl::string_view directory,
                                            const SnapshotReadOptions& options,
                                            EntryHasher& hasher);

// The first half of VerifySnapshot: all but the content.
absl::StatusOr<SnapshotFile> CheckSnapshotFiles(FileSystem* fs, absl::string_view directory);

// The second half: whether `content` is what `file`, both of the snapshot in `directory`, says.
// DATA_LOSS (SNAPSHOT_DAMAGED).
absl::Status CheckSnapshotContent(absl::string_view directory, const SnapshotFile& file,
                                  const SnapshotContent& content);

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_SNAPSHOT_READER_H_

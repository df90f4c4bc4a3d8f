// SaveSnapshot: writes a moment of an engine to a directory of its own, hard links where it can.
// What is in it, and in what order it is written: docs/storage_format.md, "Snapshot". Reading and
// verifying one: snapshot_reader.h; a data directory from one: snapshot_restore.h.
#ifndef SLIPSTREAM_STORAGE_SNAPSHOT_H_
#define SLIPSTREAM_STORAGE_SNAPSHOT_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "storage/file_system.h"
#include "storage/snapshot_file.h"
#include "storage/snapshot_reader.h"
#include "storage/snapshot_source.h"

namespace slipstream::storage {

struct SnapshotOptions {
  std::string node_name;
  absl::Time now;
  SnapshotReadOptions read;
};

struct SavedSnapshot {
  std::string path;
  SnapshotFile file;
  bool was_there = false;  // One with the same root; nothing was written.
};

// Saves `source` below `directory`, which is created if need be, as SnapshotDirectoryName of its
// root. What was written is read again for that: the name says what the files hold, not what they
// should. A crash leaves a directory whose name ends in kSnapshotPartialSuffix; an error removes
// it, as far as that is possible. One save of a node at a time. ALREADY_EXISTS if something else
// has the snapshot's name; DATA_LOSS (SNAPSHOT_DAMAGED) if the log has damage that the engine did
// not report when it was opened; others as the file system's.
absl::StatusOr<SavedSnapshot> SaveSnapshot(FileSystem* fs, const SnapshotSource& source,
                                           absl::string_view directory,
                                           const SnapshotOptions& options, EntryHasher& hasher);

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_SNAPSHOT_H_

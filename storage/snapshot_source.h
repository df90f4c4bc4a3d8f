// SnapshotSource: one moment of an engine, as files: what a snapshot is made from. What the files
// of a snapshot are, and why that is consistent: docs/storage_format.md, "Snapshot".
#ifndef SLIPSTREAM_STORAGE_SNAPSHOT_SOURCE_H_
#define SLIPSTREAM_STORAGE_SNAPSHOT_SOURCE_H_

#include <cstdint>
#include <string>

#include "absl/types/optional.h"
#include "base/version.h"
#include "storage/identity.h"
#include "storage/log_segment.h"
#include "storage/manifest.h"

namespace slipstream::storage {

// Holds the segments' files open, so that compaction may drop them meanwhile; the engine must
// outlive it.
struct SnapshotSource {
  std::string directory;  // The engine's.
  Identity identity;      // As Open wrote it.
  absl::optional<Manifest> manifest;
  LogCut log;
  base::Hlc last_hlc = 0;  // Not below that of any record in `log`.
  // What Open had to report of the log: the same is missing from a snapshot.
  uint64_t damaged_count = 0;
  uint64_t lost_record_count = 0;
};

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_SNAPSHOT_SOURCE_H_

// RestoreSnapshot: a new node's data directory from a snapshot.
#ifndef SLIPSTREAM_STORAGE_SNAPSHOT_RESTORE_H_
#define SLIPSTREAM_STORAGE_SNAPSHOT_RESTORE_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/random.h"
#include "base/version.h"
#include "storage/file_system.h"
#include "storage/snapshot_file.h"
#include "storage/snapshot_reader.h"

namespace slipstream::storage {

struct RestoredSnapshot {
  SnapshotFile file;     // The snapshot's.
  uint64_t node_id = 0;  // The new ones.
  base::ActorId actor{0};
};

// Verifies the snapshot in `snapshot` and writes its records to a store in `directory`, which must
// not be there or be empty, under a node_id and an actor that `rng` draws: every key, tombstones
// too, keeps its version. A crash leaves a directory whose name ends in kSnapshotPartialSuffix
// beside it. The root of what was written is compared too. ALREADY_EXISTS if `directory` holds
// anything; others as VerifySnapshot and Engine::Apply.
absl::StatusOr<RestoredSnapshot> RestoreSnapshot(FileSystem* fs, absl::string_view snapshot,
                                                 absl::string_view directory, base::Random* rng,
                                                 absl::Time now, EntryHasher& hasher);

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_SNAPSHOT_RESTORE_H_

// SnapshotSaver: saves snapshots of a running node for the operator: where they may be written, and
// one at a time. What they are: storage/snapshot.h. Knows no gRPC.
#ifndef SLIPSTREAM_NODE_SNAPSHOT_SAVER_H_
#define SLIPSTREAM_NODE_SNAPSHOT_SAVER_H_

#include <atomic>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "node/replica.h"
#include "storage/file_system.h"
#include "storage/snapshot.h"

namespace slipstream::node {

// Thread-safe.
class SnapshotSaver {
 public:
  // `fs` and `replica`, whose store is in `data_directory`, must outlive it.
  SnapshotSaver(storage::FileSystem* fs, Replica* replica, std::string data_directory)
      : fs_(fs), replica_(replica), data_directory_(std::move(data_directory)) {}

  // Saves a snapshot below `directory`, an absolute path, at the wall clock's time `now`. Reads the
  // whole log, on the caller's thread, with a 16th of the memory limit for it; writes go on
  // meanwhile. INVALID_ARGUMENT (SNAPSHOT_PATH) if
  // the path is not absolute or leads into the data directory; FAILED_PRECONDITION (SNAPSHOT_BUSY)
  // while another one is being saved; others as Engine::PinSnapshot and SaveSnapshot.
  absl::StatusOr<storage::SavedSnapshot> Save(absl::string_view directory, absl::Time now);

 private:
  storage::FileSystem* const fs_;
  Replica* const replica_;
  const std::string data_directory_;
  std::atomic<bool> is_busy_{false};
};

}  // namespace slipstream::node

#endif  // SLIPSTREAM_NODE_SNAPSHOT_SAVER_H_

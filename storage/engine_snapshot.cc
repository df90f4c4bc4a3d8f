// The engine's side of a snapshot: one moment of the store.

#include <utility>

#include "base/status_macros.h"
#include "storage/engine_impl.h"

namespace slipstream::storage {

// The log up to the end of a frame is what a crash at that moment would leave, so it is as
// consistent as recovery is: no lock of a shard is needed. Only what compaction has dropped by then
// must fit: the lock keeps the manifest and the segments together.
absl::StatusOr<SnapshotSource> Engine::Impl::PinSnapshot() {
  absl::MutexLock lock(&maintain_mutex_);
  SnapshotSource source{.directory = directory_, .identity = identity_};
  absl::StatusOr<Manifest> manifest = ReadManifest(fs_, directory_);
  if (manifest.ok()) {
    source.manifest = *std::move(manifest);
  } else if (!absl::IsNotFound(manifest.status())) {
    return manifest.status();
  }
  SLIP_ASSIGN_OR_RETURN(source.log, log_->Cut());
  // After the cut: every record in it has been given its version.
  source.last_hlc = clock_.last();
  source.damaged_count = report_.damaged.size();
  for (const DamagedRange& range : report_.damaged) {
    source.lost_record_count += range.lost_count();
  }
  return source;
}

}  // namespace slipstream::storage

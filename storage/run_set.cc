#include "storage/run_set.h"

#include <memory>

#include "base/check.h"
#include "base/status_macros.h"

namespace slipstream::storage {

RunSet::RunSet(Runs runs) : runs_(std::move(runs)) { SLIP_CHECK(runs_.size() <= kRunsMax); }

bool RunSet::MayContain(const base::KeyId& key_id) const {
  for (const std::shared_ptr<const SortedRun>& run : runs_) {
    if (run->MayContain(key_id)) return true;
  }
  return false;
}

absl::StatusOr<absl::optional<RunEntry>> RunSet::Find(const base::KeyId& key_id) const {
  for (const std::shared_ptr<const SortedRun>& run : runs_) {
    SLIP_ASSIGN_OR_RETURN(absl::optional<RunEntry> found, run->Find(key_id));
    if (found) return found;
  }
  return absl::nullopt;
}

absl::StatusOr<bool> RunSet::VisitRange(const base::KeyRange& range,
                                        absl::FunctionRef<bool(const RunEntry&)> visit) const {
  RunMergeCursor cursor(runs_, range);
  while (true) {
    SLIP_RETURN_IF_ERROR(cursor.Next());
    if (!cursor.valid()) return true;
    if (!visit(cursor.entries().front())) return false;
  }
}

uint64_t RunSet::entry_count() const {
  uint64_t count = 0;
  for (const std::shared_ptr<const SortedRun>& run : runs_) count += run->entry_count();
  return count;
}

uint64_t RunSet::file_bytes() const {
  uint64_t bytes = 0;
  for (const std::shared_ptr<const SortedRun>& run : runs_) bytes += run->file_bytes();
  return bytes;
}

uint64_t RunSet::memory_bytes() const {
  uint64_t bytes = sizeof(*this) + runs_.capacity() * sizeof(runs_[0]);
  for (const std::shared_ptr<const SortedRun>& run : runs_) bytes += run->memory_bytes();
  return bytes;
}

}  // namespace slipstream::storage

// RunSet: the runs of the Sorted Log as one map from key_id to entry.
//
// It is what the KeyDir does not hold in memory. Which keys are hot, and that a hot entry hides a
// cold one, is not known here.
#ifndef SLIPSTREAM_STORAGE_RUN_SET_H_
#define SLIPSTREAM_STORAGE_RUN_SET_H_

#include <cstdint>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/types/optional.h"
#include "base/key_id.h"
#include "storage/run_format.h"
#include "storage/run_merge_cursor.h"

namespace slipstream::storage {

// An immutable list: a spill or a merge makes another one. The newer of two runs must hold the
// newer version of a key, or the same. Thread-safe.
class RunSet {
 public:
  // `runs` newest first, at most kRunsMax.
  explicit RunSet(Runs runs);

  // Returns false only if no run has an entry of `key_id`. Reads nothing from disk.
  bool MayContain(const base::KeyId& key_id) const;

  // Returns the newest entry of `key_id`, nullopt if there is none. Reads one page for a key that
  // is there and none for one that is not, but for false positives of the filters. DATA_LOSS, with
  // path and page, if a page fails its checks; UNAVAILABLE if the device does.
  absl::StatusOr<absl::optional<RunEntry>> Find(const base::KeyId& key_id) const;

  // Calls `visit` for the newest entry of each key of `range`, in key_id order, tombstones and
  // damaged ones too, until it returns false; returns whether it never did. Fails as Find does, and
  // with DATA_LOSS if an older run holds a newer version.
  absl::StatusOr<bool> VisitRange(const base::KeyRange& range,
                                  absl::FunctionRef<bool(const RunEntry&)> visit) const;

  const Runs& runs() const { return runs_; }
  // Of all runs in sum: a key counts once for each run that has it.
  uint64_t entry_count() const;
  uint64_t file_bytes() const;
  uint64_t memory_bytes() const;

 private:
  const Runs runs_;
};

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_RUN_SET_H_

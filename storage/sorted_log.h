// SortedLog: which runs are in force.
//
// The list changes as a whole, when a checkpoint adds a run or a merge replaces some. Whoever read
// a list and then takes a lock compares generations to learn whether it is still in force.
#ifndef SLIPSTREAM_STORAGE_SORTED_LOG_H_
#define SLIPSTREAM_STORAGE_SORTED_LOG_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "storage/run_merge_cursor.h"
#include "storage/run_set.h"

namespace slipstream::storage {

// Thread-safe. A leaf among the locks.
class SortedLog {
 public:
  struct View {
    std::shared_ptr<const RunSet> runs;  // Never null.
    uint64_t generation = 0;
  };

  SortedLog();

  View view() const ABSL_LOCKS_EXCLUDED(mutex_);
  uint64_t generation() const ABSL_LOCKS_EXCLUDED(mutex_);

  // Puts `runs`, newest first, in force.
  void Replace(Runs runs) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  mutable absl::Mutex mutex_;
  View view_ ABSL_GUARDED_BY(mutex_);
};

// With as many runs, some are merged whatever their sizes are: each costs an absent key a filter
// look-up and a short scan a page.
inline constexpr size_t kRunsTooMany = 12;

// Returns how many of the newest runs should be merged into one; 0: none. `run_bytes` are the
// lengths of all runs, newest first. Size-tiered: runs of about one size become one, so that an
// entry is rewritten a logarithmic number of times and there are about as many runs.
size_t RunsToMerge(const std::vector<uint64_t>& run_bytes);
// The same when there is nothing else to do: all, unless the newer ones are too small to be worth
// writing the oldest anew.
size_t RunsToMergeWhenIdle(const std::vector<uint64_t>& run_bytes);

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_SORTED_LOG_H_

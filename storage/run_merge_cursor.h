// RunMergeCursor: walks several runs at once, key by key.
#ifndef SLIPSTREAM_STORAGE_RUN_MERGE_CURSOR_H_
#define SLIPSTREAM_STORAGE_RUN_MERGE_CURSOR_H_

#include <cstddef>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "base/key_id.h"
#include "storage/run_cursor.h"
#include "storage/run_format.h"
#include "storage/run_reader.h"

namespace slipstream::storage {

// A list of runs, newest first. Shared, as a reader may still hold a list whose runs a newer one
// has replaced.
using Runs = std::vector<std::shared_ptr<const SortedRun>>;

// Runs that can be read as one. Few, as each may cost an absent key a filter look-up.
inline constexpr size_t kRunsMax = 64;

// Starts before the first key. The newer of two runs must hold the newer version of a key, or the
// same: what was written later was spilled later. Not thread-safe.
class RunMergeCursor {
 public:
  // Walks what `runs`, at most kRunsMax, have of `range`.
  RunMergeCursor(Runs runs, const base::KeyRange& range);

  // Moves to the next key; to the first one at the start. DATA_LOSS if a page fails its checks, or
  // an older run holds a newer version; UNAVAILABLE if the device fails.
  absl::Status Next();

  // Whether the cursor stands on a key: not at the start, at the end or after an error.
  bool valid() const { return !entries_.empty(); }
  // The entries of the key, newest first, valid until Next.
  absl::Span<const RunEntry> entries() const { return entries_; }

 private:
  absl::Status Advance();
  absl::Status CheckVersions(absl::Span<const size_t> holders) const;

  const Runs runs_;
  std::vector<RunCursor> cursors_;  // One for each run.
  std::vector<size_t> holders_;     // The cursors that stand on the key.
  std::vector<RunEntry> entries_;   // Theirs.
  absl::Status status_;
};

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_RUN_MERGE_CURSOR_H_

// RunMerge: makes one run out of several, in steps of bounded work.
//
// Whoever merges learns of each key's entries and so can settle what a blind write left open: which
// bytes of the log are dead. The way of a merge and what a crash leaves: docs/sorted_log.md.
#ifndef SLIPSTREAM_STORAGE_RUN_MERGE_H_
#define SLIPSTREAM_STORAGE_RUN_MERGE_H_

#include <cstddef>
#include <memory>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "storage/file_system.h"
#include "storage/run_format.h"
#include "storage/run_merge_cursor.h"
#include "storage/run_writer.h"

namespace slipstream::storage {

// Returns what the entries of one key, newest first and not empty, become in a merged run: the
// newest, which now shadows what the oldest of them did.
RunEntry MergedEntry(absl::Span<const RunEntry> newest_first);

// After an error every later call returns it again, and the unfinished file is removed if that is
// possible. Not thread-safe.
class RunMerge {
 public:
  enum class Verdict { kKeep, kDrop };
  // Called once for each key, in order, with its entries from the newest to the oldest. Entry i + 1
  // is dead since entry i; its record is yet to be counted as dead unless entry i says
  // shadow_counted. kDrop leaves the key out of the merged run: a tombstone that is needed no more,
  // where no older run is left out of the merge. What was settled counts when the merge is
  // finished; if it fails, the old runs and their open accounts stay.
  using Settle = absl::FunctionRef<Verdict(absl::Span<const RunEntry> newest_first)>;

  // Starts a merge of `runs`, newest first, at most kRunsMax, each the next older one of the one
  // before it, into run `options.run_number`. `fs` must outlive the merge.
  static absl::StatusOr<std::unique_ptr<RunMerge>> Create(FileSystem* fs,
                                                          absl::string_view directory, Runs runs,
                                                          const RunWriterOptions& options);

  // Reads, or writes of fences and filter, about `bytes` bytes, at least one key or one write;
  // returns whether there is more to do. When it returns false, the merged run is durable under its
  // name. Fails as RunMergeCursor::Next and RunWriter do.
  absl::StatusOr<bool> Step(size_t bytes, Settle settle);

  // Removes the unfinished file, if it can. Every later call fails. Not after the last step.
  void Abandon() { writer_->Abandon(); }

  // Of the merged run's fences and filter.
  uint64_t memory_bytes() const { return writer_->memory_bytes(); }

  // Of what was merged so far.
  RunSummary summary() const { return writer_->summary(); }

 private:
  RunMerge(Runs runs, std::unique_ptr<RunWriter> writer);

  // Merges; returns whether there is more to read.
  absl::StatusOr<bool> MergeSome(size_t bytes, Settle settle);

  RunMergeCursor cursor_;
  const std::unique_ptr<RunWriter> writer_;
  bool all_read_ = false;
  absl::Status status_;
};

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_RUN_MERGE_H_

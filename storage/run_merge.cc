#include "storage/run_merge.h"

#include "base/check.h"
#include "base/key_id.h"
#include "base/status_macros.h"

namespace slipstream::storage {

RunEntry MergedEntry(absl::Span<const RunEntry> newest_first) {
  SLIP_CHECK(!newest_first.empty());
  RunEntry merged = newest_first.front();
  merged.shadow_counted = newest_first.back().shadow_counted;
  return merged;
}

RunMerge::RunMerge(Runs runs, std::unique_ptr<RunWriter> writer)
    : cursor_(std::move(runs), base::RangeOf(base::KeyPrefix{})), writer_(std::move(writer)) {}

absl::StatusOr<std::unique_ptr<RunMerge>> RunMerge::Create(FileSystem* fs,
                                                           absl::string_view directory, Runs runs,
                                                           const RunWriterOptions& options) {
  SLIP_ASSIGN_OR_RETURN(std::unique_ptr<RunWriter> writer,
                        RunWriter::Create(fs, directory, options));
  return std::unique_ptr<RunMerge>(new RunMerge(std::move(runs), std::move(writer)));
}

absl::StatusOr<bool> RunMerge::Step(size_t bytes, Settle settle) {
  if (!status_.ok()) return status_;
  if (all_read_) return writer_->FinishSome(bytes);
  absl::StatusOr<bool> more = MergeSome(bytes, settle);
  if (!more.ok()) {
    status_ = more.status();
    writer_->Abandon();
    return status_;
  }
  all_read_ = !*more;
  return true;
}

absl::StatusOr<bool> RunMerge::MergeSome(size_t bytes, Settle settle) {
  size_t merged_bytes = 0;
  do {
    SLIP_RETURN_IF_ERROR(cursor_.Next());
    if (!cursor_.valid()) return false;
    merged_bytes += cursor_.entries().size() * kRunEntryBytes;
    if (settle(cursor_.entries()) == Verdict::kDrop) continue;
    SLIP_RETURN_IF_ERROR(writer_->Add(MergedEntry(cursor_.entries())));
  } while (merged_bytes < bytes);
  return true;
}

}  // namespace slipstream::storage

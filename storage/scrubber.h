// Scrubber: reads what nobody asks for, so that damage is found while replicas can still heal it.
//
// It walks the sealed segments, oldest first, then the pages of the runs, and starts again, one
// bounded step at a time. Where a segment fails its checks, it asks the engine to read each record
// of a current entry that stands there, as a read does; that of nobody is only counted. What is
// current, and what happens to a key whose record is damaged, is the engine's to say. Who calls how
// often decides the pace. docs/storage_format.md, "Scrubbing".
#ifndef SLIPSTREAM_STORAGE_SCRUBBER_H_
#define SLIPSTREAM_STORAGE_SCRUBBER_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/optional.h"
#include "base/key_id.h"
#include "storage/file_system.h"
#include "storage/keydir_shard.h"
#include "storage/log.h"
#include "storage/log_segment.h"
#include "storage/record.h"
#include "storage/run_reader.h"
#include "storage/scrub_progress.h"
#include "storage/segment_reader.h"
#include "storage/sorted_log.h"

namespace slipstream::storage {

// Thread-safe.
class Scrubber {
 public:
  // What the engine does for scrubbing. Called from Step alone, under no lock but its own.
  class Records {
   public:
    // Returns false if `record`, which stands at `location`, should be the current one of its key,
    // as memory knows without a look at the disk, and is not.
    virtual bool Agrees(const RecordView& record, const Location& location) = 0;
    // Calls `visit` for some entries from `first` on, damaged ones too, in memory or not; returns
    // where to go on, nullopt after the last. `visit` must be short.
    virtual absl::StatusOr<absl::optional<base::KeyId>> VisitFrom(
        const base::KeyId& first, absl::FunctionRef<void(const LocatedEntry&)> visit) = 0;
    // Reads the current record of `key_id`, wherever it stands, and quarantines the key if it fails
    // any check; returns whether it did. Other errors as Engine::GetRecord.
    virtual absl::StatusOr<bool> Examine(const base::KeyId& key_id) = 0;
    // A run in force cannot be read, or fails its checks. Returns why the engine stops.
    virtual absl::Status OnRunFailed(const absl::Status& cause) = 0;

   protected:
    ~Records() = default;
  };

  // `log`, `sorted_log` and `records` must outlive this.
  Scrubber(uint64_t step_bytes, const Log* log, const SortedLog* sorted_log, Records* records);
  Scrubber(const Scrubber&) = delete;
  Scrubber& operator=(const Scrubber&) = delete;

  // One bounded step: reads about `step_bytes`, or one frame if that is longer. A device that does
  // not give a segment's bytes is not damage: its error is returned, and the next step goes on with
  // the next segment.
  absl::StatusOr<ScrubProgress> Step() ABSL_LOCKS_EXCLUDED(mutex_);

  ScrubStats stats() const;

 private:
  enum class Stage { kSegments, kEntries, kRuns };
  // A half-open interval of offsets.
  struct Stretch {
    uint64_t begin = 0;
    uint64_t end = 0;
  };

  absl::Status StepSegments(ScrubProgress& progress) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status TakeUpSegment(ScrubProgress& progress) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<bool> CheckNext(SegmentReader& reader) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status CheckHeader(const File& file, const SealedSegment& segment)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void NoteDamage(const Stretch& stretch, absl::string_view cause)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status StepEntries(ScrubProgress& progress) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool IsSuspect(const LocatedEntry& located) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status ExamineSome(ScrubProgress& progress) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void EndSegment(ScrubProgress& progress) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status StepRuns(ScrubProgress& progress) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::shared_ptr<const SortedRun> NextRun() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool IsInForce(const SortedRun& run) const;
  absl::Status CheckPages(size_t page_count) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void EndPass(ScrubProgress& progress) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const uint64_t step_bytes_;
  const Log* const log_;
  const SortedLog* const sorted_log_;
  Records* const records_;

  // One step at a time; held during its I/O.
  absl::Mutex mutex_;
  Stage stage_ ABSL_GUARDED_BY(mutex_) = Stage::kSegments;
  // Of places where damage was found, the first byte: each is news once.
  std::set<Location> known_ ABSL_GUARDED_BY(mutex_);

  // Of the segment taken up last.
  uint64_t segment_number_ ABSL_GUARDED_BY(mutex_) = 0;  // 0: none in this pass.
  // What becomes full later is for the next pass: else writers could keep this one from ending.
  absl::optional<uint64_t> segment_number_last_ ABSL_GUARDED_BY(mutex_);
  absl::optional<SegmentReader> reader_ ABSL_GUARDED_BY(mutex_);
  std::vector<Stretch> damaged_ ABSL_GUARDED_BY(mutex_);  // Ascending; may hold good bytes, too.
  ScrubFinding finding_ ABSL_GUARDED_BY(mutex_);
  // The walk over the entries, for those whose record stands in `damaged_`.
  base::KeyId next_key_id_ ABSL_GUARDED_BY(mutex_);
  bool visited_all_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<base::KeyId> suspects_ ABSL_GUARDED_BY(mutex_);  // Found, not examined yet.

  // Of the run taken up last.
  uint64_t run_number_ ABSL_GUARDED_BY(mutex_) = 0;       // 0: none in this pass.
  uint64_t run_number_last_ ABSL_GUARDED_BY(mutex_) = 0;  // Newer ones are for the next pass.
  std::shared_ptr<const SortedRun> run_ ABSL_GUARDED_BY(mutex_);  // Held open; null between runs.
  uint64_t next_page_ ABSL_GUARDED_BY(mutex_) = 0;

  std::atomic<uint64_t> scrubbed_bytes_{0};
  std::atomic<uint64_t> pass_count_{0};
  std::atomic<uint64_t> damaged_count_{0};
  std::atomic<uint64_t> damaged_key_count_{0};
};

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_SCRUBBER_H_

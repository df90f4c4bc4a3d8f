// Compactor: gets back the space of records that were replaced, one segment at a time.
//
// It copies what is current in the worst segment to the end of the log, notes in the manifest that
// the segment is dropped, and removes its file; the order of these steps, and what a crash between
// them leaves: docs/storage_format.md, "Compaction". Which record is current, and how its copy
// comes into use, is the engine's to say.
#ifndef SLIPSTREAM_STORAGE_COMPACTOR_H_
#define SLIPSTREAM_STORAGE_COMPACTOR_H_

#include <atomic>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/optional.h"
#include "storage/file_system.h"
#include "storage/keydir_shard.h"
#include "storage/log.h"
#include "storage/log_segment.h"
#include "storage/manifest.h"
#include "storage/record.h"
#include "storage/segment_reader.h"
#include "storage/segment_table.h"

namespace slipstream::storage {

struct CompactorOptions {
  double dead_share = 0;    // As Options::compaction_dead_share.
  uint64_t step_bytes = 0;  // As Options::compaction_step_bytes.
};

struct CompactionStats {
  uint64_t dead_bytes = 0;  // Of sealed segments: all bytes that are no current record's.
  uint64_t debt_bytes = 0;  // Of those, more than the dead share allows: to be freed.
  uint64_t compacted_segment_count = 0;  // In this life.
  uint64_t failed_segment_count = 0;     // Not compacted, as they fail their checks.
};

// Thread-safe.
class Compactor {
 public:
  // What the engine does for compaction. Called from Step alone, under no lock of the log.
  class Records {
   public:
    // If `record`, which stands at `from`, is the current one of its key: appends a copy of it and
    // makes that the current one. Returns whether it was. DATA_LOSS if it is current but known to
    // be damaged; FAILED_PRECONDITION if no segment can hold it; others as Log::EnsureRoom.
    virtual absl::StatusOr<bool> MoveIfCurrent(const RecordView& record, const Location& from) = 0;
    // Appends a copy of `record`, the Commit of a streamed transaction that stands at `from`, if
    // one of its records may still need it elsewhere. DATA_LOSS if it says what no writer writes;
    // others as Log::EnsureRoom.
    virtual absl::Status MoveCommit(const RecordView& record, const Location& from) = 0;
    // Whether a full segment holds records of a transaction that may still commit.
    virtual bool IsPinned(uint64_t segment_number) = 0;
    // Whether it takes reads to tell which records are current, so that to look for many at once
    // pays.
    virtual bool MustSearch() = 0;
    // Notes a record that MoveIfCurrent will be asked for, if it takes reads to tell whether it is
    // current. In log order. Returns false, noting nothing, if there is room for no more.
    virtual bool Note(const RecordView& record, const Location& from) = 0;
    // Finds out about some of what was noted, reading about `read_bytes_max`; returns whether there
    // is more to find out. An error is the engine's last.
    virtual absl::StatusOr<bool> SearchSome(uint64_t read_bytes_max) = 0;
    // Forgets what was noted and found out.
    virtual void ForgetNotes() = 0;
    // Returns a manifest without gaps that says what was given so far.
    virtual Manifest Floor() = 0;

   protected:
    ~Records() = default;
  };

  // All must outlive this, and the table be up to date. `gaps` are those of the manifest on disk.
  Compactor(FileSystem* fs, absl::string_view directory, const CompactorOptions& options, Log* log,
            SegmentTable* table, Records* records, std::vector<SegmentGap> gaps);
  Compactor(const Compactor&) = delete;
  Compactor& operator=(const Compactor&) = delete;

  // kAtRest: nobody else wants the device, so that a smaller dead share is worth copying for.
  enum class Effort : uint8_t { kBusy, kAtRest };

  // One bounded step: copies some, or drops a segment. Returns whether there may be more to do now.
  // RESOURCE_EXHAUSTED if there is no space to go on, UNAVAILABLE: the next call tries again,
  // unless the log has failed.
  absl::StatusOr<bool> Step(Effort effort) ABSL_LOCKS_EXCLUDED(mutex_);

  // Whether a segment is being compacted.
  bool is_busy() const ABSL_LOCKS_EXCLUDED(mutex_);

  CompactionStats stats() const;

 private:
  struct Usage;

  Usage UsageOf(const SealedSegment& segment) const;
  absl::optional<SealedSegment> Pick(Effort effort) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status MakeSpare() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Take(const SealedSegment& segment) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<bool> Advance() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void NoteSome() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<bool> CopySome() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<bool> Move(const LocatedRecord& located) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Drop() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Decide(const Manifest& manifest) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  uint64_t LiveBytes(const SealedSegment& segment) const;
  void GiveUp() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Release() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  FileSystem* const fs_;
  const std::string directory_;
  const CompactorOptions options_;
  Log* const log_;
  SegmentTable* const table_;
  Records* const records_;

  // One step at a time; held during its I/O.
  mutable absl::Mutex mutex_;
  std::vector<SegmentGap> gaps_ ABSL_GUARDED_BY(mutex_);
  bool has_spare_ ABSL_GUARDED_BY(mutex_) = false;
  absl::optional<SegmentReader> victim_ ABSL_GUARDED_BY(mutex_);  // Being copied, or copied.
  // Goes before it, in bounds, to note what the runs are to be searched for.
  absl::optional<SegmentReader> scout_ ABSL_GUARDED_BY(mutex_);
  enum class Stage { kNote, kSearch, kCopy } stage_ ABSL_GUARDED_BY(mutex_) = Stage::kCopy;
  uint64_t noted_end_ ABSL_GUARDED_BY(mutex_) = 0;     // Where the first record stands that is not.
  uint64_t seen_bytes_ ABSL_GUARDED_BY(mutex_) = 0;    // Of the victim's records: moved, or dead.
  std::set<uint64_t> failed_ ABSL_GUARDED_BY(mutex_);  // Numbers of segments.

  std::atomic<uint64_t> compacted_segment_count_{0};
  std::atomic<uint64_t> failed_segment_count_{0};
};

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_COMPACTOR_H_

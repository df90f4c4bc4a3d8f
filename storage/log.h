// Log: the append-only sequence of frames that is the node's single source of truth.
//
// Appending copies into the open frame and does no I/O; flushing writes the frames that were
// sealed, one write each, and syncs; group commit follows: while some frames are on their way the
// next one fills. Space is made ahead of need. What the bytes mean after a crash: log_recovery.h.
//
//   EnsureRoom   may do I/O; holds no lock that a reader or an appender needs
//   TryAppend    under the caller's stripe locks and mutex_: memory only
//   Flush, Cut   under flush_mutex_, let go while a frame is written, so that threads that flush
//                keep several in flight; take mutex_ only to pick up and hand back frames
#ifndef SLIPSTREAM_STORAGE_LOG_H_
#define SLIPSTREAM_STORAGE_LOG_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/optional.h"
#include "absl/types/span.h"
#include "base/random.h"
#include "storage/entry.h"
#include "storage/file_system.h"
#include "storage/frame_plan.h"
#include "storage/keydir_shard.h"
#include "storage/log_bytes.h"
#include "storage/log_frame.h"
#include "storage/log_options.h"
#include "storage/log_read.h"
#include "storage/log_segment.h"
#include "storage/pending_record.h"
#include "storage/segment.h"

namespace slipstream::storage {

// Thread-safe.
class Log {
 public:
  // `fs` must outlive the log; `rng` gives incarnations.
  Log(FileSystem* fs, absl::string_view directory, const LogOptions& options, base::Random rng,
      LogTail tail);
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  // The largest payload that one TryAppend can take.
  uint64_t payload_bytes_max() const;

  // Makes TryAppend of `payload_bytes` likely to succeed: prepares a segment or flushes, if need
  // be. RESOURCE_EXHAUSTED if there is no space (a try that failed is repeated at every 64th call,
  // and by Maintain), UNAVAILABLE (ENGINE_FAILED).
  absl::Status EnsureRoom(uint64_t payload_bytes, AppendPurpose purpose = AppendPurpose::kWrite)
      ABSL_LOCKS_EXCLUDED(flush_mutex_, prepare_mutex_, mutex_);

  // Appends `records` next to each other in one frame, sets their locations, and returns the LSN of
  // the last. No I/O, no waiting. 0 if room has to be ensured again (nothing was appended);
  // UNAVAILABLE (ENGINE_FAILED).
  absl::StatusOr<Lsn> TryAppend(absl::Span<PendingRecord> records,
                                AppendPurpose purpose = AppendPurpose::kWrite)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // The same for a transaction of any size whose Commit comes last: it takes as many new frames and
  // segments as it needs, and is appended whole or not at all.
  absl::Status EnsureRoomSpanning(absl::Span<const PendingRecord> records)
      ABSL_LOCKS_EXCLUDED(flush_mutex_, prepare_mutex_, mutex_);
  absl::StatusOr<Lsn> TryAppendSpanning(absl::Span<PendingRecord> records)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // Returns the `count` bytes (not 0) at `location`, which must lie in one appended record: from
  // memory, or by one read of exactly the pages that they touch. NOT_FOUND if its segment was
  // dropped; others as File::Read.
  absl::StatusOr<LogBytes> Read(const Location& location, size_t count) const
      ABSL_LOCKS_EXCLUDED(mutex_, segments_mutex_);

  // The first half of Read. Errors likewise.
  absl::StatusOr<StartedLogRead> StartRead(const Location& location, size_t count) const
      ABSL_LOCKS_EXCLUDED(mutex_, segments_mutex_);

  enum class Reuse { kNo, kYes };  // Of a file that is no longer needed.
  enum class Mode { kWrite, kSync };
  // Writes what was appended before the call and, with kSync, syncs; returns durable_lsn(). After
  // an error the log has failed for good.
  absl::StatusOr<Lsn> Flush(Mode mode) ABSL_LOCKS_EXCLUDED(flush_mutex_, mutex_);

  // Flushes with kSync and returns the log as it is then: records up to last_lsn, no later ones.
  absl::StatusOr<LogCut> Cut() ABSL_LOCKS_EXCLUDED(flush_mutex_, mutex_, segments_mutex_);

  // Returns a place before which all records stand so far, and no later one.
  Location append_position() const ABSL_LOCKS_EXCLUDED(mutex_);

  // Flushes with kSync and writes a witness, unless there is one or the log is not idle.
  absl::Status WriteWitness() ABSL_LOCKS_EXCLUDED(flush_mutex_, mutex_);

  // Returns the segments that take no more frames and are durable, ascending.
  std::vector<SealedSegment> SealedSegments() const ABSL_LOCKS_EXCLUDED(segments_mutex_);

  // Returns the file of a segment in use, for reading; null if it was dropped.
  std::shared_ptr<const File> FindFile(uint64_t segment_number) const
      ABSL_LOCKS_EXCLUDED(segments_mutex_);

  // Gives up a sealed segment that the manifest says is dropped. Its file becomes a prepared one if
  // that is wanted and nobody else has it; else it is removed. After an error the next Open does.
  absl::Status DropSegment(uint64_t segment_number, Reuse reuse)
      ABSL_LOCKS_EXCLUDED(flush_mutex_, prepare_mutex_, mutex_, segments_mutex_);

  // Whether the last try to prepare a segment found the disk full, and nothing was freed since.
  bool is_out_of_space() const ABSL_LOCKS_EXCLUDED(prepare_mutex_);

  // Stops the log for good, unless it has failed already; returns status().
  absl::Status Fail(const absl::Status& cause) ABSL_LOCKS_EXCLUDED(mutex_);

  // See Engine::Maintain.
  absl::StatusOr<bool> Maintain() ABSL_LOCKS_EXCLUDED(flush_mutex_, prepare_mutex_, mutex_);

  Lsn appended_lsn() const { return appended_lsn_.load(std::memory_order_acquire); }
  Lsn durable_lsn() const { return durable_lsn_.load(std::memory_order_acquire); }
  bool IsDurable(const Location& location) const;
  absl::Status status() const ABSL_LOCKS_EXCLUDED(mutex_);
  LogStats stats() const ABSL_LOCKS_EXCLUDED(mutex_, segments_mutex_);

 private:
  // A frame that is being written. They end in any order, and count in the order of the log.
  struct FrameInFlight {
    bool is_durable_when_done = false;  // With all before it, as none of that waits to be synced.
    bool is_done = false;
  };
  enum class Place { kOpenFrame, kSameSegment, kNextSegment, kNone };

  // Appending; log.cc.
  Place PlaceFor(uint64_t payload_bytes, AppendPurpose purpose) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool MayAppendAt(uint64_t offset, AppendPurpose purpose) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void CountAppended(Segment& segment, uint64_t record_bytes, AppendPurpose purpose);
  LogFrame* FrameFor(uint64_t payload_bytes, AppendPurpose purpose)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void StartFrame(uint64_t payload_bytes, Lsn first_lsn) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  static void CopyInto(LogFrame& frame, absl::Span<PendingRecord> records);
  void NoteActivated(Segment& segment, const SegmentHeader& header)
      ABSL_LOCKS_EXCLUDED(segments_mutex_);
  void SealOpenFrame() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void UseNextSegment() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool ReadFromFrames(const Location& location, size_t count, char* destination) const
      ABSL_LOCKS_EXCLUDED(mutex_);
  enum class Retry { kNow, kSometimes };
  absl::Status PrepareSegment(Retry retry, size_t count = 1)
      ABSL_LOCKS_EXCLUDED(prepare_mutex_, mutex_);
  bool HasPreparedEnough(size_t count = 1) const ABSL_LOCKS_EXCLUDED(mutex_);
  // Recycling; log_segments.cc.
  absl::StatusOr<bool> Recycle(const std::shared_ptr<Segment>& segment)
      ABSL_LOCKS_EXCLUDED(flush_mutex_, prepare_mutex_, mutex_);
  bool CanRecycle(const std::shared_ptr<Segment>& segment) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(prepare_mutex_);
  absl::StatusOr<bool> RemoveSpare() ABSL_LOCKS_EXCLUDED(prepare_mutex_, mutex_);

  // Appending more than a frame; log_spanning.cc.
  FramePlan PlanSpanning(absl::Span<const PendingRecord> records) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // Flushing; log_flush.cc. Those that wait, or write a frame, let go of flush_mutex_ meanwhile.
  absl::Status FlushUpTo(Lsn target, Mode mode) ABSL_EXCLUSIVE_LOCKS_REQUIRED(flush_mutex_);
  absl::Status FlushAll() ABSL_EXCLUSIVE_LOCKS_REQUIRED(flush_mutex_);
  absl::Status WriteWitnessLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(flush_mutex_);
  absl::StatusOr<LogFrame*> NextToWrite() ABSL_EXCLUSIVE_LOCKS_REQUIRED(flush_mutex_);
  absl::Status WriteFrame(LogFrame& frame, Mode mode) ABSL_EXCLUSIVE_LOCKS_REQUIRED(flush_mutex_);
  void NoteDone(FrameInFlight& flight) ABSL_EXCLUSIVE_LOCKS_REQUIRED(flush_mutex_);
  void TakeBack(const FrameInFlight& flight) ABSL_EXCLUSIVE_LOCKS_REQUIRED(flush_mutex_);
  void AwaitQuiet() ABSL_EXCLUSIVE_LOCKS_REQUIRED(flush_mutex_);
  bool IsQuiet() const ABSL_SHARED_LOCKS_REQUIRED(flush_mutex_) { return in_flight_.empty(); }
  bool MayStartWrite() const ABSL_SHARED_LOCKS_REQUIRED(flush_mutex_);
  absl::Status Activate(Segment* segment, Lsn first_lsn)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(flush_mutex_);
  absl::Status SyncWritten() ABSL_EXCLUSIVE_LOCKS_REQUIRED(flush_mutex_);
  void NoteDurable() ABSL_EXCLUSIVE_LOCKS_REQUIRED(flush_mutex_);

  // Constant after construction.
  FileSystem* const fs_;
  const std::string directory_;
  const LogOptions options_;

  // One preparation at a time.
  mutable absl::Mutex prepare_mutex_ ABSL_ACQUIRED_BEFORE(mutex_);
  uint64_t next_segment_number_ ABSL_GUARDED_BY(prepare_mutex_);
  absl::Status no_space_ ABSL_GUARDED_BY(prepare_mutex_);  // Why the last preparation failed.
  uint64_t no_space_call_count_ ABSL_GUARDED_BY(prepare_mutex_) = 0;

  // What the next frame is written with. Held during all writing to segments in use but that.
  absl::Mutex flush_mutex_ ABSL_ACQUIRED_BEFORE(mutex_);
  base::Random rng_ ABSL_GUARDED_BY(flush_mutex_);
  Segment* write_segment_ ABSL_GUARDED_BY(flush_mutex_) = nullptr;  // Null: activate one first.
  uint64_t write_segment_number_ ABSL_GUARDED_BY(flush_mutex_);     // The last one activated.
  uint64_t write_incarnation_ ABSL_GUARDED_BY(flush_mutex_);
  uint64_t write_offset_ ABSL_GUARDED_BY(flush_mutex_);
  uint64_t frame_number_ ABSL_GUARDED_BY(flush_mutex_);
  uint32_t header_crc32c_ ABSL_GUARDED_BY(flush_mutex_);
  Lsn started_lsn_ ABSL_GUARDED_BY(flush_mutex_);  // As of the last frame whose write was started.
  // Of the first of sealed_frames_, in order. The oldest is not done.
  std::deque<FrameInFlight> in_flight_ ABSL_GUARDED_BY(flush_mutex_);
  // Who waits until no frame is in flight; no further one is started meanwhile.
  size_t quiet_wanted_count_ ABSL_GUARDED_BY(flush_mutex_) = 0;
  Lsn written_lsn_ ABSL_GUARDED_BY(flush_mutex_);
  // As of the last frame written that is not undecided: a crash may take back those behind.
  Lsn decided_lsn_ ABSL_GUARDED_BY(flush_mutex_);
  uint64_t decided_position_ ABSL_GUARDED_BY(flush_mutex_);
  Lsn witnessed_lsn_ ABSL_GUARDED_BY(flush_mutex_);          // What the disk says was durable.
  Lsn maintained_lsn_ ABSL_GUARDED_BY(flush_mutex_);         // appended_lsn() at the last Maintain.
  bool write_failed_ ABSL_GUARDED_BY(flush_mutex_) = false;  // Of a frame; for good.
  // Some frame is or will be written that takes a SyncData to be durable.
  bool unsynced_ ABSL_GUARDED_BY(flush_mutex_) = false;

  // The log lock: what appending touches.
  mutable absl::Mutex mutex_ ABSL_ACQUIRED_BEFORE(segments_mutex_);
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<LogFrame> open_frame_ ABSL_GUARDED_BY(mutex_);
  std::deque<std::unique_ptr<LogFrame>> sealed_frames_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::unique_ptr<LogFrame>> spare_frames_ ABSL_GUARDED_BY(mutex_);
  Segment* append_segment_ ABSL_GUARDED_BY(mutex_) = nullptr;
  uint64_t append_offset_ ABSL_GUARDED_BY(mutex_) = 0;  // After the last sealed frame.
  std::deque<std::unique_ptr<Segment>> prepared_ ABSL_GUARDED_BY(mutex_);
  uint64_t unflushed_bytes_ ABSL_GUARDED_BY(mutex_) = 0;

  // Read by every Get from disk; written once per segment. What a Segment here says of itself, too.
  mutable absl::Mutex segments_mutex_;
  // Ascending. Shared, as a read may hold one that is dropped meanwhile.
  std::deque<std::shared_ptr<Segment>> segments_ ABSL_GUARDED_BY(segments_mutex_);
  uint64_t sealed_below_ ABSL_GUARDED_BY(segments_mutex_);  // The last one activated.
  uint64_t log_bytes_ ABSL_GUARDED_BY(segments_mutex_) = 0;

  std::atomic<Lsn> appended_lsn_;
  std::atomic<Lsn> durable_lsn_;
  // The log before these positions is in its files, or durable.
  std::atomic<uint64_t> written_position_;
  std::atomic<uint64_t> durable_position_;
  std::atomic<uint64_t> frame_count_{0};
  std::atomic<uint64_t> recycled_segment_count_{0};
  std::atomic<uint64_t> sync_count_{0};
  std::atomic<uint64_t> appended_bytes_{0};
  std::atomic<uint64_t> copied_bytes_{0};
};

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_LOG_H_

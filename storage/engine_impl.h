// Engine::Impl: the engine itself, behind engine.h. Nothing but engine*.cc includes this.
//
// The way of a write, a get, a checkpoint: docs/storage.md.
#ifndef SLIPSTREAM_STORAGE_ENGINE_IMPL_H_
#define SLIPSTREAM_STORAGE_ENGINE_IMPL_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "absl/types/span.h"
#include "base/key_id.h"
#include "base/random.h"
#include "base/version.h"
#include "storage/change_observer.h"
#include "storage/checkpointer.h"
#include "storage/compactor.h"
#include "storage/engine.h"
#include "storage/engine_parts.h"
#include "storage/entry.h"
#include "storage/file_system.h"
#include "storage/identity.h"
#include "storage/index_file.h"
#include "storage/keydir.h"
#include "storage/log.h"
#include "storage/log_recovery.h"
#include "storage/manifest.h"
#include "storage/options.h"
#include "storage/precondition.h"
#include "storage/record.h"
#include "storage/record_batch.h"
#include "storage/recovery_report.h"
#include "storage/run_search.h"
#include "storage/scrub_progress.h"
#include "storage/scrubber.h"
#include "storage/segment_table.h"
#include "storage/snapshot_source.h"
#include "storage/sorted_log.h"
#include "storage/stream_commit.h"
#include "storage/stream_pins.h"
#include "storage/value_cache.h"
#include "storage/write_stream.h"

namespace slipstream::storage {

// Thread-safe once opened.
class Engine::Impl final : private Compactor::Records, private Scrubber::Records {
 public:
  static absl::StatusOr<std::unique_ptr<Impl>> Open(FileSystem* fs, absl::string_view directory,
                                                    const Options& options, base::Random* rng,
                                                    ChangeObserver* observer);

  absl::StatusOr<WriteResult> Write(absl::Span<const Mutation> mutations, Atomicity atomicity,
                                    absl::Time now);
  absl::StatusOr<WriteResult> Transact(absl::Span<const Precondition> preconditions,
                                       absl::Span<const Mutation> mutations, absl::Time now);
  absl::Status Stream(absl::Span<const Mutation> mutations, WriteStream& stream);
  absl::StatusOr<ReadResult> ReadStreamed(const StreamedRecord& streamed);
  absl::StatusOr<WriteResult> CommitStream(absl::Span<const Precondition> preconditions,
                                           WriteStream& stream, absl::Time now);
  void RollBackStream(WriteStream& stream);
  absl::StatusOr<WriteResult> Apply(absl::Span<const Record> records, Atomicity atomicity);
  absl::StatusOr<ReadResult> Get(absl::string_view key, absl::Time now);
  absl::optional<ReadResult> GetInMemory(absl::string_view key, absl::Time now);
  std::vector<absl::StatusOr<ReadResult>> GetMany(absl::Span<const absl::string_view> keys,
                                                  absl::Time now, size_t bytes_max);
  base::Hlc Snapshot();
  absl::StatusOr<Record> GetRecord(const base::KeyId& key_id, Lsn* lsn);
  absl::Status VisitEntries(const base::KeyRange& range,
                            absl::FunctionRef<bool(const Entry&)> visit, size_t expected_count);
  absl::StatusOr<bool> Maintain() ABSL_LOCKS_EXCLUDED(maintain_mutex_);
  absl::StatusOr<ScrubProgress> Scrub() { return scrubber_->Step(); }
  absl::StatusOr<SnapshotSource> PinSnapshot() ABSL_LOCKS_EXCLUDED(maintain_mutex_);
  absl::Status Close() ABSL_LOCKS_EXCLUDED(maintain_mutex_);

  void PauseCompaction(bool paused) { compaction_is_paused_ = paused; }
  Log& log() { return *log_; }
  base::ActorId actor() const { return base::ActorId{identity_.actor}; }
  uint64_t node_id() const { return identity_.node_id; }
  base::Hlc last_hlc() const { return clock_.last(); }
  uint64_t apply_count() const { return apply_count_.load(std::memory_order_acquire); }
  EngineStats stats() ABSL_LOCKS_EXCLUDED(maintain_mutex_);
  const Limits& limits() const { return options_.limits; }
  const RecoveryReport& recovery_report() const { return report_; }

 private:
  Impl(FileSystem* fs, absl::string_view directory, const Options& options,
       ChangeObserver* observer);

  // Opening; engine_open.cc.
  absl::Status OpenDirectory();
  absl::Status Recover(base::Random* rng);
  void OpenLog(LogTail tail, base::Random rng) ABSL_LOCKS_EXCLUDED(maintain_mutex_);
  absl::StatusOr<LogRecovery> ReadLog(const LogRecoveryOptions& options);
  absl::Status LoadIndex(Runs& runs);
  void LoadDeadBytes(const LogTail& tail);
  bool CanTrustIndex(const LogRecovery& recovery) const;
  absl::Status DiscardIndex();
  absl::Status RemoveOtherRuns(absl::Span<const uint64_t> kept_numbers);
  absl::Status JudgeDamage(const std::vector<DamagedRange>& damaged) const;
  absl::Status BeginLife(base::Random* rng, uint64_t damage_id);
  absl::Status Restore(const RecoveredRecord& recovered);
  absl::Status NotifyAll();

  // Writing; engine_write.cc.
  absl::Status CheckRecords(absl::Span<const Record> records, Atomicity atomicity) const;
  absl::StatusOr<WriteResult> WriteIf(const Guard& guard, absl::Span<const Mutation> mutations,
                                      Atomicity atomicity, absl::Time now);
  absl::StatusOr<Lsn> AppendNew(RecordBatch& batch, absl::Time now, KeyDir::Exclusive& locked);
  absl::StatusOr<Lsn> ApplyBatch(const RecordBatch& batch, Atomicity atomicity,
                                 size_t& applied_count);
  absl::Status Admit(const RecordBatch& batch, KeyDir::Exclusive& locked);
  // Streams; engine_stream.cc.
  absl::Status StreamBatch(RecordBatch& batch, WriteStream& stream);
  absl::StatusOr<Lsn> AppendCommit(StreamCommit& commit, absl::Time now, KeyDir::Exclusive& locked);
  void PublishStream(const WriteStream& stream, const StreamCommit& commit,
                     KeyDir::Exclusive& locked, WriteResult& result);
  bool Upsert(const LocatedEntry& located, KeyDir::Shard& shard);
  void Publish(const RecordBatch& batch, KeyDir::Exclusive& locked);
  uint64_t NextTxId() { return last_tx_id_.fetch_add(1, std::memory_order_relaxed) + 1; }
  // Preconditions; engine_transact.cc.
  absl::StatusOr<Guard> MakeGuard(absl::Span<const Precondition> preconditions) const;
  absl::Status CheckGuard(const Guard& guard, absl::Time now, KeyDir::Exclusive& locked) const;
  bool IsDurable(const Guard& guard, KeyDir::Exclusive& locked) const;
  // Memory and runs as one; engine_cold.cc.
  absl::StatusOr<absl::optional<LocatedEntry>> FindEntry(const base::KeyId& key_id);
  absl::Status InsertClean(const LocatedEntry& located, KeyDir::Shard& shard);
  absl::StatusOr<Known> MakeKnown(absl::Span<const base::KeyId> key_ids);
  bool IsKnown(absl::Span<const base::KeyId> key_ids, const Known& known,
               KeyDir::Exclusive& locked) const;
  absl::StatusOr<Visited> VisitSome(const base::KeyRange& range, size_t look_count,
                                    absl::FunctionRef<bool(const LocatedEntry&)> visit);
  bool VisitIfComplete(const base::KeyRange& range,
                       absl::FunctionRef<bool(const LocatedEntry&)> visit, Visited& visited);
  absl::Status StopOver(const absl::Status& cause);

  // Background work; engine_maintain.cc.
  absl::StatusOr<bool> TakeStep() ABSL_EXCLUSIVE_LOCKS_REQUIRED(maintain_mutex_);
  void UpdateLateness() ABSL_EXCLUSIVE_LOCKS_REQUIRED(maintain_mutex_);
  void HelpIfLate(uint64_t bytes) ABSL_LOCKS_EXCLUDED(maintain_mutex_);
  // What may be where; engine_memory.cc.
  absl::StatusOr<bool> MaintainMemory() ABSL_EXCLUSIVE_LOCKS_REQUIRED(maintain_mutex_);
  absl::StatusOr<bool> StartMerge(size_t run_count) ABSL_EXCLUSIVE_LOCKS_REQUIRED(maintain_mutex_);
  absl::StatusOr<bool> StepCheckpointer() ABSL_EXCLUSIVE_LOCKS_REQUIRED(maintain_mutex_);
  absl::Status JudgeDerived(const absl::Status& status);
  void UpdateHotBudget() ABSL_EXCLUSIVE_LOCKS_REQUIRED(maintain_mutex_);
  uint64_t ReplayBytes() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(maintain_mutex_);
  uint64_t CheckpointDebtBytes() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(maintain_mutex_);
  bool CheckpointIsDue(const KeyDirStats& stats) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(maintain_mutex_);
  bool EvictSome(const KeyDirStats& stats) ABSL_EXCLUSIVE_LOCKS_REQUIRED(maintain_mutex_);
  absl::StatusOr<bool> WarmUp() ABSL_EXCLUSIVE_LOCKS_REQUIRED(maintain_mutex_);
  absl::StatusOr<bool> WarmUpShard(uint8_t index, const SortedLog::View& view)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(maintain_mutex_);
  absl::Status MakeMemory() ABSL_LOCKS_EXCLUDED(maintain_mutex_);
  absl::Status CheckpointAtEnd() ABSL_LOCKS_EXCLUDED(maintain_mutex_);
  // Compaction; engine_compact.cc.
  absl::StatusOr<bool> MoveIfCurrent(const RecordView& record, const Location& from) override;
  absl::Status MoveCommit(const RecordView& record, const Location& from) override;
  bool IsPinned(uint64_t segment_number) override { return stream_pins_.Pins(segment_number); }
  bool MustSearch() override;
  bool Note(const RecordView& record, const Location& from) override;
  absl::StatusOr<bool> SearchSome(uint64_t read_bytes_max) override;
  void ForgetNotes() override { search_.reset(); }
  Manifest Floor() override;
  absl::StatusOr<Held> FindHolder(const base::KeyId& key_id, const RecordView& record,
                                  const Location& location);
  void InsertMoved(LocatedEntry located, const Location& location, KeyDir::Shard& shard);
  void AddDead(const Location& location, uint64_t record_bytes, const KeyDir::Shard& shard);
  void Revive(const Location& location, uint64_t record_bytes, const KeyDir::Shard& shard);
  absl::Status LoadManifest();
  void RaiseToManifest();
  // Scrubbing; engine_scrub.cc.
  bool Agrees(const RecordView& record, const Location& location) override;
  absl::StatusOr<absl::optional<base::KeyId>> VisitFrom(
      const base::KeyId& first, absl::FunctionRef<void(const LocatedEntry&)> visit) override;
  absl::StatusOr<bool> Examine(const base::KeyId& key_id) override;
  absl::Status OnRunFailed(const absl::Status& cause) override { return StopOver(cause); }

  // Reading; engine.cc and engine_read_many.cc.
  absl::StatusOr<CurrentRecord> ReadCurrent(const base::KeyId& key_id, Tombstones tombstones,
                                            Check check = Check::kChecksum);
  absl::optional<ReadResult> Recall(const base::KeyId& key_id, absl::string_view key,
                                    absl::Time now);
  ReadResult Reveal(const base::KeyId& key_id, absl::string_view key, const CurrentRecord& current,
                    absl::Time now);
  absl::StatusOr<ReadResult> Begin(absl::string_view key, absl::Time now,
                                   absl::optional<WaitingRead>& wait);
  void FinishReads(absl::Span<WaitingRead> waiting, absl::Span<const absl::string_view> keys,
                   absl::Time now, size_t bytes_max,
                   std::vector<absl::StatusOr<ReadResult>>& results);
  bool IsDurable(const Location& location) const;
  bool Quarantine(const LocatedEntry& located);
  void Notify(const base::KeyId& key_id);

  FileSystem* const fs_;
  const std::string directory_;
  const Options options_;
  ChangeObserver* const observer_;

  // Constant once opened; released by Close.
  std::unique_ptr<DirectoryLock> lock_;
  Identity identity_;
  RecoveryReport report_;
  IoPath io_path_;                      // As found by Open; segments may know better.
  absl::optional<LoadedIndex> loaded_;  // While opening: what the checkpoint says.

  base::HybridClock clock_{0};
  std::atomic<uint64_t> last_tx_id_{0};
  std::atomic<uint64_t> raw_value_bytes_{0};
  std::atomic<uint64_t> stored_value_bytes_{0};
  std::atomic<uint64_t> apply_count_{0};  // Under the stripe locks of what is applied.
  KeyDir keydir_;
  SortedLog sorted_log_;
  SegmentTable segment_table_;
  Manifest manifest_;  // As found by Open; the compactor goes on from it.
  ValueCache value_cache_;
  std::unique_ptr<Log> log_;
  std::unique_ptr<Compactor> compactor_;
  absl::optional<RunSearch> search_;  // Of the records that the compactor, its owner, copies next.
  uint64_t search_generation_ = 0;    // Of the runs that it looks into.
  std::unique_ptr<Scrubber> scrubber_;
  std::atomic<bool> compaction_is_paused_{false};

  HotMemory hot_;
  WritersHelp help_;
  StreamPins stream_pins_;
  std::atomic<Lsn> stream_lsn_{0};  // Of the last Commit of one: what it made visible waits for it.

  // One step of background work at a time. Taken before every other lock.
  absl::Mutex maintain_mutex_;
  std::unique_ptr<Checkpointer> checkpointer_ ABSL_GUARDED_BY(maintain_mutex_);
  bool compaction_is_late_ ABSL_GUARDED_BY(maintain_mutex_) = false;
  Sweeps sweeps_ ABSL_GUARDED_BY(maintain_mutex_);
  Rest rest_ ABSL_GUARDED_BY(maintain_mutex_);
};

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_ENGINE_IMPL_H_

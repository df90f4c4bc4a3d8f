// Engine: one node's durable map from keys to versioned values. Start reading storage/ here.
//
// A log of frames is the single source of truth (docs/storage_format.md). Where each key's current
// record is, the KeyDir says for hot keys, in memory, and the Sorted Log for cold ones, in files
// that are derived from the log (docs/sorted_log.md). The engine starts no thread and reads no
// clock: time is an argument, and background work is a step (`Flush`, `Maintain`) that its owner
// calls. It knows neither peers nor the Merkle tree: a ChangeObserver hears which keys changed.
#ifndef SLIPSTREAM_STORAGE_ENGINE_H_
#define SLIPSTREAM_STORAGE_ENGINE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/container/inlined_vector.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "absl/types/span.h"
#include "base/key_id.h"
#include "base/random.h"
#include "base/version.h"
#include "storage/change_observer.h"
#include "storage/engine_stats.h"
#include "storage/entry.h"
#include "storage/file_system.h"
#include "storage/options.h"
#include "storage/precondition.h"
#include "storage/recovery_report.h"
#include "storage/scrub_progress.h"
#include "storage/snapshot_source.h"

namespace slipstream::storage {

// The outcome of a Write or an Apply.
struct WriteResult {
  // One for each mutation, in order. (Apply: the versions were given; left empty.)
  absl::InlinedVector<base::Version, 1> versions;
  absl::InlinedVector<uint64_t, 1> sequences;  // Of the dots, likewise.
  // Acknowledge, and let others learn of it, only when `durable_lsn()` has reached this (SyncPolicy
  // kAlways). 0 if nothing was appended.
  Lsn lsn = 0;
  // Records appended; Apply skips those that are not newer than what is stored.
  size_t applied_count = 0;
};

// The outcome of a Get.
struct ReadResult {
  bool found = false;  // False for an absent, deleted or expired key.
  std::string value;
  base::Version version;       // Of the value or of the tombstone; zero if there is neither.
  uint64_t expires_at_ms = 0;  // Of the value, if found; 0: never.
  // What was read may be lost in a crash until `durable_lsn()` has reached this; 0: it is durable.
  Lsn lsn = 0;
};

// Of write_stream.h.
struct StreamedRecord;
struct WriteStream;

// Thread-safe: a lock per stripe of 8 shards (a shard is the first byte of key_id), then one for
// the log's open frame. Readers and writers wait for no disk, except that a write may have to make
// room (Write). Keys that left memory cost a page of a run: Get, GetRecord, Apply, Transact and
// VisitEntries may read the disk for them. If that page is damaged, the engine stops: status().
class Engine {
 public:
  // Opens the store in `directory`, taking its lock, creating it if options.create_if_missing.
  // Replays the log: a torn tail is cut and reported, never an error; damage before the tail
  // follows options.on_damage. `fs`, `rng` (called only inside Open, Flush and Maintain) and
  // `observer` (may be null) must outlive the engine. FAILED_PRECONDITION (reasons
  // DIRECTORY_IN_USE, DIRECTORY_FOREIGN for files of another format or a newer version), NOT_FOUND,
  // INVALID_ARGUMENT (options), DATA_LOSS (LOG_DAMAGED).
  static absl::StatusOr<std::unique_ptr<Engine>> Open(FileSystem* fs, absl::string_view directory,
                                                      const Options& options, base::Random* rng,
                                                      ChangeObserver* observer);

  // Without Close, what is not flushed is lost, as in a crash.
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Gives each mutation a version and a dot, appends them and makes them visible to reads. Blind:
  // no disk read. kAll: all or none survive a crash, and no read sees some without the others; a
  // key may occur only once. kEach: every mutation is a write of its own, in order. `now` is the
  // wall clock. INVALID_ARGUMENT beyond a limit (nothing is written), RESOURCE_EXHAUSTED
  // (DISK_FULL; reads go on), UNAVAILABLE (ENGINE_FAILED) after a failed write or sync,
  // FAILED_PRECONDITION where the clock is beyond kClockCeiling.
  absl::StatusOr<WriteResult> Write(absl::Span<const Mutation> mutations, Atomicity atomicity,
                                    absl::Time now);

  // Writes as Write with kAll does if all `preconditions` hold at that moment; else ABORTED
  // (TRANSACTION_CONFLICT) naming the key and what was found, and nothing is written. Without
  // mutations it only compares. Mutations are bounded by Limits::transaction_*; beyond a batch they
  // take several frames of the log. Any number of preconditions a key; together they are bounded as
  // a batch is. The result's lsn covers what was compared as well: 0 if all of it is durable.
  // DATA_LOSS (RECORD_DAMAGED) for a key in quarantine; others as Write. transaction.h builds on
  // this.
  absl::StatusOr<WriteResult> Transact(absl::Span<const Precondition> preconditions,
                                       absl::Span<const Mutation> mutations, absl::Time now);

  // Appends writes that nobody sees before CommitStream: each in order, blind, durable with what
  // commits them. All that a stream has is bounded by Limits::transaction_operations_max and
  // transaction_bytes_max. After an error that is not INVALID_ARGUMENT it can only be rolled back.
  // FAILED_PRECONDITION if it is over; others as Write.
  absl::Status Stream(absl::Span<const Mutation> mutations, WriteStream& stream);
  // Reads a write of a stream that is open; its result has no version. Errors as Get.
  absl::StatusOr<ReadResult> ReadStreamed(const StreamedRecord& streamed);
  // Transact with what was streamed for mutations; of a key that occurs more often the last write
  // stays. The result has a version and a dot for each write, in order. If nothing was committed,
  // the stream stays as it is. RESOURCE_EXHAUSTED (TRANSACTION_SIZE) if it is spread over more
  // segments than a Commit can name; others as Transact.
  absl::StatusOr<WriteResult> CommitStream(absl::Span<const Precondition> preconditions,
                                           WriteStream& stream, absl::Time now);
  // Forgets the stream, for good; the space of its writes is compaction's. May be called when it is
  // over. Waits for no disk.
  void RollBackStream(WriteStream& stream);

  // Takes over records that another node wrote: each is stored if it is newer than the entry of its
  // key, or its entry is damaged and it is not older; else skipped. Idempotent. kAll: those that
  // are stored become so together. Advances the clock past every version. Errors as Write; limits
  // are the ceilings, not this node's smaller settings, so that replicas with other limits agree.
  absl::StatusOr<WriteResult> Apply(absl::Span<const Record> records, Atomicity atomicity,
                                    absl::Time now);

  // Reads the value of `key`, hidden if it expired by `now`. DATA_LOSS (RECORD_DAMAGED) if its
  // record fails its checks: the key is then quarantined (out of VisitEntries, so the tree sees the
  // loss) until a Write or an Apply replaces it. INVALID_ARGUMENT, UNAVAILABLE (device).
  // No disk read if the value cache holds it.
  absl::StatusOr<ReadResult> Get(absl::string_view key, absl::Time now);
  // The same for who must not wait for the disk: nullopt if memory alone cannot tell, or `key` is
  // not valid. Ask Get then.
  absl::optional<ReadResult> GetInMemory(absl::string_view key, absl::Time now);

  // Get of several keys, whose reads go to the disk together: as many from the front as have no
  // more than `bytes_max` bytes of records to be read and of values, but at least one. Each for
  // itself: there is no moment at which all of them were current.
  std::vector<absl::StatusOr<ReadResult>> GetMany(absl::Span<const absl::string_view> keys,
                                                  absl::Time now, size_t bytes_max);

  // Returns an HLC that every Write made visible before this call is at or below, and every one
  // made visible later above. What Apply makes visible later may be at either side.
  base::Hlc Snapshot();

  // Reads the current record, tombstones and expired ones too, of `key_id`. NOT_FOUND; others as
  // Get. `lsn`, if not null, is set as ReadResult::lsn.
  absl::StatusOr<Record> GetRecord(const base::KeyId& key_id, Lsn* lsn);

  // Calls `visit` for each entry in `range` in key_id order, tombstones and expired ones too, until
  // it returns false. Under the shard's lock: `visit` must be short and must not call the engine.
  // Sees one moment of each shard that is in memory. Of one that is not whole there, so many
  // entries are read and seen at a time as `visit` is expected to take, kVisitLookEntriesMax at
  // most. Costs what the range holds. UNAVAILABLE (ENGINE_FAILED) if a run cannot be read: then
  // some entries were not visited, and status() says so from before this returns.
  static constexpr size_t kVisitLookEntriesMax = 1024;
  absl::Status VisitEntries(const base::KeyRange& range,
                            absl::FunctionRef<bool(const Entry&)> visit,
                            size_t expected_count = kVisitLookEntriesMax);

  // Writes out what was appended and, with kSync, makes it durable; returns the new durable_lsn().
  // As many callers as options.frames_in_flight_max write at the same time, further ones wait;
  // writers go on meanwhile and fill the next frame. After an error the engine has failed for good:
  // `status()`.
  enum class FlushMode { kWrite, kSync };
  absl::StatusOr<Lsn> Flush(FlushMode mode);

  // One bounded step of background work: prepares (zeroes and syncs) the next segment; when idle
  // since the last call, writes an empty frame that bears witness to how far the log is durable, so
  // that later damage of the last frame is not taken for a torn tail; takes a step of a checkpoint
  // or a merge of runs; evicts entries from memory, or brings them back where there is room; copies
  // some of what is current in the segment with the most dead bytes, or drops it. Returns whether
  // there is more to do now. After kRestCalls that found nothing to do, with no write between them,
  // compaction goes on to half of the dead share. RESOURCE_EXHAUSTED (DISK_FULL) while there is no
  // space for a segment and none can be freed.
  static constexpr size_t kRestCalls = 64;
  absl::StatusOr<bool> Maintain();

  // One bounded step of a search for damage: reads Options::scrub_step_bytes of the full segments,
  // oldest first, or of the runs, and starts anew after the last. Each record is held against its
  // checksums, its value's digest and its entry; a current one that fails quarantines its key as
  // Get does, damage of others is only counted. UNAVAILABLE (device; the next call goes on behind
  // it, ENGINE_FAILED). A damaged run stops the engine.
  absl::StatusOr<ScrubProgress> Scrub();

  // Returns this moment of the store, all of it durable, for SaveSnapshot (snapshot.h): each record
  // appended before the call is in it, of a batch all or none. Waits for a step of Maintain, not
  // for writers, nor they for it. Errors as Flush; DATA_LOSS if the manifest is damaged.
  absl::StatusOr<SnapshotSource> PinSnapshot();

  // Whether Maintain leaves compaction alone, for as long as an operator wants the device for
  // himself; dead bytes pile up meanwhile. A full disk is compacted even so. Not at first.
  void PauseCompaction(bool paused);

  // Flushes with kSync, marks the directory clean and lets go of its lock. Further calls but
  // destruction are programming errors.
  absl::Status Close();

  // Everything up to here survives a crash. (SyncPolicy kInterval, kNone: what was synced so far.)
  Lsn durable_lsn() const;
  // The last record appended.
  Lsn appended_lsn() const;
  // How often Apply stored something in this life. Counted before it is visible.
  uint64_t apply_count() const;
  // OK, or why the engine stopped taking writes: the process should leave and be started anew.
  absl::Status status() const;

  base::ActorId actor() const;
  // Drawn when the directory was created; the same in all its lives.
  uint64_t node_id() const;
  base::Hlc last_hlc() const;
  EngineStats stats() const;
  const Limits& limits() const;
  // What Open found and did.
  const RecoveryReport& recovery_report() const;

 private:
  class Impl;
  explicit Engine(std::unique_ptr<Impl> impl);

  const std::unique_ptr<Impl> impl_;
};

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_ENGINE_H_

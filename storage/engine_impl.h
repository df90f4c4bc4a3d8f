// Engine::Impl: the engine itself, behind engine.h. Nothing but engine*.cc includes this.
//
// A write, from top to bottom: check limits and digest values (no lock); make room (may do I/O);
// lock the stripes involved; give versions and dots; append to the log; point the KeyDir to it;
// tell the observer; unlock.
#ifndef SLIPSTREAM_STORAGE_ENGINE_IMPL_H_
#define SLIPSTREAM_STORAGE_ENGINE_IMPL_H_

#include <atomic>
#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "absl/types/span.h"
#include "base/digest.h"
#include "base/key_id.h"
#include "base/random.h"
#include "base/version.h"
#include "storage/compactor.h"
#include "storage/engine.h"
#include "storage/entry.h"
#include "storage/file_system.h"
#include "storage/identity.h"
#include "storage/keydir.h"
#include "storage/log.h"
#include "storage/manifest.h"
#include "storage/options.h"
#include "storage/precondition.h"
#include "storage/record.h"
#include "storage/recovery_report.h"
#include "storage/segment_table.h"
#include "storage/value_cache.h"

namespace slipstream::storage {

// Thread-safe once opened.
class Engine::Impl final : private Compactor::Records {
 public:
  static absl::StatusOr<std::unique_ptr<Impl>> Open(FileSystem* fs, absl::string_view directory,
                                                    const Options& options, base::Random* rng,
                                                    ChangeObserver* observer);

  absl::StatusOr<WriteResult> Write(absl::Span<const Mutation> mutations, Atomicity atomicity,
                                    absl::Time now);
  absl::StatusOr<WriteResult> Transact(absl::Span<const Precondition> preconditions,
                                       absl::Span<const Mutation> mutations, absl::Time now);
  absl::StatusOr<WriteResult> Apply(absl::Span<const Record> records, Atomicity atomicity);
  absl::StatusOr<ReadResult> Get(absl::string_view key, absl::Time now);
  base::Hlc Snapshot();
  absl::StatusOr<Record> GetRecord(const base::KeyId& key_id, Lsn* lsn);
  void VisitEntries(const base::KeyRange& range, absl::FunctionRef<bool(const Entry&)> visit);
  absl::StatusOr<bool> Maintain();
  absl::Status Close();

  Log& log() { return *log_; }
  base::ActorId actor() const { return base::ActorId{identity_.actor}; }
  uint64_t node_id() const { return identity_.node_id; }
  base::Hlc last_hlc() const { return clock_.last(); }
  uint64_t apply_count() const { return apply_count_.load(std::memory_order_acquire); }
  EngineStats stats();
  const Limits& limits() const { return options_.limits; }
  const RecoveryReport& recovery_report() const { return report_; }

 private:
  // Records to be appended together, and whose they are. A Commit has no key_id.
  struct Batch {
    absl::InlinedVector<PendingRecord, 2> records;
    absl::InlinedVector<base::KeyId, 2> key_ids;
    StripeMask stripes = 0;
    uint64_t payload_bytes = 0;
    // What the values of `records` point into where compressed; a list, as its elements stay put.
    std::list<std::string> compressed;

    void Compress(PendingRecord& record, Compression policy);
    void Add(const PendingRecord& record, const base::KeyId& key_id);
    void AddCommit(uint64_t tx_id);
    AppendPurpose purpose() const;
  };
  // Preconditions, with what can be worked out before any lock is taken.
  struct Guard {
    absl::Span<const Precondition> preconditions;
    std::vector<base::KeyId> key_ids;              // One each.
    std::vector<base::ValueDigest> value_digests;  // One each; zeros but for kValue.
    StripeMask stripes = 0;
  };
  // The current record of a key, read and checked.
  struct Current {
    absl::optional<Entry> entry;  // nullopt: there is none.
    // What `record` points into; nullopt for a tombstone not asked for.
    absl::optional<LogBytes> bytes;
    RecordView record;
    Location location;
    std::string raw;  // The value, if it is stored compressed.
    Lsn lsn = 0;

    absl::string_view value() const {
      return record.header.codec == Codec::kNone ? record.value : absl::string_view(raw);
    }
  };
  enum class Tombstones { kRead, kSkip };

  Impl(FileSystem* fs, absl::string_view directory, const Options& options,
       ChangeObserver* observer);

  // Opening; engine_open.cc.
  absl::Status OpenDirectory();
  absl::Status Recover(base::Random* rng);
  absl::Status JudgeDamage(uint64_t damage_id) const;
  absl::Status BeginLife(base::Random* rng, uint64_t damage_id);
  absl::Status Restore(const RecordView& record, const Location& location);
  void NotifyAll();

  // Writing; engine_write.cc.
  absl::Status CheckMutations(absl::Span<const Mutation> mutations, Atomicity atomicity) const;
  absl::Status CheckRecords(absl::Span<const Record> records, Atomicity atomicity) const;
  absl::StatusOr<WriteResult> WriteIf(const Guard& guard, absl::Span<const Mutation> mutations,
                                      Atomicity atomicity, absl::Time now);
  absl::StatusOr<Lsn> AppendNew(Batch& batch, absl::Time now, KeyDir::Exclusive& locked);
  absl::StatusOr<Lsn> ApplyBatch(const Batch& batch, Atomicity atomicity, size_t& applied_count);
  absl::Status Admit(const Batch& batch, KeyDir::Exclusive& locked);
  void Publish(const Batch& batch, KeyDir::Exclusive& locked);
  uint64_t NextTxId() { return last_tx_id_.fetch_add(1, std::memory_order_relaxed) + 1; }

  // Preconditions; engine_transact.cc.
  absl::StatusOr<Guard> MakeGuard(absl::Span<const Precondition> preconditions) const;
  absl::Status CheckGuard(const Guard& guard, absl::Time now, KeyDir::Exclusive& locked) const;
  bool IsDurable(const Guard& guard, KeyDir::Exclusive& locked) const;

  // Compaction; engine_compact.cc.
  absl::StatusOr<bool> MoveIfCurrent(const RecordView& record, const Location& from) override;
  Manifest Floor() override;
  absl::StatusOr<bool> IsCurrent(const base::KeyId& key_id, const RecordView& record,
                                 const Location& location, KeyDir::Exclusive& locked) const;
  void CountDead(const UpsertResult& result, const Location& location, uint64_t record_bytes);
  absl::Status LoadManifest();
  void RaiseToManifest();

  // Reading; engine.cc.
  absl::StatusOr<Current> ReadCurrent(const base::KeyId& key_id, Tombstones tombstones);
  absl::optional<ReadResult> GetCached(const base::KeyId& key_id, absl::string_view key,
                                       absl::Time now);
  absl::Status CheckRecord(const Entry& entry, Current& current) const;
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
  IoPath io_path_;  // As found by Open; segments may know better.

  base::HybridClock clock_{0};
  std::atomic<uint64_t> last_tx_id_{0};
  std::atomic<uint64_t> raw_value_bytes_{0};
  std::atomic<uint64_t> stored_value_bytes_{0};
  std::atomic<uint64_t> apply_count_{0};  // Under the stripe locks of what is applied.
  KeyDir keydir_;
  SegmentTable segment_table_;
  Manifest manifest_;  // As found by Open; the compactor goes on from it.
  ValueCache value_cache_;
  std::unique_ptr<Log> log_;
  std::unique_ptr<Compactor> compactor_;
};

}  // namespace slipstream::storage

#endif  // SLIPSTREAM_STORAGE_ENGINE_IMPL_H_

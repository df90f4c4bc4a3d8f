#include "storage/engine.h"

#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/check.h"
#include "base/error_reason.h"
#include "base/status_macros.h"
#include "storage/ceilings.h"
#include "storage/compression.h"
#include "storage/engine_impl.h"

namespace slipstream::storage {
namespace {

// Each turn of a read but the last found that its record was replaced under it.
constexpr int kReadAttemptsMax = 100;

absl::Status RecordDamaged(const Location& location, absl::string_view problem) {
  return base::WithReason(
      absl::DataLossError(absl::StrFormat("segment %d offset %d: %s", location.segment_number,
                                          location.offset, problem)),
      base::kReasonRecordDamaged);
}

}  // namespace

absl::Status CheckRecord(const Entry& entry, Check check, CurrentRecord& current) {
  SLIP_ASSIGN_OR_RETURN(current.record, DecodeRecord(current.bytes->view()));
  const RecordView& record = current.record;
  if (record.bytes() != current.bytes->count || !IsRecordOf(entry, record)) {
    return absl::DataLossError(absl::StrFormat("another record stands here, of version %s",
                                               base::ToString(record.version())));
  }
  if (record.header.codec != Codec::kNone) {
    SLIP_ASSIGN_OR_RETURN(current.raw, DecompressValue(record.header, record.value));
  }
  // Of a value that was decompressed, the digest that the record tells has been compared.
  if (check == Check::kDigest && base::DigestOfValue(current.value()) != entry.value_digest &&
      !entry.tombstone) {
    return absl::DataLossError("the value is another than its digest tells");
  }
  return absl::OkStatus();
}

absl::StatusOr<ReadResult> Engine::Impl::Get(absl::string_view key, absl::Time now) {
  if (key.empty() || key.size() > kKeyBytesCeiling) {
    return base::WithReason(absl::InvalidArgumentError(absl::StrFormat(
                                "key of %d bytes, not 1 to %d", key.size(), kKeyBytesCeiling)),
                            base::kReasonKeySize);
  }
  const base::KeyId key_id = base::KeyIdOf(key);
  if (absl::optional<ReadResult> recalled = Recall(key_id, key, now)) return *std::move(recalled);
  SLIP_ASSIGN_OR_RETURN(const CurrentRecord current, ReadCurrent(key_id, Tombstones::kSkip));
  return Reveal(key_id, key, current, now);
}

// Returns what a reader of `key` at `now` sees of its current record, and keeps the value.
ReadResult Engine::Impl::Reveal(const base::KeyId& key_id, absl::string_view key,
                                const CurrentRecord& current, absl::Time now) {
  ReadResult result{.lsn = current.lsn};
  if (!current.entry.has_value()) return result;
  result.version = current.entry->version;
  if (current.entry->tombstone || IsExpired(current.entry->expires_at_ms, now)) return result;
  if (current.record.key != key) return ReadResult{};  // Another key with the same key_id.
  result.found = true;
  result.expires_at_ms = current.entry->expires_at_ms;
  result.value = std::string(current.value());
  value_cache_.Insert({.key_id = key_id, .location = current.location}, key, result.value);
  return result;
}

absl::optional<ReadResult> Engine::Impl::GetInMemory(absl::string_view key, absl::Time now) {
  if (key.empty() || key.size() > kKeyBytesCeiling) return absl::nullopt;
  return Recall(base::KeyIdOf(key), key, now);
}

// Reads `key` without a look at any file; nullopt if that takes one, or leads to an error.
absl::optional<ReadResult> Engine::Impl::Recall(const base::KeyId& key_id, absl::string_view key,
                                                absl::Time now) {
  const KeyDir::Lookup lookup = keydir_.Find(key_id);
  const absl::optional<LocatedEntry>& located = lookup.located;
  ReadResult result;
  if (!located.has_value()) {
    return lookup.complete ? absl::make_optional(result) : absl::nullopt;
  }
  if (located->damaged) return absl::nullopt;
  result.version = located->entry.version;
  if (!located->entry.tombstone && !IsExpired(located->entry.expires_at_ms, now)) {
    if (!value_cache_.is_on()) return absl::nullopt;
    absl::optional<std::string> value =
        value_cache_.Find({.key_id = key_id, .location = located->location}, key);
    if (!value.has_value()) return absl::nullopt;
    result.found = true;
    result.value = *std::move(value);
    result.expires_at_ms = located->entry.expires_at_ms;
  }
  if (!IsDurable(located->location)) result.lsn = log_->appended_lsn();
  return result;
}

absl::StatusOr<Record> Engine::Impl::GetRecord(const base::KeyId& key_id, Lsn* lsn) {
  SLIP_ASSIGN_OR_RETURN(const CurrentRecord current, ReadCurrent(key_id, Tombstones::kRead));
  if (!current.entry.has_value()) {
    return absl::NotFoundError(
        absl::StrCat("no record of key_id ", absl::BytesToHexString(key_id.view())));
  }
  if (lsn != nullptr) *lsn = current.lsn;
  return Record{
      .key = std::string(current.record.key),
      .value = std::string(current.value()),
      .version = current.entry->version,
      .sequence = current.entry->sequence,
      .expires_at_ms = current.entry->expires_at_ms,
      .tombstone = current.entry->tombstone,
  };
}

absl::StatusOr<CurrentRecord> Engine::Impl::ReadCurrent(const base::KeyId& key_id,
                                                        Tombstones tombstones, Check check) {
  absl::optional<Location> missing;
  for (int attempt = 0; attempt < kReadAttemptsMax; ++attempt) {
    CurrentRecord current;
    SLIP_ASSIGN_OR_RETURN(const absl::optional<LocatedEntry> located, FindEntry(key_id));
    if (!located.has_value()) return current;
    if (located->damaged) {
      return RecordDamaged(located->location, "the record was found damaged by an earlier read");
    }
    current.entry = located->entry;
    current.location = located->location;
    if (!IsDurable(located->location)) current.lsn = log_->appended_lsn();
    if (located->entry.tombstone && tombstones == Tombstones::kSkip) return current;
    absl::StatusOr<LogBytes> bytes = log_->Read(located->location, located->entry.record_bytes);
    absl::Status status = bytes.status();
    // Compaction has moved the record and dropped its segment meanwhile; if its entry says the same
    // again, the segment is missing.
    if (absl::IsNotFound(status) && missing != located->location) {
      missing = located->location;
      continue;
    }
    // A file that ends too early is damage like any other; a device that fails is not.
    if (!status.ok() && !absl::IsOutOfRange(status) && !absl::IsNotFound(status)) return status;
    if (status.ok()) {
      current.bytes = *std::move(bytes);
      status = CheckRecord(located->entry, check, current);
    }
    if (status.ok()) return current;
    if (Quarantine(*located)) return RecordDamaged(located->location, status.message());
  }
  return absl::UnavailableError(
      absl::StrFormat("the record was replaced during each of %d reads", kReadAttemptsMax));
}

// Takes the entry out of sight if it is still the key's current one; returns whether it was.
bool Engine::Impl::Quarantine(const LocatedEntry& located) {
  const base::KeyId& key_id = located.entry.key_id;
  KeyDir::Exclusive locked(&keydir_, StripeOf(key_id.shard()));
  if (!locked.shard(key_id.shard()).table.MarkDamaged(key_id, located.location)) return false;
  Notify(key_id);
  return true;
}

void Engine::Impl::Notify(const base::KeyId& key_id) {
  if (observer_ != nullptr) observer_->OnChange(key_id);
}

EngineStats Engine::Impl::stats() {
  const KeyDirStats keydir = keydir_.stats();
  const ValueCacheStats value_cache = value_cache_.stats();
  const LogStats log = log_->stats();
  const std::shared_ptr<const RunSet> runs = sorted_log_.view().runs;
  absl::MutexLock lock(&maintain_mutex_);
  const CompactionStats compaction = compactor_->stats();
  const ScrubStats scrub = scrubber_->stats();
  const uint64_t run_memory_bytes = runs->memory_bytes();
  const uint64_t checkpoint_memory_bytes = checkpointer_->memory_bytes();
  return {
      .live_key_count = keydir.live_count,
      .tombstone_count = keydir.tombstone_count,
      .damaged_key_count = keydir.damaged_count,
      .complete = keydir.complete,
      .dirty_count = keydir.dirty_count,
      .run_count = runs->runs().size(),
      .run_entry_count = runs->entry_count(),
      .run_bytes = runs->file_bytes(),
      .evicted_count = hot_.evicted_count.load(std::memory_order_relaxed),
      .checkpoint_count = checkpointer_->checkpoint_count(),
      .replay_bytes = ReplayBytes(),
      .checkpoint_debt_bytes = CheckpointDebtBytes(),
      .memory_bytes = keydir.bytes + value_cache.bytes + run_memory_bytes +
                      checkpoint_memory_bytes +
                      (observer_ == nullptr ? 0 : observer_->memory_bytes()),
      .run_memory_bytes = run_memory_bytes,
      .checkpoint_memory_bytes = checkpoint_memory_bytes,
      .segment_count = log.segment_count,
      .log_bytes = log.log_bytes,
      .keydir_bytes = keydir.bytes,
      .value_cache_bytes = value_cache.bytes,
      .value_cache_hit_count = value_cache.hit_count,
      .value_cache_miss_count = value_cache.miss_count,
      .flush_count = log.frame_count,
      .sync_count = log.sync_count,
      .io_path = log.io_path.value_or(io_path_),
      .read_many = fs_->DescribeReadMany(),
      .raw_value_bytes = raw_value_bytes_.load(std::memory_order_relaxed),
      .stored_value_bytes = stored_value_bytes_.load(std::memory_order_relaxed),
      .dead_bytes = compaction.dead_bytes,
      .compaction_debt_bytes = compaction.debt_bytes,
      .compacted_segment_count = compaction.compacted_segment_count,
      .failed_segment_count = compaction.failed_segment_count,
      .recycled_segment_count = log.recycled_segment_count,
      .appended_bytes = log.appended_bytes,
      .copied_bytes = log.copied_bytes,
      .scrubbed_bytes = scrub.scrubbed_bytes,
      .scrub_pass_count = scrub.pass_count,
      .scrub_damaged_count = scrub.damaged_count,
      .scrub_damaged_key_count = scrub.damaged_key_count,
  };
}

Engine::Engine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Engine::~Engine() = default;

absl::StatusOr<std::unique_ptr<Engine>> Engine::Open(FileSystem* fs, absl::string_view directory,
                                                     const Options& options, base::Random* rng,
                                                     ChangeObserver* observer) {
  SLIP_ASSIGN_OR_RETURN(std::unique_ptr<Impl> impl,
                        Impl::Open(fs, directory, options, rng, observer));
  return std::unique_ptr<Engine>(new Engine(std::move(impl)));
}

absl::StatusOr<WriteResult> Engine::Write(absl::Span<const Mutation> mutations, Atomicity atomicity,
                                          absl::Time now) {
  return impl_->Write(mutations, atomicity, now);
}

absl::StatusOr<WriteResult> Engine::Transact(absl::Span<const Precondition> preconditions,
                                             absl::Span<const Mutation> mutations, absl::Time now) {
  return impl_->Transact(preconditions, mutations, now);
}

absl::Status Engine::Stream(absl::Span<const Mutation> mutations, WriteStream& stream) {
  return impl_->Stream(mutations, stream);
}

absl::StatusOr<ReadResult> Engine::ReadStreamed(const StreamedRecord& streamed) {
  return impl_->ReadStreamed(streamed);
}

absl::StatusOr<WriteResult> Engine::CommitStream(absl::Span<const Precondition> preconditions,
                                                 WriteStream& stream, absl::Time now) {
  return impl_->CommitStream(preconditions, stream, now);
}

void Engine::RollBackStream(WriteStream& stream) { impl_->RollBackStream(stream); }

absl::StatusOr<WriteResult> Engine::Apply(absl::Span<const Record> records, Atomicity atomicity,
                                          absl::Time) {
  return impl_->Apply(records, atomicity);
}

absl::StatusOr<ReadResult> Engine::Get(absl::string_view key, absl::Time now) {
  return impl_->Get(key, now);
}

std::vector<absl::StatusOr<ReadResult>> Engine::GetMany(absl::Span<const absl::string_view> keys,
                                                        absl::Time now, size_t bytes_max) {
  return impl_->GetMany(keys, now, bytes_max);
}

absl::optional<ReadResult> Engine::GetInMemory(absl::string_view key, absl::Time now) {
  return impl_->GetInMemory(key, now);
}

base::Hlc Engine::Snapshot() { return impl_->Snapshot(); }

absl::StatusOr<Record> Engine::GetRecord(const base::KeyId& key_id, Lsn* lsn) {
  return impl_->GetRecord(key_id, lsn);
}

absl::Status Engine::VisitEntries(const base::KeyRange& range,
                                  absl::FunctionRef<bool(const Entry&)> visit,
                                  size_t expected_count) {
  return impl_->VisitEntries(range, visit, expected_count);
}

absl::StatusOr<Lsn> Engine::Flush(FlushMode mode) {
  return impl_->log().Flush(mode == FlushMode::kSync ? Log::Mode::kSync : Log::Mode::kWrite);
}

absl::StatusOr<bool> Engine::Maintain() { return impl_->Maintain(); }

absl::StatusOr<ScrubProgress> Engine::Scrub() { return impl_->Scrub(); }

absl::StatusOr<SnapshotSource> Engine::PinSnapshot() { return impl_->PinSnapshot(); }

void Engine::PauseCompaction(bool paused) { impl_->PauseCompaction(paused); }

absl::Status Engine::Close() { return impl_->Close(); }

Lsn Engine::durable_lsn() const { return impl_->log().durable_lsn(); }

Lsn Engine::appended_lsn() const { return impl_->log().appended_lsn(); }

uint64_t Engine::apply_count() const { return impl_->apply_count(); }

absl::Status Engine::status() const { return impl_->log().status(); }

base::ActorId Engine::actor() const { return impl_->actor(); }

uint64_t Engine::node_id() const { return impl_->node_id(); }

base::Hlc Engine::last_hlc() const { return impl_->last_hlc(); }

EngineStats Engine::stats() const { return impl_->stats(); }

const Limits& Engine::limits() const { return impl_->limits(); }

const RecoveryReport& Engine::recovery_report() const { return impl_->recovery_report(); }

}  // namespace slipstream::storage

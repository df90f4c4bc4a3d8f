// The writing side of Engine::Impl: limits, versions, batches.

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "base/check.h"
#include "base/digest.h"
#include "base/error_reason.h"
#include "base/status_macros.h"
#include "storage/ceilings.h"
#include "storage/engine_impl.h"
#include "storage/record_batch.h"

namespace slipstream::storage {
namespace {

absl::Status Refuse(absl::string_view message, absl::string_view reason) {
  return base::WithReason(absl::InvalidArgumentError(message), reason);
}

absl::Status CheckKeySize(absl::string_view key, uint32_t key_bytes_max) {
  if (!key.empty() && key.size() <= key_bytes_max) return absl::OkStatus();
  return Refuse(absl::StrFormat("key of %d bytes, not 1 to %d", key.size(), key_bytes_max),
                base::kReasonKeySize);
}

absl::Status CheckValueSize(absl::string_view value, bool deletes, uint32_t value_bytes_max) {
  if (deletes && !value.empty()) {
    return Refuse(absl::StrFormat("delete with a value of %d bytes", value.size()),
                  base::kReasonValueSize);
  }
  if (value.size() <= value_bytes_max) return absl::OkStatus();
  return Refuse(absl::StrFormat("value of %d bytes, more than %d", value.size(), value_bytes_max),
                base::kReasonValueSize);
}

absl::Status CheckBatchSize(const BatchSize& size, const BatchSize& max) {
  if (size.operations > max.operations) {
    return Refuse(
        absl::StrFormat("batch of %d operations, more than %d", size.operations, max.operations),
        base::kReasonBatchSize);
  }
  if (size.bytes > max.bytes) {
    return Refuse(absl::StrFormat("batch of %d bytes, more than %d", size.bytes, max.bytes),
                  base::kReasonBatchSize);
  }
  return absl::OkStatus();
}

// An atomic batch has no order in which one of two changes of a key could win.
absl::Status CheckKeysDiffer(absl::Span<const Mutation> mutations) {
  std::vector<absl::string_view> keys;
  keys.reserve(mutations.size());
  for (const Mutation& mutation : mutations) keys.push_back(mutation.key);
  std::sort(keys.begin(), keys.end());
  if (std::adjacent_find(keys.begin(), keys.end()) == keys.end()) return absl::OkStatus();
  return Refuse("a key occurs twice in an atomic batch", base::kReasonMessageInvalid);
}

base::Version VersionOf(const RecordHeader& header) {
  return {.hlc = header.hlc, .actor = base::ActorId{header.actor}};
}

BatchSize MaxOfBatch(const Limits& limits) {
  return {.operations = limits.batch_operations_max, .bytes = limits.batch_bytes_max};
}

BatchSize MaxOfTransaction(const Limits& limits) {
  return {.operations = limits.transaction_operations_max,
          .bytes = limits.transaction_buffer_bytes};
}

absl::Status EnsureRoom(Log& log, const RecordBatch& batch) {
  return batch.spans_frames ? log.EnsureRoomSpanning(batch.records)
                            : log.EnsureRoom(batch.payload_bytes, batch.purpose());
}

absl::StatusOr<Lsn> TryAppend(Log& log, RecordBatch& batch) {
  return batch.spans_frames ? log.TryAppendSpanning(absl::MakeSpan(batch.records))
                            : log.TryAppend(absl::MakeSpan(batch.records), batch.purpose());
}

}  // namespace

// A version beyond the ceiling would be acknowledged, and refused by every reader afterwards.
absl::Status CheckClock(base::Hlc last) {
  if (last <= kClockCeiling) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrFormat(
      "the clock is at 0x%016x, beyond 0x%016x: there are no versions left", last, kClockCeiling));
}

absl::Status CheckDots(uint8_t shard, uint64_t last_sequence, uint64_t count) {
  if (last_sequence + count <= kSequenceCeiling) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrFormat("shard %d is at sequence %d of %d: this actor has no dots left", shard,
                      last_sequence, kSequenceCeiling));
}

absl::Status CheckMutations(absl::Span<const Mutation> mutations, Atomicity atomicity,
                            const Limits& limits, const BatchSize& max) {
  BatchSize size{.operations = mutations.size()};
  for (const Mutation& mutation : mutations) {
    const bool deletes = mutation.kind == Mutation::Kind::kDelete;
    SLIP_RETURN_IF_ERROR(CheckKeySize(mutation.key, limits.key_bytes_max));
    SLIP_RETURN_IF_ERROR(CheckValueSize(mutation.value, deletes, limits.value_bytes_max));
    if (deletes && mutation.expires_at_ms != 0) {
      return Refuse(absl::StrFormat("delete that expires at %d ms", mutation.expires_at_ms),
                    base::kReasonMessageInvalid);
    }
    size.bytes += mutation.key.size() + mutation.value.size();
  }
  SLIP_RETURN_IF_ERROR(CheckBatchSize(size, max));
  return atomicity == Atomicity::kAll ? CheckKeysDiffer(mutations) : absl::OkStatus();
}

absl::StatusOr<WriteResult> Engine::Impl::Write(absl::Span<const Mutation> mutations,
                                                Atomicity atomicity, absl::Time now) {
  return WriteIf(Guard{}, mutations, atomicity, now);
}

absl::StatusOr<WriteResult> Engine::Impl::WriteIf(const Guard& guard,
                                                  absl::Span<const Mutation> mutations,
                                                  Atomicity atomicity, absl::Time now) {
  const Limits& limits = options_.limits;
  SLIP_RETURN_IF_ERROR(
      CheckMutations(mutations, atomicity, limits,
                     guard.is_transaction ? MaxOfTransaction(limits) : MaxOfBatch(limits)));
  WriteResult result;
  if (mutations.empty()) return result;
  RecordBatch batch;
  for (const Mutation& mutation : mutations) {
    const bool deletes = mutation.kind == Mutation::Kind::kDelete;
    PendingRecord pending = MakePending(deletes, mutation.key, mutation.value);
    pending.header.expires_at_ms = mutation.expires_at_ms;
    batch.Compress(pending, options_.compression);
    batch.Add(pending, base::KeyIdOf(mutation.key));
  }
  if (atomicity == Atomicity::kAll && mutations.size() > 1) batch.AddCommit(NextTxId());
  batch.spans_frames = batch.payload_bytes > OneFrameBytesMax(limits);
  HelpIfLate(batch.payload_bytes);
  SLIP_RETURN_IF_ERROR(MakeMemory());
  while (result.lsn == 0) {
    SLIP_RETURN_IF_ERROR(EnsureRoom(*log_, batch));
    SLIP_ASSIGN_OR_RETURN(const Known known, MakeKnown(guard.key_ids));
    KeyDir::Exclusive locked(&keydir_, batch.stripes | guard.stripes);
    if (!IsKnown(guard.key_ids, known, locked)) continue;
    SLIP_RETURN_IF_ERROR(CheckGuard(guard, now, locked));
    SLIP_ASSIGN_OR_RETURN(result.lsn, AppendNew(batch, now, locked));
    if (result.lsn != 0) Publish(batch, locked);
  }
  result.applied_count = mutations.size();
  for (size_t i = 0; i < mutations.size(); ++i) {
    if (value_cache_.is_on() && mutations[i].kind == Mutation::Kind::kPut) {
      value_cache_.InsertIfRoom({.key_id = batch.key_ids[i], .location = batch.records[i].location},
                                mutations[i].key, mutations[i].value);
    }
    result.versions.push_back(VersionOf(batch.records[i].header));
    result.sequences.push_back(batch.records[i].header.sequence);
  }
  return result;
}

// Gives each record a version and a dot, and appends them. 0, or an error, if nothing was appended:
// then the dots are given back, so that the next ones leave no gap.
absl::StatusOr<Lsn> Engine::Impl::AppendNew(RecordBatch& batch, absl::Time now,
                                            KeyDir::Exclusive& locked) {
  SLIP_RETURN_IF_ERROR(CheckClock(std::max(clock_.last(), base::HlcFromTime(now))));
  for (const base::KeyId& key_id : batch.key_ids) {
    SLIP_RETURN_IF_ERROR(CheckDots(key_id.shard(), locked.shard(key_id.shard()).last_sequence,
                                   batch.key_ids.size()));
  }
  for (size_t i = 0; i < batch.key_ids.size(); ++i) {
    PendingRecord& record = batch.records[i];
    record.header.hlc = clock_.Next(now);
    record.header.actor = identity_.actor;
    record.header.sequence = ++locked.shard(batch.key_ids[i].shard()).last_sequence;
    SetCrc(record);
  }
  absl::StatusOr<Lsn> lsn = Lsn{0};
  if (absl::Status admitted = Admit(batch, locked); admitted.ok()) {
    lsn = TryAppend(*log_, batch);
  } else {
    lsn = admitted;
  }
  if (lsn.ok() && *lsn != 0) return lsn;
  for (const base::KeyId& key_id : batch.key_ids) --locked.shard(key_id.shard()).last_sequence;
  return lsn;
}

absl::Status Engine::Impl::Admit(const RecordBatch& batch, KeyDir::Exclusive& locked) {
  for (size_t i = 0; i < batch.key_ids.size(); ++i) {
    SLIP_RETURN_IF_ERROR(locked.shard(batch.key_ids[i].shard())
                             .table.Admit(base::ActorId{batch.records[i].header.actor}));
  }
  return absl::OkStatus();
}

// Stores `located` as KeyDirShard::Upsert does, and accounts for its memory and for what is dead by
// it: what it replaced, or its own record. Returns whether it was taken.
bool Engine::Impl::Upsert(const LocatedEntry& located, KeyDir::Shard& shard) {
  const uint64_t bytes_before = shard.table.bytes();
  const UpsertResult result = shard.table.Upsert(located);
  if (!result.taken) {
    AddDead(located.location, located.entry.record_bytes, shard);
    return false;
  }
  if (result.replaced_bytes != 0) AddDead(result.replaced, result.replaced_bytes, shard);
  if (const uint64_t bytes = shard.table.bytes(); bytes != bytes_before) {
    hot_.bytes.fetch_add(bytes - bytes_before, std::memory_order_relaxed);
  }
  return true;
}

void Engine::Impl::Publish(const RecordBatch& batch, KeyDir::Exclusive& locked) {
  uint64_t raw_bytes = 0;
  uint64_t stored_bytes = 0;
  for (size_t i = 0; i < batch.key_ids.size(); ++i) {
    const PendingRecord& record = batch.records[i];
    const base::KeyId& key_id = batch.key_ids[i];
    raw_bytes += record.header.raw_bytes;
    stored_bytes += record.header.stored_bytes;
    const bool changed = Upsert(
        {
            .entry =
                {
                    .key_id = key_id,
                    .version = VersionOf(record.header),
                    .sequence = record.header.sequence,
                    .expires_at_ms = record.header.expires_at_ms,
                    .value_digest = record.header.value_digest,
                    .record_bytes = static_cast<uint32_t>(record.bytes()),
                    .tombstone = record.header.type == RecordType::kDelete,
                },
            .location = record.location,
        },
        locked.shard(key_id.shard()));
    if (changed) Notify(key_id);
  }
  raw_value_bytes_.fetch_add(raw_bytes, std::memory_order_relaxed);
  stored_value_bytes_.fetch_add(stored_bytes, std::memory_order_relaxed);
}

absl::Status Engine::Impl::CheckRecords(absl::Span<const Record> records,
                                        Atomicity atomicity) const {
  BatchSize size{.operations = records.size()};
  for (const Record& record : records) {
    SLIP_RETURN_IF_ERROR(CheckKeySize(record.key, kKeyBytesCeiling));
    SLIP_RETURN_IF_ERROR(CheckValueSize(record.value, record.tombstone, kValueBytesCeiling));
    if (record.version.hlc == 0 || record.version.hlc > kHlcCeiling || record.sequence == 0 ||
        record.sequence > kSequenceCeiling) {
      return Refuse(absl::StrFormat("record of version %s and sequence %d",
                                    base::ToString(record.version), record.sequence),
                    base::kReasonMessageInvalid);
    }
    size.bytes += record.key.size() + record.value.size();
    // With a segment smaller than the ceilings ask for, a record may not fit at all.
    const uint64_t record_bytes = kRecordHeaderBytes + record.key.size() + record.value.size();
    if (record_bytes > log_->payload_bytes_max()) {
      return Refuse(absl::StrFormat("record of %d bytes, more than the %d that a segment holds",
                                    record_bytes, log_->payload_bytes_max()),
                    base::kReasonValueSize);
    }
  }
  if (atomicity == Atomicity::kEach) return absl::OkStatus();
  const uint64_t overhead = (size.operations + 1) * kRecordHeaderBytes;
  const uint64_t room = log_->payload_bytes_max();
  return CheckBatchSize(size, {.operations = kBatchOperationsCeiling,
                               .bytes = std::min<uint64_t>(kBatchBytesCeiling,
                                                           room > overhead ? room - overhead : 0)});
}

absl::StatusOr<WriteResult> Engine::Impl::Apply(absl::Span<const Record> records,
                                                Atomicity atomicity) {
  SLIP_RETURN_IF_ERROR(CheckRecords(records, atomicity));
  for (const Record& record : records) clock_.Observe(record.version.hlc);
  // Records that need not become visible together go a frame at a time.
  const uint64_t chunk_bytes_max =
      std::min<uint64_t>(options_.frame_bytes_target, log_->payload_bytes_max());
  WriteResult result;
  for (size_t next = 0; next < records.size();) {
    RecordBatch batch;
    for (; next < records.size(); ++next) {
      const Record& record = records[next];
      PendingRecord pending = MakePending(record.tombstone, record.key, record.value);
      batch.Compress(pending, options_.compression);
      const bool full =
          !batch.records.empty() && batch.payload_bytes + pending.bytes() > chunk_bytes_max;
      if (atomicity == Atomicity::kEach && full) break;
      pending.header.hlc = record.version.hlc;
      pending.header.actor = static_cast<uint64_t>(record.version.actor);
      pending.header.sequence = record.sequence;
      pending.header.expires_at_ms = record.expires_at_ms;
      batch.Add(pending, base::KeyIdOf(record.key));
    }
    SLIP_ASSIGN_OR_RETURN(const Lsn lsn, ApplyBatch(batch, atomicity, result.applied_count));
    if (lsn != 0) result.lsn = lsn;
  }
  return result;
}

// Appends those records of `offered` that are newer than what is stored, and adds their number to
// `applied_count`. 0 if there are none.
absl::StatusOr<Lsn> Engine::Impl::ApplyBatch(const RecordBatch& offered, Atomicity atomicity,
                                             size_t& applied_count) {
  HelpIfLate(offered.payload_bytes);
  SLIP_RETURN_IF_ERROR(MakeMemory());
  for (;;) {
    // For all of them and a Commit, though some may be skipped.
    SLIP_RETURN_IF_ERROR(log_->EnsureRoom(
        std::min(offered.payload_bytes + kRecordHeaderBytes, log_->payload_bytes_max()),
        offered.purpose()));
    SLIP_ASSIGN_OR_RETURN(const Known known, MakeKnown(offered.key_ids));
    KeyDir::Exclusive locked(&keydir_, offered.stripes);
    if (!IsKnown(offered.key_ids, known, locked)) continue;
    RecordBatch batch;
    for (size_t i = 0; i < offered.key_ids.size(); ++i) {
      const PendingRecord& record = offered.records[i];
      KeyDir::Shard& shard = locked.shard(offered.key_ids[i].shard());
      // A dot of this node's own that comes back from a replica is never given again.
      if (record.header.actor == identity_.actor) {
        shard.last_sequence = std::max(shard.last_sequence, record.header.sequence);
      }
      if (!shard.table.WouldTake(offered.key_ids[i], VersionOf(record.header))) continue;
      batch.Add(record, offered.key_ids[i]);
    }
    if (batch.records.empty()) return Lsn{0};
    if (atomicity == Atomicity::kAll && batch.records.size() > 1) batch.AddCommit(NextTxId());
    for (PendingRecord& record : batch.records) SetCrc(record);
    SLIP_RETURN_IF_ERROR(Admit(batch, locked));
    SLIP_ASSIGN_OR_RETURN(const Lsn lsn,
                          log_->TryAppend(absl::MakeSpan(batch.records), offered.purpose()));
    if (lsn == 0) continue;
    apply_count_.fetch_add(1, std::memory_order_acq_rel);
    Publish(batch, locked);
    applied_count += batch.key_ids.size();
    return lsn;
  }
}

}  // namespace slipstream::storage

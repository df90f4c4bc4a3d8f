// The engine's side of streamed transactions: how their writes reach the log, how a Commit makes
// them current, and what keeps compaction from taking either too early.

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_format.h"
#include "base/check.h"
#include "base/error_reason.h"
#include "base/status_macros.h"
#include "storage/ceilings.h"
#include "storage/compression.h"
#include "storage/engine_impl.h"
#include "storage/stream_commit.h"

namespace slipstream::storage {
namespace {

absl::Status IsOver() { return absl::FailedPreconditionError("the stream of writes is over"); }

// What of the Commit is known before it is appended.
StreamCommit CommitOf(const WriteStream& stream, uint64_t actor) {
  StreamCommit commit{.tx_id = stream.tx_id, .hlc = 0, .actor = actor};
  for (const StreamedRecord& record : stream.records) {
    const Location& location = record.location;
    const bool goes_on =
        !commit.extents.empty() && commit.extents.back().segment_number == location.segment_number;
    if (!goes_on) {
      commit.extents.push_back(
          {.segment_number = location.segment_number, .first_offset = location.offset});
    }
    commit.extents.back().last_offset = location.offset;
    ++commit.extents.back().record_count;
  }
  for (uint32_t shard = 0; shard < base::kShardCount; ++shard) {
    const uint32_t count = stream.record_counts[shard];
    if (count != 0) commit.shards.push_back({.shard = shard, .record_count = count});
  }
  return commit;
}

}  // namespace

absl::Status Engine::Impl::Stream(absl::Span<const Mutation> mutations, WriteStream& stream) {
  if (stream.state != WriteStream::State::kOpen) return IsOver();
  const Limits& limits = options_.limits;
  const uint64_t operations_left = limits.transaction_operations_max - stream.records.size();
  const uint64_t bytes_left = limits.transaction_bytes_max - stream.bytes;
  SLIP_RETURN_IF_ERROR(CheckMutations(mutations, Atomicity::kEach, limits,
                                      {.operations = operations_left, .bytes = bytes_left}));
  if (stream.tx_id == 0) stream.tx_id = NextTxId();
  // A frame at a time, so that others get in between.
  const uint64_t chunk_bytes_max =
      std::min<uint64_t>(options_.frame_bytes_target, log_->payload_bytes_max());
  for (size_t next = 0; next < mutations.size();) {
    RecordBatch batch;
    for (; next < mutations.size(); ++next) {
      const Mutation& mutation = mutations[next];
      PendingRecord pending =
          MakePending(mutation.kind == Mutation::Kind::kDelete, mutation.key, mutation.value);
      batch.Compress(pending, options_.compression);
      if (!batch.records.empty() && batch.payload_bytes + pending.bytes() > chunk_bytes_max) break;
      pending.header.expires_at_ms = mutation.expires_at_ms;
      batch.Add(pending, base::KeyIdOf(mutation.key));
    }
    if (const absl::Status status = StreamBatch(batch, stream); !status.ok()) {
      stream.state = WriteStream::State::kFailed;
      return status;
    }
  }
  return absl::OkStatus();
}

// Appends the records of `batch`, which nobody sees.
absl::Status Engine::Impl::StreamBatch(RecordBatch& batch, WriteStream& stream) {
  for (size_t i = 0; i < batch.records.size(); ++i) {
    RecordHeader& header = batch.records[i].header;
    header.flags = kRecordFlagStreamed;
    header.tx_id = stream.tx_id;
    header.hlc = stream.records.size() + i + 1;
    header.actor = identity_.actor;
    header.sequence = ++stream.record_counts[batch.key_ids[i].shard()];
    SetCrc(batch.records[i]);
  }
  HelpIfLate(batch.payload_bytes);
  for (Lsn lsn = 0; lsn == 0;) {
    SLIP_RETURN_IF_ERROR(log_->EnsureRoom(batch.payload_bytes, AppendPurpose::kWrite));
    stream_pins_.Expect(stream.tx_id, log_->append_position().segment_number);
    // As a write's: a checkpoint must know on which side of it each of them is.
    KeyDir::Exclusive locked(&keydir_, batch.stripes);
    SLIP_ASSIGN_OR_RETURN(lsn,
                          log_->TryAppend(absl::MakeSpan(batch.records), AppendPurpose::kWrite));
    if (lsn == 0) continue;
    for (size_t i = 0; i < batch.records.size(); ++i) {
      AddDead(batch.records[i].location, batch.records[i].bytes(),
              locked.shard(batch.key_ids[i].shard()));
    }
  }
  std::set<uint64_t> segment_numbers;
  for (size_t i = 0; i < batch.records.size(); ++i) {
    const PendingRecord& record = batch.records[i];
    segment_numbers.insert(record.location.segment_number);
    stream.bytes += record.header.key_bytes + uint64_t{record.header.raw_bytes};
    stream.records.push_back({.key_id = batch.key_ids[i],
                              .location = record.location,
                              .sequence = record.header.sequence,
                              .expires_at_ms = record.header.expires_at_ms,
                              .value_digest = record.header.value_digest,
                              .record_bytes = static_cast<uint32_t>(record.bytes()),
                              .stored_bytes = record.header.stored_bytes,
                              .raw_bytes = record.header.raw_bytes,
                              .tombstone = record.header.type == RecordType::kDelete});
  }
  stream.stripes |= batch.stripes;
  stream_pins_.Settle(stream.tx_id, segment_numbers);
  return absl::OkStatus();
}

absl::StatusOr<ReadResult> Engine::Impl::ReadStreamed(const StreamedRecord& streamed) {
  if (streamed.tombstone) return ReadResult{};
  SLIP_ASSIGN_OR_RETURN(const LogBytes bytes, log_->Read(streamed.location, streamed.record_bytes));
  absl::StatusOr<RecordView> record = DecodeRecord(bytes.view());
  if (record.ok() &&
      (!IsStreamed(record->header) || base::KeyIdOf(record->key) != streamed.key_id ||
       record->header.value_digest != streamed.value_digest)) {
    record = absl::DataLossError("another record stands here");
  }
  if (!record.ok()) {
    return base::WithReason(absl::DataLossError(absl::StrFormat(
                                "segment %d offset %d: %s", streamed.location.segment_number,
                                streamed.location.offset, std::string(record.status().message()))),
                            base::kReasonRecordDamaged);
  }
  ReadResult result{.found = true, .expires_at_ms = streamed.expires_at_ms};
  if (record->header.codec == Codec::kNone) {
    result.value = std::string(record->value);
  } else {
    SLIP_ASSIGN_OR_RETURN(result.value, DecompressValue(record->header, record->value));
  }
  return result;
}

absl::StatusOr<WriteResult> Engine::Impl::CommitStream(absl::Span<const Precondition> preconditions,
                                                       WriteStream& stream, absl::Time now) {
  if (stream.state != WriteStream::State::kOpen) return IsOver();
  if (stream.records.empty()) return Transact(preconditions, {}, now);
  SLIP_ASSIGN_OR_RETURN(const Guard guard, MakeGuard(preconditions));
  StreamCommit commit = CommitOf(stream, identity_.actor);
  const uint64_t commit_bytes = kRecordHeaderBytes + EncodeStreamCommit(commit).size();
  if (commit_bytes > log_->payload_bytes_max()) {
    return base::WithReason(
        absl::ResourceExhaustedError(absl::StrFormat(
            "the transaction's records stand in %d segments: its Commit of %d bytes would be "
            "larger than the %d that a segment holds",
            commit.extents.size(), commit_bytes, log_->payload_bytes_max())),
        base::kReasonTransactionSize);
  }
  SLIP_RETURN_IF_ERROR(MakeMemory());
  WriteResult result;
  while (result.lsn == 0) {
    SLIP_RETURN_IF_ERROR(log_->EnsureRoom(commit_bytes, AppendPurpose::kWrite));
    SLIP_ASSIGN_OR_RETURN(const Known known, MakeKnown(guard.key_ids));
    KeyDir::Exclusive locked(&keydir_, stream.stripes | guard.stripes);
    if (!IsKnown(guard.key_ids, known, locked)) continue;
    SLIP_RETURN_IF_ERROR(CheckGuard(guard, now, locked));
    SLIP_ASSIGN_OR_RETURN(result.lsn, AppendCommit(commit, now, locked));
    if (result.lsn == 0) continue;
    // Before anybody can see what it makes visible. Others may commit at the same time.
    for (Lsn seen = stream_lsn_.load(std::memory_order_relaxed);
         seen < result.lsn && !stream_lsn_.compare_exchange_weak(seen, result.lsn);) {
    }
    PublishStream(stream, commit, locked, result);
  }
  stream.state = WriteStream::State::kOver;
  stream_pins_.Release(stream.tx_id);
  return result;
}

// Gives the transaction its versions and dots and appends `commit`; 0, or an error, if it was not
// appended: then the dots were not given.
absl::StatusOr<Lsn> Engine::Impl::AppendCommit(StreamCommit& commit, absl::Time now,
                                               KeyDir::Exclusive& locked) {
  SLIP_RETURN_IF_ERROR(CheckClock(std::max(clock_.last(), base::HlcFromTime(now))));
  for (StreamShard& dots : commit.shards) {
    KeyDir::Shard& shard = locked.shard(static_cast<uint8_t>(dots.shard));
    SLIP_RETURN_IF_ERROR(
        CheckDots(static_cast<uint8_t>(dots.shard), shard.last_sequence, dots.record_count));
    SLIP_RETURN_IF_ERROR(shard.table.Admit(base::ActorId{commit.actor}));
    dots.last_sequence = shard.last_sequence;
  }
  commit.hlc = clock_.Next(now, 1 + commit.record_count());
  const std::string value = EncodeStreamCommit(commit);
  PendingRecord pending{
      .header = StreamCommitRecordHeader(commit, value), .key = {}, .value = value};
  SetCrc(pending);
  SLIP_ASSIGN_OR_RETURN(const Lsn lsn,
                        log_->TryAppend(absl::MakeSpan(&pending, 1), AppendPurpose::kWrite));
  if (lsn == 0) return lsn;
  for (const StreamShard& dots : commit.shards) {
    locked.shard(static_cast<uint8_t>(dots.shard)).last_sequence += dots.record_count;
  }
  return lsn;
}

// Makes current what `commit` commits, and says in `result` with which versions and dots.
void Engine::Impl::PublishStream(const WriteStream& stream, const StreamCommit& commit,
                                 KeyDir::Exclusive& locked, WriteResult& result) {
  std::array<uint64_t, base::kShardCount> last_sequences = {};
  for (const StreamShard& dots : commit.shards) last_sequences[dots.shard] = dots.last_sequence;
  uint64_t raw_bytes = 0;
  uint64_t stored_bytes = 0;
  uint64_t number = 0;
  for (const StreamedRecord& record : stream.records) {
    const uint8_t index = record.key_id.shard();
    const base::Version version{.hlc = commit.hlc + ++number, .actor = base::ActorId{commit.actor}};
    const uint64_t sequence = last_sequences[index] + record.sequence;
    raw_bytes += record.raw_bytes;
    stored_bytes += record.stored_bytes;
    KeyDir::Shard& shard = locked.shard(index);
    Revive(record.location, record.record_bytes, shard);
    const bool changed = Upsert({.entry = {.key_id = record.key_id,
                                           .version = version,
                                           .sequence = sequence,
                                           .expires_at_ms = record.expires_at_ms,
                                           .value_digest = record.value_digest,
                                           .record_bytes = record.record_bytes,
                                           .tombstone = record.tombstone},
                                 .location = record.location},
                                shard);
    if (changed) Notify(record.key_id);
    result.versions.push_back(version);
    result.sequences.push_back(sequence);
  }
  result.applied_count = stream.records.size();
  raw_value_bytes_.fetch_add(raw_bytes, std::memory_order_relaxed);
  stored_value_bytes_.fetch_add(stored_bytes, std::memory_order_relaxed);
}

void Engine::Impl::RollBackStream(WriteStream& stream) {
  const bool is_over = stream.state == WriteStream::State::kOver;
  stream.state = WriteStream::State::kOver;
  if (is_over || stream.tx_id == 0) return;
  stream_pins_.Release(stream.tx_id);
  // For whoever reads the log. A start takes what has no end for rolled back, so nothing depends on
  // whether there is room.
  PendingRecord rollback;
  rollback.header.type = RecordType::kRollback;
  rollback.header.flags = kRecordFlagStreamed;
  rollback.header.tx_id = stream.tx_id;
  SetCrc(rollback);
  log_->TryAppend(absl::MakeSpan(&rollback, 1), AppendPurpose::kWrite).IgnoreError();
}

// Returns whether the record at `location`, and the Commit that it may have needed, are durable.
bool Engine::Impl::IsDurable(const Location& location) const {
  return log_->IsDurable(location) &&
         stream_lsn_.load(std::memory_order_acquire) <= log_->durable_lsn();
}

// What the records of a Commit need it for is a start that reads the log from its beginning.
absl::Status Engine::Impl::MoveCommit(const RecordView& record, const Location& from) {
  SLIP_ASSIGN_OR_RETURN(StreamCommit commit, DecodeStreamCommit(record));
  const bool is_needed =
      std::any_of(commit.extents.begin(), commit.extents.end(), [&](const StreamExtent& extent) {
        return extent.segment_number != from.segment_number &&
               log_->FindFile(extent.segment_number) != nullptr;
      });
  if (!is_needed) return absl::OkStatus();
  if (commit.first_place.segment_number == 0) commit.first_place = from;
  const std::string value = EncodeStreamCommit(commit);
  PendingRecord copy{.header = StreamCommitRecordHeader(commit, value), .key = {}, .value = value};
  SetCrc(copy);
  if (copy.bytes() > log_->payload_bytes_max()) {
    return absl::FailedPreconditionError(
        absl::StrFormat("commit of %d bytes, more than the %d that a segment holds now",
                        copy.bytes(), log_->payload_bytes_max()));
  }
  for (Lsn lsn = 0; lsn == 0;) {
    SLIP_RETURN_IF_ERROR(log_->EnsureRoom(copy.bytes(), AppendPurpose::kCompact));
    SLIP_ASSIGN_OR_RETURN(lsn, log_->TryAppend(absl::MakeSpan(&copy, 1), AppendPurpose::kCompact));
  }
  return absl::OkStatus();
}

}  // namespace slipstream::storage

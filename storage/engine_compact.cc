// The engine's side of compaction: which record is current, how a copy replaces it, which records
// are dead, and what the manifest must remember.

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/types/span.h"
#include "base/check.h"
#include "base/error_reason.h"
#include "base/status_macros.h"
#include "storage/engine_impl.h"

namespace slipstream::storage {

absl::StatusOr<bool> Engine::Impl::Maintain() {
  // On a full disk compaction comes first: each try to prepare a segment writes until it fails.
  if (log_->is_out_of_space()) {
    const absl::StatusOr<bool> freed = compactor_->Step();
    if (freed.ok() ? *freed : !absl::IsResourceExhausted(freed.status())) return freed;
    return log_->Maintain();
  }
  const absl::StatusOr<bool> prepared = log_->Maintain();
  if (!prepared.ok() ? !absl::IsResourceExhausted(prepared.status()) : *prepared) return prepared;
  SLIP_ASSIGN_OR_RETURN(const bool compacted, compactor_->Step());
  if (compacted) return true;
  return prepared;
}

// Returns whether `record`, which stands at `location`, is the current one of its key. DATA_LOSS if
// it is, but is not what its entry says.
absl::StatusOr<bool> Engine::Impl::IsCurrent(const base::KeyId& key_id, const RecordView& record,
                                             const Location& location,
                                             KeyDir::Exclusive& locked) const {
  const absl::optional<LocatedEntry> located = locked.shard(key_id.shard()).table.Find(key_id);
  if (!located.has_value() || located->location != location) return false;
  if (located->damaged || located->entry.version != record.version()) {
    return absl::DataLossError(absl::StrFormat("segment %d offset %d: a damaged record is current",
                                               location.segment_number, location.offset));
  }
  return true;
}

absl::StatusOr<bool> Engine::Impl::MoveIfCurrent(const RecordView& record, const Location& from) {
  const base::KeyId key_id = base::KeyIdOf(record.key);
  const StripeMask stripe = StripeOf(key_id.shard());
  {
    // No room need be made for what is dead.
    KeyDir::Exclusive locked(&keydir_, stripe);
    SLIP_ASSIGN_OR_RETURN(const bool current, IsCurrent(key_id, record, from, locked));
    if (!current) return false;
  }
  PendingRecord copy{.header = record.header, .key = record.key, .value = record.value};
  copy.header.tx_id = 0;  // Its transaction is whole already; the copy stands alone.
  copy.header.crc32c = RecordCrc(copy.header, copy.key, copy.value);
  if (copy.bytes() > log_->payload_bytes_max()) {
    return absl::FailedPreconditionError(
        absl::StrFormat("record of %d bytes, more than the %d that a segment holds now",
                        copy.bytes(), log_->payload_bytes_max()));
  }
  for (;;) {
    SLIP_RETURN_IF_ERROR(log_->EnsureRoom(copy.bytes(), AppendPurpose::kCompact));
    KeyDir::Exclusive locked(&keydir_, stripe);
    SLIP_ASSIGN_OR_RETURN(const bool current, IsCurrent(key_id, record, from, locked));
    if (!current) return false;
    SLIP_ASSIGN_OR_RETURN(const Lsn lsn,
                          log_->TryAppend(absl::MakeSpan(&copy, 1), AppendPurpose::kCompact));
    if (lsn == 0) continue;
    SLIP_CHECK(locked.shard(key_id.shard()).table.Move(key_id, from, copy.location));
    segment_table_.AddDead(from.segment_number, record.bytes());
    return true;
  }
}

// Counts what an Upsert of the record at `location` has left dead: that record, or what it
// replaced.
void Engine::Impl::CountDead(const UpsertResult& result, const Location& location,
                             uint64_t record_bytes) {
  if (result.taken) {
    segment_table_.AddDead(result.replaced.segment_number, result.replaced_bytes);
  } else {
    segment_table_.AddDead(location.segment_number, record_bytes);
  }
}

Manifest Engine::Impl::Floor() {
  Manifest manifest;
  manifest.header.node_id = identity_.node_id;
  manifest.header.actor = identity_.actor;
  for (int shard = 0; shard < base::kShardCount; ++shard) {
    const uint8_t index = static_cast<uint8_t>(shard);
    KeyDir::Exclusive locked(&keydir_, StripeOf(index));
    manifest.header.last_sequences[index] = locked.shard(index).last_sequence;
  }
  manifest.header.last_hlc = clock_.last();
  manifest.header.last_tx_id = last_tx_id_.load(std::memory_order_relaxed);
  return manifest;
}

// Reads the manifest, if there is one; a damaged one is left out if the rest may be served.
absl::Status Engine::Impl::LoadManifest() {
  absl::StatusOr<Manifest> manifest = ReadManifest(fs_, directory_);
  if (absl::IsNotFound(manifest.status())) return absl::OkStatus();
  if (absl::IsDataLoss(manifest.status())) {
    report_.manifest_damaged = true;
    if (options_.on_damage == OnDamage::kServeRest) return absl::OkStatus();
    return base::WithReason(
        absl::DataLossError(absl::StrCat(
            manifest.status().message(),
            ": which segments were dropped is unknown. A node with peers serves the rest under a "
            "new actor; alone, restore a backup or accept that what is missing may be a loss.")),
        base::kReasonLogDamaged);
  }
  SLIP_RETURN_IF_ERROR(manifest.status());
  if (identity_.node_id != 0 && manifest->header.node_id != identity_.node_id) {
    return base::WithReason(
        absl::FailedPreconditionError(
            absl::StrFormat("%s: its manifest belongs to node %016x, this directory to node %016x",
                            directory_, manifest->header.node_id, identity_.node_id)),
        base::kReasonDirectoryForeign);
  }
  manifest_ = *std::move(manifest);
  return absl::OkStatus();
}

// Makes sure that nothing that a dropped record may have had is given again.
void Engine::Impl::RaiseToManifest() {
  const ManifestHeader& floor = manifest_.header;
  clock_.Observe(floor.last_hlc);
  last_tx_id_ = std::max(last_tx_id_.load(), floor.last_tx_id);
  if (floor.actor != identity_.actor) return;
  KeyDir::Exclusive locked(&keydir_, kAllStripes);
  for (int shard = 0; shard < base::kShardCount; ++shard) {
    uint64_t& last = locked.shard(static_cast<uint8_t>(shard)).last_sequence;
    last = std::max(last, floor.last_sequences[static_cast<size_t>(shard)]);
  }
}

}  // namespace slipstream::storage

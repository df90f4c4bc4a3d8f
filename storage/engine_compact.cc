// The engine's side of compaction: which record is current, how a copy replaces it, which records
// are dead, and what the manifest must remember.

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/types/span.h"
#include "base/check.h"
#include "base/error_reason.h"
#include "base/status_macros.h"
#include "storage/engine_impl.h"

namespace slipstream::storage {
namespace {

// Memory for what a search in the runs looks for and finds, as a multiple of what a step copies.
constexpr size_t kSearchBytesPerStepByte = 16;

}  // namespace

// Looks for the entry whose record is the one at `location`, in memory and, where that does not
// have the key, in the runs; absent if the record is not current. DATA_LOSS if it is, but is not
// what its entry says.
absl::StatusOr<Held> Engine::Impl::FindHolder(const base::KeyId& key_id, const RecordView& record,
                                              const Location& location) {
  Held held;
  {
    KeyDir::Exclusive locked(&keydir_, StripeOf(key_id.shard()));
    const KeyDir::Shard& shard = locked.shard(key_id.shard());
    held.located = shard.table.Find(key_id);
    held.is_hot = held.located.has_value() || shard.complete;
  }
  const RunSearch::Found searched =
      held.is_hot || !search_.has_value() ? RunSearch::Found{} : search_->Find(location);
  if (searched.verdict == RunSearch::Verdict::kDead) return held;
  if (searched.verdict == RunSearch::Verdict::kCurrent &&
      sorted_log_.generation() == search_generation_) {
    held.located = *searched.located;
    held.generation = search_generation_;
  } else if (!held.is_hot) {
    const SortedLog::View view = sorted_log_.view();
    const absl::StatusOr<absl::optional<RunEntry>> found = view.runs->Find(key_id);
    if (!found.ok()) return StopOver(found.status());
    if (found->has_value()) held.located = (*found)->located;
    held.generation = view.generation;
  }
  if (!held.located.has_value() || held.located->location != location) {
    held.located.reset();
    return held;
  }
  if (held.located->damaged || !HasVersionOf(held.located->entry, record)) {
    return absl::DataLossError(absl::StrFormat("segment %d offset %d: a damaged record is current",
                                               location.segment_number, location.offset));
  }
  return held;
}

bool Engine::Impl::MustSearch() {
  return !sorted_log_.view().runs->runs().empty() && !keydir_.stats().complete;
}

bool Engine::Impl::Note(const RecordView& record, const Location& from) {
  if (!search_.has_value()) {
    search_.emplace(fs_, kSearchBytesPerStepByte * options_.compaction_step_bytes);
  }
  if (search_->full()) return false;
  const base::KeyId key_id = base::KeyIdOf(record.key);
  KeyDir::Exclusive locked(&keydir_, StripeOf(key_id.shard()));
  const KeyDir::Shard& shard = locked.shard(key_id.shard());
  const bool is_hot = shard.complete || shard.table.Find(key_id).has_value();
  if (!is_hot) search_->Want(key_id, from);
  return true;
}

absl::StatusOr<bool> Engine::Impl::SearchSome(uint64_t read_bytes_max) {
  if (!search_.has_value()) return false;
  if (!search_->started()) {
    // After the look into memory: what had left it is in these runs. So a record that they do not
    // name is dead for good; that one is current holds while they are in force.
    SortedLog::View view = sorted_log_.view();
    search_generation_ = view.generation;
    search_->Start(std::move(view.runs));
  }
  absl::StatusOr<bool> more = search_->Step(read_bytes_max);
  return more.ok() ? more : StopOver(more.status());
}

absl::StatusOr<bool> Engine::Impl::MoveIfCurrent(const RecordView& record, const Location& from) {
  const base::KeyId key_id = base::KeyIdOf(record.key);
  for (;;) {
    SLIP_ASSIGN_OR_RETURN(const Held held, FindHolder(key_id, record, from));
    // Most of what a victim holds is dead: no copy is made, nor room for one, before that is known.
    if (!held.located.has_value()) return false;
    PendingRecord copy{.header = record.header, .key = record.key, .value = record.value};
    // Its transaction is whole already; the copy stands alone.
    copy.header.tx_id = 0;
    copy.header.flags = 0;
    copy.header.hlc = held.located->entry.version.hlc;
    copy.header.sequence = held.located->entry.sequence;
    copy.header.crc32c = RecordCrc(copy.header, copy.key, copy.value);
    if (copy.bytes() > log_->payload_bytes_max()) {
      return absl::FailedPreconditionError(
          absl::StrFormat("record of %d bytes, more than the %d that a segment holds now",
                          copy.bytes(), log_->payload_bytes_max()));
    }
    SLIP_RETURN_IF_ERROR(log_->EnsureRoom(copy.bytes(), AppendPurpose::kCompact));
    KeyDir::Exclusive locked(&keydir_, StripeOf(key_id.shard()));
    KeyDir::Shard& shard = locked.shard(key_id.shard());
    const absl::optional<LocatedEntry> hot = shard.table.Find(key_id);
    const bool holds = hot.has_value() ? hot->location == from
                                       : !held.is_hot && !shard.complete &&
                                             sorted_log_.generation() == held.generation;
    if (!holds) continue;
    SLIP_RETURN_IF_ERROR(shard.table.Admit(record.version().actor));
    SLIP_ASSIGN_OR_RETURN(const Lsn lsn,
                          log_->TryAppend(absl::MakeSpan(&copy, 1), AppendPurpose::kCompact));
    if (lsn == 0) continue;
    if (hot.has_value()) {
      SLIP_CHECK(shard.table.Move(key_id, from, copy.location));
    } else {
      InsertMoved(*held.located, copy.location, shard);
    }
    AddDead(from, record.bytes(), shard);
    value_cache_.Move({.key_id = key_id, .location = from}, copy.location);
    return true;
  }
}

// Takes a cold entry, whose record was copied to `location`, into memory.
void Engine::Impl::InsertMoved(LocatedEntry located, const Location& location,
                               KeyDir::Shard& shard) {
  located.location = location;
  const uint64_t bytes_before = shard.table.bytes();
  shard.table.InsertMoved(located);
  hot_.bytes.fetch_add(shard.table.bytes() - bytes_before, std::memory_order_relaxed);
}

// Counts a record of `shard` as dead.
void Engine::Impl::AddDead(const Location& location, uint64_t record_bytes,
                           const KeyDir::Shard& shard) {
  segment_table_.AddDead(
      location.segment_number, record_bytes,
      shard.collected ? SegmentTable::Shard::kCollected : SegmentTable::Shard::kNotCollected);
}

// Takes back that a streamed record of `shard` counted as dead.
void Engine::Impl::Revive(const Location& location, uint64_t record_bytes,
                          const KeyDir::Shard& shard) {
  segment_table_.Revive(
      location.segment_number, record_bytes,
      shard.collected ? SegmentTable::Shard::kCollected : SegmentTable::Shard::kNotCollected);
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

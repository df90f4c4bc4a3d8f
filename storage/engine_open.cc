// The beginning and the end of an engine's life: the directory, its identity, recovery, Close.

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "base/check.h"
#include "base/coding.h"
#include "base/digest.h"
#include "base/error_reason.h"
#include "base/status_macros.h"
#include "storage/engine_impl.h"
#include "storage/index_file.h"
#include "storage/log_recovery.h"
#include "storage/run_format.h"
#include "storage/run_reader.h"
#include "storage/segment.h"

namespace slipstream::storage {
namespace {

// Damaged ranges that a refusal spells out.
constexpr size_t kRangesShownMax = 8;

// What a directory holds.
struct Inventory {
  bool has_identity = false;
  std::vector<uint64_t> segment_numbers;  // Ascending.
  std::vector<uint64_t> run_numbers;
  std::vector<std::string> temporary_names;  // Of files that were not finished.
  std::vector<std::string> other_names;
};

bool IsOurs(absl::string_view name) {
  return name == kIdentityFileName || name == kManifestFileName || name == kIndexFileName ||
         ParseSegmentFileName(name).has_value() || ParseRunFileName(name).has_value();
}

Inventory TakeInventory(const std::vector<std::string>& names) {
  Inventory inventory;
  for (const std::string& name : names) {
    const std::string finished = name.substr(0, name.size() - std::min<size_t>(4, name.size()));
    if (name == kIdentityFileName) {
      inventory.has_identity = true;
    } else if (name == kManifestSpareFileName) {
      inventory.temporary_names.push_back(name);
    } else if (const absl::optional<uint64_t> number = ParseSegmentFileName(name)) {
      inventory.segment_numbers.push_back(*number);
    } else if (const absl::optional<uint64_t> run_number = ParseRunFileName(name)) {
      inventory.run_numbers.push_back(*run_number);
    } else if (name == TemporaryName(finished) && IsOurs(finished)) {
      inventory.temporary_names.push_back(name);
    } else if (name == kIndexFileName) {
      // Derived: says nothing about whose directory it is.
    } else if (name != "lock" && name != "lost+found") {
      inventory.other_names.push_back(name);
    }
  }
  std::sort(inventory.segment_numbers.begin(), inventory.segment_numbers.end());
  return inventory;
}

absl::StatusOr<Inventory> ListFiles(FileSystem* fs, const std::string& directory) {
  SLIP_ASSIGN_OR_RETURN(const std::vector<std::string> names, fs->ListDirectory(directory));
  return TakeInventory(names);
}

// Names damage by what it cost, which every Open finds alike; 0: it cost nothing.
uint64_t DamageId(const std::vector<DamagedRange>& ranges) {
  std::string losses;
  for (const DamagedRange& range : ranges) {
    if (range.lost_count() == 0) continue;
    for (const uint64_t number : {range.first_lsn, range.last_lsn, range.salvaged_count}) {
      losses.resize(losses.size() + sizeof(number));
      base::StoreLittle(number, losses.data() + losses.size() - sizeof(number));
    }
  }
  if (losses.empty()) return 0;
  return std::max<uint64_t>(1, base::LoadLittle<uint64_t>(base::Sha256(losses).bytes.data()));
}

std::string Describe(const DamagedRange& range) {
  return absl::StrFormat("%d of the records %d to %d (segment %d, offsets %d to %d; %s)",
                         range.lost_count(), range.first_lsn, range.last_lsn, range.segment_number,
                         range.first_offset, range.end_offset, range.cause);
}

Location EndOf(const LogTail& tail) {
  return {.segment_number = static_cast<uint32_t>(tail.segment_number),
          .offset = static_cast<uint32_t>(tail.end_offset)};
}

// Removes segments behind the log's end, the last one first, each durably before the next: a gap
// among them would be taken for a loss.
absl::Status RemoveSegments(FileSystem* fs, const std::string& directory,
                            absl::Span<const uint64_t> numbers) {
  for (const uint64_t number : numbers) {
    SLIP_RETURN_IF_ERROR(fs->Remove(JoinPath(directory, SegmentFileName(number))));
    SLIP_RETURN_IF_ERROR(fs->SyncDirectory(directory));
  }
  return absl::OkStatus();
}

uint64_t NonZero(base::Random* rng) {
  uint64_t number = 0;
  while (number == 0) number = rng->Next();
  return number;
}

}  // namespace

Engine::Impl::Impl(FileSystem* fs, absl::string_view directory, const Options& options,
                   ChangeObserver* observer)
    : fs_(fs),
      directory_(directory),
      options_(options),
      observer_(observer),
      value_cache_(options.value_cache_bytes) {}

absl::StatusOr<std::unique_ptr<Engine::Impl>> Engine::Impl::Open(FileSystem* fs,
                                                                 absl::string_view directory,
                                                                 const Options& options,
                                                                 base::Random* rng,
                                                                 ChangeObserver* observer) {
  SLIP_RETURN_IF_ERROR(ValidateOptions(options));
  std::unique_ptr<Impl> impl(new Impl(fs, directory, options, observer));
  SLIP_RETURN_IF_ERROR(impl->OpenDirectory());
  SLIP_RETURN_IF_ERROR(impl->Recover(rng));
  SLIP_RETURN_IF_ERROR(impl->NotifyAll());
  impl->loaded_.reset();
  return impl;
}

// Makes sure that there is a directory that is, or may become, ours, and takes its lock.
absl::Status Engine::Impl::OpenDirectory() {
  absl::Status listed = fs_->ListDirectory(directory_).status();
  if (absl::IsNotFound(listed) && options_.create_if_missing) {
    SLIP_RETURN_IF_ERROR(fs_->CreateDirectory(directory_));
  } else if (!listed.ok()) {
    return listed;
  }
  SLIP_ASSIGN_OR_RETURN(lock_, fs_->LockDirectory(directory_));
  SLIP_ASSIGN_OR_RETURN(const Inventory inventory, ListFiles(fs_, directory_));
  if (inventory.has_identity) return absl::OkStatus();
  if (!inventory.segment_numbers.empty() || !inventory.other_names.empty()) {
    const std::string& name = inventory.segment_numbers.empty()
                                  ? inventory.other_names.front()
                                  : SegmentFileName(inventory.segment_numbers.front());
    return base::WithReason(
        absl::FailedPreconditionError(absl::StrFormat(
            "%s holds %s but no identity: not a slipstream directory, and not empty", directory_,
            name)),
        base::kReasonDirectoryForeign);
  }
  if (!options_.create_if_missing) {
    return absl::NotFoundError(absl::StrCat(directory_, " holds no store"));
  }
  report_.created = true;
  return absl::OkStatus();
}

absl::Status Engine::Impl::Recover(base::Random* rng) {
  LogRecoveryOptions recovery_options{.segment_bytes = options_.segment_bytes};
  if (report_.created) {
    identity_.node_id = NonZero(rng);
    recovery_options.node_id = identity_.node_id;
  } else if (absl::StatusOr<Identity> identity = ReadIdentity(fs_, directory_); identity.ok()) {
    identity_ = *identity;
    recovery_options.node_id = identity_.node_id;
    recovery_options.durable_lsn = identity_.durable_lsn;
  } else if (!absl::IsDataLoss(identity.status()) || options_.on_damage == OnDamage::kRefuse) {
    return identity.status();
  }
  if (!report_.created) SLIP_RETURN_IF_ERROR(LoadManifest());
  recovery_options.gaps = manifest_.gaps;
  if (!recovery_options.node_id.has_value() && manifest_.header.node_id != 0) {
    recovery_options.node_id = manifest_.header.node_id;
  }
  SLIP_ASSIGN_OR_RETURN(const Inventory inventory, ListFiles(fs_, directory_));
  for (const std::string& name : inventory.temporary_names) {
    SLIP_RETURN_IF_ERROR(fs_->Remove(JoinPath(directory_, name)));
  }
  Runs runs;
  SLIP_RETURN_IF_ERROR(LoadIndex(runs));
  if (loaded_.has_value()) {
    recovery_options.durable_lsn =
        std::max(recovery_options.durable_lsn, loaded_->index.durable_lsn);
  }
  SLIP_ASSIGN_OR_RETURN(LogRecovery recovery, ReadLog(recovery_options));
  // Before the files are removed that bear witness to it.
  SLIP_RETURN_IF_ERROR(JudgeDamage(recovery.report.damaged));
  if (loaded_.has_value() && !CanTrustIndex(recovery)) {
    runs.clear();
    SLIP_RETURN_IF_ERROR(DiscardIndex());
    SLIP_ASSIGN_OR_RETURN(recovery, ReadLog(recovery_options));
    SLIP_RETURN_IF_ERROR(JudgeDamage(recovery.report.damaged));
  }
  LoadDeadBytes(recovery.tail);
  recovery.report.created = report_.created;
  recovery.report.clean = identity_.clean();
  recovery.report.manifest_damaged = report_.manifest_damaged;
  report_ = std::move(recovery.report);
  // A damaged identity does not know its node; the segments, if there are any, do.
  identity_.node_id = recovery.node_id != 0 ? recovery.node_id : NonZero(rng);
  const uint64_t damage_id = DamageId(report_.damaged);
  identity_.durable_lsn = recovery.tail.last_lsn;
  SLIP_RETURN_IF_ERROR(BeginLife(rng, damage_id));
  SLIP_RETURN_IF_ERROR(RemoveSegments(fs_, directory_, recovery.abandoned_numbers));
  OpenLog(std::move(recovery.tail), rng->Fork());
  // Until there is a segment, the identity shows what the file system does here.
  SLIP_ASSIGN_OR_RETURN(const std::unique_ptr<File> identity_file,
                        fs_->OpenDirect(JoinPath(directory_, kIdentityFileName), OpenMode::kRead));
  io_path_ = identity_file->io_path();
  return absl::OkStatus();
}

// Makes what works on the log, which goes on at `tail`.
void Engine::Impl::OpenLog(LogTail tail, base::Random rng) {
  const LogOptions log_options{.node_id = identity_.node_id,
                               .segment_bytes = options_.segment_bytes,
                               .frame_bytes_target = options_.frame_bytes_target,
                               .unflushed_bytes_max = options_.unflushed_bytes_max,
                               .frames_in_flight_max = options_.frames_in_flight_max,
                               .reserve_segments = options_.reserve_segments};
  log_ = std::make_unique<Log>(fs_, directory_, log_options, rng, std::move(tail));
  Index index = loaded_.has_value() ? loaded_->index : Index{};
  index.node_id = identity_.node_id;
  {
    absl::MutexLock lock(&maintain_mutex_);
    checkpointer_ =
        std::make_unique<Checkpointer>(Checkpointer::Parts{.fs = fs_,
                                                           .directory = directory_,
                                                           .keydir = &keydir_,
                                                           .log = log_.get(),
                                                           .sorted_log = &sorted_log_,
                                                           .segment_table = &segment_table_,
                                                           .observer = observer_},
                                       std::move(index));
    UpdateHotBudget();
  }
  compactor_ = std::make_unique<Compactor>(
      fs_, directory_,
      CompactorOptions{.dead_share = options_.compaction_dead_share,
                       .step_bytes = options_.compaction_step_bytes},
      log_.get(), &segment_table_, static_cast<Compactor::Records*>(this),
      std::move(manifest_.gaps));
  scrubber_ = std::make_unique<Scrubber>(options_.scrub_step_bytes, log_.get(), &sorted_log_,
                                         static_cast<Scrubber::Records*>(this));
}

// Reads the log, from where the checkpoint says if there is one, into the KeyDir.
absl::StatusOr<LogRecovery> Engine::Impl::ReadLog(const LogRecoveryOptions& options) {
  SLIP_ASSIGN_OR_RETURN(const Inventory inventory, ListFiles(fs_, directory_));
  std::vector<KnownSegment> known;
  if (loaded_.has_value()) {
    const uint64_t first_needed = loaded_->index.first_position().segment_number;
    for (const IndexSegment& segment : loaded_->index.segments) {
      if (segment.number >= first_needed || (segment.flags & kIndexSegmentFull) == 0) continue;
      known.push_back({.number = segment.number,
                       .record_bytes = segment.record_bytes,
                       .holds_writes = (segment.flags & kIndexSegmentHoldsWrites) != 0,
                       .holds_commits = (segment.flags & kIndexSegmentHoldsCommits) != 0,
                       .damaged = (segment.flags & kIndexSegmentDamaged) != 0});
    }
  }
  LogRecoveryOptions from = options;
  from.known_segments = known;
  if (loaded_.has_value()) from.known_before = loaded_->index.first_position();
  return RecoverLog(fs_, directory_, inventory.segment_numbers, from,
                    [this](const RecoveredRecord& recovered) { return Restore(recovered); });
}

// Takes over the account of dead bytes, of those segments that are still there.
void Engine::Impl::LoadDeadBytes(const LogTail& tail) {
  if (!loaded_.has_value()) return;
  for (const IndexSegment& segment : loaded_->index.segments) {
    const bool in_use =
        std::any_of(tail.segments.begin(), tail.segments.end(),
                    [&segment](const auto& each) { return each->number == segment.number; });
    if (in_use) segment_table_.AddDead(segment.number, segment.dead_bytes);
  }
}

// Reads the checkpoint, if there is a whole one, into loaded_ and opens its runs. Files that it
// does not name are removed; if something is wrong with it, all of them.
absl::Status Engine::Impl::LoadIndex(Runs& runs) {
  absl::StatusOr<LoadedIndex> loaded = ReadIndex(fs_, directory_);
  if (loaded.ok() && loaded->index.node_id == identity_.node_id) {
    loaded_ = *std::move(loaded);
  } else if (!loaded.ok() && !absl::IsNotFound(loaded.status()) &&
             !absl::IsDataLoss(loaded.status())) {
    return loaded.status();
  }
  if (!loaded_.has_value()) return DiscardIndex();
  for (const uint64_t number : loaded_->index.run_numbers) {
    absl::StatusOr<std::shared_ptr<const SortedRun>> run =
        SortedRun::Open(fs_, directory_, {.node_id = identity_.node_id, .run_number = number});
    // Whatever is wrong with it, the log has all that it says.
    if (absl::IsNotFound(run.status()) || absl::IsDataLoss(run.status()) ||
        absl::IsUnavailable(run.status()) || absl::IsOutOfRange(run.status())) {
      runs.clear();
      return DiscardIndex();
    }
    SLIP_RETURN_IF_ERROR(run.status());
    runs.push_back(*std::move(run));
  }
  SLIP_RETURN_IF_ERROR(RemoveOtherRuns(loaded_->index.run_numbers));
  const Index& index = loaded_->index;
  clock_.Observe(index.last_hlc);
  last_tx_id_ = std::max(last_tx_id_.load(), index.last_tx_id);
  sorted_log_.Replace(runs);
  KeyDir::Exclusive locked(&keydir_, kAllStripes);
  for (int i = 0; i < base::kShardCount; ++i) {
    KeyDir::Shard& shard = locked.shard(static_cast<uint8_t>(i));
    shard.complete = runs.empty();
    if (index.actor == identity_.actor) shard.last_sequence = index.shards[i].last_sequence;
  }
  return absl::OkStatus();
}

// Returns whether the log has all that the checkpoint knows of. If it lost some, the runs and the
// tree would go on claiming it.
bool Engine::Impl::CanTrustIndex(const LogRecovery& recovery) const {
  if (loaded_->index.last_position() > EndOf(recovery.tail)) return false;
  const uint64_t damage_id = DamageId(recovery.report.damaged);
  return damage_id == 0 || damage_id == identity_.accepted_damage;
}

// Forgets the checkpoint and removes its files: all is read from the log.
absl::Status Engine::Impl::DiscardIndex() {
  loaded_.reset();
  sorted_log_.Replace({});
  keydir_.Clear();
  segment_table_.Clear();
  hot_.bytes = 0;
  const absl::Status removed = fs_->Remove(JoinPath(directory_, kIndexFileName));
  if (!removed.ok() && !absl::IsNotFound(removed)) return removed;
  if (removed.ok()) SLIP_RETURN_IF_ERROR(fs_->SyncDirectory(directory_));
  return RemoveOtherRuns({});
}

absl::Status Engine::Impl::RemoveOtherRuns(absl::Span<const uint64_t> kept_numbers) {
  SLIP_ASSIGN_OR_RETURN(const Inventory inventory, ListFiles(fs_, directory_));
  for (const uint64_t number : inventory.run_numbers) {
    if (std::find(kept_numbers.begin(), kept_numbers.end(), number) != kept_numbers.end()) continue;
    SLIP_RETURN_IF_ERROR(fs_->Remove(JoinPath(directory_, RunFileName(number))));
  }
  return absl::OkStatus();
}

// Takes a record of the log into the KeyDir, unless the runs have it or what superseded it.
absl::Status Engine::Impl::Restore(const RecoveredRecord& recovered) {
  const RecordView& record = recovered.record;
  const Location& location = recovered.location;
  const base::KeyId key_id = base::KeyIdOf(record.key);
  if (loaded_.has_value() && recovered.effect < loaded_->index.shards[key_id.shard()].position()) {
    return absl::OkStatus();
  }
  last_tx_id_ = std::max(last_tx_id_.load(), record.header.tx_id);
  KeyDir::Exclusive locked(&keydir_, StripeOf(key_id.shard()));
  KeyDir::Shard& shard = locked.shard(key_id.shard());
  if (recovered.fate == RecordFate::kStreamed) {
    AddDead(location, record.bytes(), shard);
    return absl::OkStatus();
  }
  if (recovered.fate == RecordFate::kCommitted) Revive(location, record.bytes(), shard);
  const base::Version version = record.version();
  SLIP_RETURN_IF_ERROR(shard.table.Admit(version.actor));
  Upsert(
      {
          .entry =
              {
                  .key_id = key_id,
                  .version = version,
                  .sequence = record.header.sequence,
                  .expires_at_ms = record.header.expires_at_ms,
                  .value_digest = record.header.value_digest,
                  .record_bytes = static_cast<uint32_t>(record.bytes()),
                  .tombstone = record.header.type == RecordType::kDelete,
              },
          .location = location,
      },
      shard);
  clock_.Observe(version.hlc);
  if (record.header.actor == identity_.actor) {
    shard.last_sequence = std::max(shard.last_sequence, record.header.sequence);
  }
  return absl::OkStatus();
}

// Refuses damage that cost records, unless it may be served around or was accepted before.
absl::Status Engine::Impl::JudgeDamage(const std::vector<DamagedRange>& damaged) const {
  const uint64_t damage_id = DamageId(damaged);
  if (damage_id == 0 || damage_id == identity_.accepted_damage) return absl::OkStatus();
  if (options_.on_damage == OnDamage::kServeRest) return absl::OkStatus();
  std::vector<std::string> shown;
  uint64_t lost_count = 0;
  for (const DamagedRange& range : damaged) {
    lost_count += range.lost_count();
    if (range.lost_count() != 0 && shown.size() < kRangesShownMax) shown.push_back(Describe(range));
  }
  return base::WithReason(
      absl::DataLossError(absl::StrFormat(
          "%s: the log is damaged; %d records are lost: %s. A node with peers serves the rest and "
          "heals from them; alone, restore a backup or accept the loss.",
          directory_, lost_count, absl::StrJoin(shown, ", "))),
      base::kReasonLogDamaged);
}

// Decides whether this is the actor's next life or a new actor's, and writes it down.
absl::Status Engine::Impl::BeginLife(base::Random* rng, uint64_t damage_id) {
  RaiseToManifest();
  const bool new_damage = damage_id != 0 && damage_id != identity_.accepted_damage;
  // Under these policies versions and dots may have been handed out that the disk never saw.
  const bool forgetful = !report_.clean && identity_.sync_policy != SyncPolicy::kAlways;
  const bool has_no_actor = identity_.actor == 0;  // Created, or the identity was damaged.
  // Without the manifest, what dropped records had may be given again.
  report_.new_actor = new_damage || forgetful || has_no_actor || report_.manifest_damaged;
  if (report_.new_actor) {
    identity_.actor = NonZero(rng);
    KeyDir::Exclusive locked(&keydir_, kAllStripes);
    for (int shard = 0; shard < base::kShardCount; ++shard) {
      locked.shard(static_cast<uint8_t>(shard)).last_sequence = 0;
    }
  }
  clock_.Observe(identity_.last_hlc);
  ++identity_.life_count;
  identity_.last_hlc = clock_.last();
  // What lies before a checkpoint was not looked at: it stays accepted.
  if (damage_id != 0 || !loaded_.has_value()) identity_.accepted_damage = damage_id;
  identity_.flags = 0;
  identity_.sync_policy = options_.sync;
  SLIP_RETURN_IF_ERROR(WriteIdentity(fs_, directory_, identity_));
  if (!report_.manifest_damaged) return absl::OkStatus();
  // Only now that there is a new actor. What is missing is accepted damage from here on.
  SLIP_RETURN_IF_ERROR(fs_->Remove(JoinPath(directory_, kManifestFileName)));
  return fs_->SyncDirectory(directory_);
}

// Brings the observer up to date.
absl::Status Engine::Impl::NotifyAll() {
  if (observer_ == nullptr) return absl::OkStatus();
  const auto notify = [this](const base::KeyId& key_id) {
    Notify(key_id);
    return true;
  };
  for (int i = 0; i < base::kShardCount; ++i) {
    const auto shard = static_cast<uint8_t>(i);
    const base::KeyRange range = RangeOfShard(shard);
    if (loaded_.has_value() && observer_->Load(shard, loaded_->derived[shard])) {
      // What memory has now was read from the log behind the checkpoint.
      keydir_.Visit(range,
                    [&](const LocatedEntry& located) { return notify(located.entry.key_id); });
    } else {
      SLIP_RETURN_IF_ERROR(VisitEntries(
          range, [&](const Entry& entry) { return notify(entry.key_id); }, kVisitLookEntriesMax));
    }
  }
  return absl::OkStatus();
}

absl::Status Engine::Impl::Close() {
  SLIP_CHECK(lock_ != nullptr);
  // Whatever happens below, the directory is free for another process afterwards.
  const std::unique_ptr<DirectoryLock> lock = std::move(lock_);
  SLIP_RETURN_IF_ERROR(CheckpointAtEnd());
  SLIP_RETURN_IF_ERROR(log_->WriteWitness());
  identity_.durable_lsn = log_->durable_lsn();
  identity_.last_hlc = clock_.last();
  identity_.flags = kIdentityFlagClean;
  return WriteIdentity(fs_, directory_, identity_);
}

}  // namespace slipstream::storage

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
#include "storage/log_recovery.h"
#include "storage/segment.h"

namespace slipstream::storage {
namespace {

// Damaged ranges that a refusal spells out.
constexpr size_t kRangesShownMax = 8;

// What a directory holds.
struct Inventory {
  bool has_identity = false;
  std::vector<uint64_t> segment_numbers;     // Ascending.
  std::vector<std::string> temporary_names;  // Of files that were not finished.
  std::vector<std::string> other_names;
};

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
    } else if (name == TemporaryName(finished) &&
               (finished == kIdentityFileName || finished == kManifestFileName ||
                ParseSegmentFileName(finished).has_value())) {
      inventory.temporary_names.push_back(name);
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
  impl->NotifyAll();
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
  SLIP_ASSIGN_OR_RETURN(LogRecovery recovery,
                        RecoverLog(fs_, directory_, inventory.segment_numbers, recovery_options,
                                   [this](const RecordView& record, const Location& location) {
                                     return Restore(record, location);
                                   }));
  recovery.report.created = report_.created;
  recovery.report.clean = identity_.clean();
  recovery.report.manifest_damaged = report_.manifest_damaged;
  report_ = std::move(recovery.report);
  // A damaged identity does not know its node; the segments, if there are any, do.
  identity_.node_id = recovery.node_id != 0 ? recovery.node_id : NonZero(rng);
  const uint64_t damage_id = DamageId(report_.damaged);
  SLIP_RETURN_IF_ERROR(JudgeDamage(damage_id));
  identity_.durable_lsn = recovery.tail.last_lsn;
  SLIP_RETURN_IF_ERROR(BeginLife(rng, damage_id));
  const LogOptions log_options{.node_id = identity_.node_id,
                               .segment_bytes = options_.segment_bytes,
                               .frame_bytes_target = options_.frame_bytes_target,
                               .unflushed_bytes_max = options_.unflushed_bytes_max,
                               .reserve_segments = options_.reserve_segments};
  log_ = std::make_unique<Log>(fs_, directory_, log_options, rng->Fork(), std::move(recovery.tail));
  compactor_ = std::make_unique<Compactor>(
      fs_, directory_,
      CompactorOptions{.dead_share = options_.compaction_dead_share,
                       .step_bytes = options_.compaction_step_bytes},
      log_.get(), &segment_table_, static_cast<Compactor::Records*>(this),
      std::move(manifest_.gaps));
  // Until there is a segment, the identity shows what the file system does here.
  SLIP_ASSIGN_OR_RETURN(const std::unique_ptr<File> identity_file,
                        fs_->OpenDirect(JoinPath(directory_, kIdentityFileName), OpenMode::kRead));
  io_path_ = identity_file->io_path();
  return absl::OkStatus();
}

// Takes a record of the log into the KeyDir.
absl::Status Engine::Impl::Restore(const RecordView& record, const Location& location) {
  const base::KeyId key_id = base::KeyIdOf(record.key);
  KeyDir::Exclusive locked(&keydir_, StripeOf(key_id.shard()));
  KeyDir::Shard& shard = locked.shard(key_id.shard());
  const base::Version version = record.version();
  SLIP_RETURN_IF_ERROR(shard.table.Admit(version.actor));
  const UpsertResult result = shard.table.Upsert({
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
  });
  CountDead(result, location, record.bytes());
  clock_.Observe(version.hlc);
  if (record.header.actor == identity_.actor) {
    shard.last_sequence = std::max(shard.last_sequence, record.header.sequence);
  }
  last_tx_id_ = std::max(last_tx_id_.load(), record.header.tx_id);
  return absl::OkStatus();
}

// Refuses damage that cost records, unless it may be served around or was accepted before.
absl::Status Engine::Impl::JudgeDamage(uint64_t damage_id) const {
  if (damage_id == 0 || damage_id == identity_.accepted_damage) return absl::OkStatus();
  if (options_.on_damage == OnDamage::kServeRest) return absl::OkStatus();
  std::vector<std::string> shown;
  uint64_t lost_count = 0;
  for (const DamagedRange& range : report_.damaged) {
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
  identity_.accepted_damage = damage_id;
  identity_.flags = 0;
  identity_.sync_policy = options_.sync;
  SLIP_RETURN_IF_ERROR(WriteIdentity(fs_, directory_, identity_));
  if (!report_.manifest_damaged) return absl::OkStatus();
  // Only now that there is a new actor. What is missing is accepted damage from here on.
  SLIP_RETURN_IF_ERROR(fs_->Remove(JoinPath(directory_, kManifestFileName)));
  return fs_->SyncDirectory(directory_);
}

void Engine::Impl::NotifyAll() {
  const base::KeyRange all = base::RangeOf(base::KeyPrefix{});
  keydir_.Visit(all, [this](const LocatedEntry& located) {
    Notify(located.entry.key_id);
    return true;
  });
}

absl::Status Engine::Impl::Close() {
  SLIP_CHECK(lock_ != nullptr);
  // Whatever happens below, the directory is free for another process afterwards.
  const std::unique_ptr<DirectoryLock> lock = std::move(lock_);
  SLIP_RETURN_IF_ERROR(log_->WriteWitness());
  identity_.durable_lsn = log_->durable_lsn();
  identity_.last_hlc = clock_.last();
  identity_.flags = kIdentityFlagClean;
  return WriteIdentity(fs_, directory_, identity_);
}

}  // namespace slipstream::storage

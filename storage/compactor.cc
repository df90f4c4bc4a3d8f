#include "storage/compactor.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <utility>

#include "base/status_macros.h"
#include "storage/segment.h"

namespace slipstream::storage {
namespace {

// Bytes that a step reads for each that it may copy: most of what it reads is dead.
constexpr uint64_t kScannedPerCopied = 4;
// On a full disk a segment is compacted at this part of the dead share already.
constexpr double kUrgentPart = 0.25;
// At rest it goes on to this part of it.
constexpr double kRestPart = 0.5;

bool CannotBeCompacted(const absl::Status& status) {
  // A file that ends too early is damage like any other; a device that fails is not.
  return absl::IsDataLoss(status) || absl::IsOutOfRange(status) ||
         absl::IsFailedPrecondition(status);
}

}  // namespace

// What a sealed segment's file is used for.
struct Compactor::Usage {
  uint64_t bytes = 0;
  uint64_t live_bytes = 0;  // Of current records.
  bool may_shrink = false;  // Its copies may take less space: not all in it is a copy, and current.

  uint64_t dead_bytes() const { return bytes - live_bytes; }
  double dead_share() const {
    return static_cast<double>(dead_bytes()) / static_cast<double>(bytes);
  }
};

Compactor::Compactor(FileSystem* fs, absl::string_view directory, const CompactorOptions& options,
                     Log* log, SegmentTable* table, Records* records, std::vector<SegmentGap> gaps)
    : fs_(fs),
      directory_(directory),
      options_(options),
      log_(log),
      table_(table),
      records_(records),
      gaps_(std::move(gaps)) {}

uint64_t Compactor::LiveBytes(const SealedSegment& segment) const {
  return segment.record_bytes - std::min(segment.record_bytes, table_->dead(segment.link.number));
}

Compactor::Usage Compactor::UsageOf(const SealedSegment& segment) const {
  const uint64_t live_bytes = LiveBytes(segment);
  return {.bytes = segment.bytes,
          .live_bytes = live_bytes,
          .may_shrink = segment.holds_writes || live_bytes < segment.record_bytes};
}

absl::StatusOr<bool> Compactor::Step(Effort effort) {
  absl::MutexLock lock(&mutex_);
  SLIP_RETURN_IF_ERROR(log_->status());
  SLIP_RETURN_IF_ERROR(MakeSpare());
  if (!victim_.has_value()) {
    const absl::optional<SealedSegment> picked = Pick(effort);
    if (!picked.has_value()) return false;
    Take(*picked);
  }
  absl::StatusOr<bool> copied = Advance();
  // A device that cannot read one page must not keep all others from being compacted.
  const bool unreadable = absl::IsUnavailable(copied.status()) && log_->status().ok();
  if (CannotBeCompacted(copied.status()) || unreadable) {
    // Damage of what nobody can ask for any more is no reason to keep it.
    if (LiveBytes(victim_->segment()) != 0 || victim_->segment().holds_commits) {
      GiveUp();
      return true;
    }
    // The file is not to be used again.
    if (failed_.insert(victim_->segment().link.number).second) ++failed_segment_count_;
    copied = true;
  }
  SLIP_RETURN_IF_ERROR(copied.status());
  if (*copied) SLIP_RETURN_IF_ERROR(Drop());
  return true;
}

// Returns the segment to be compacted next, if there is any.
absl::optional<SealedSegment> Compactor::Pick(Effort effort) const {
  Usage total;
  absl::optional<SealedSegment> worst;
  double worst_share = 0;
  for (const SealedSegment& segment : log_->SealedSegments()) {
    const Usage usage = UsageOf(segment);
    if (segment.damaged) continue;
    const bool is_needed = usage.live_bytes != 0 || segment.holds_commits;
    if (failed_.count(segment.link.number) != 0 && is_needed) continue;
    // Nothing can be done about what is dead there, or will not be.
    if (records_->IsPinned(segment.link.number)) continue;
    total.bytes += usage.bytes;
    total.live_bytes += usage.live_bytes;
    if (!usage.may_shrink || usage.dead_share() <= worst_share) continue;
    worst_share = usage.dead_share();
    worst = segment;
  }
  if (!worst.has_value() || worst_share == 1) return worst;
  if (log_->is_out_of_space()) {
    return worst_share > kUrgentPart * options_.dead_share ? worst : absl::nullopt;
  }
  // Waiting until the sum is due lets the worst get worse, and copying it cheaper.
  const double allowed = options_.dead_share * (effort == Effort::kAtRest ? kRestPart : 1);
  const bool is_due = total.dead_share() > allowed;
  return is_due && worst_share > allowed ? worst : absl::nullopt;
}

void Compactor::Take(const SealedSegment& segment) {
  const std::shared_ptr<const File> file = log_->FindFile(segment.link.number);
  victim_.emplace(file, segment);
  seen_bytes_ = 0;
  stage_ = Stage::kCopy;
  noted_end_ = std::numeric_limits<uint64_t>::max();
  if (!records_->MustSearch()) return;
  scout_.emplace(file, segment);
  stage_ = Stage::kNote;
}

// Takes a step of the stage; returns whether all was copied.
absl::StatusOr<bool> Compactor::Advance() {
  switch (stage_) {
    case Stage::kNote:
      NoteSome();
      return false;
    case Stage::kSearch: {
      SLIP_ASSIGN_OR_RETURN(const bool more,
                            records_->SearchSome(kScannedPerCopied * options_.step_bytes));
      if (!more) stage_ = Stage::kCopy;
      return false;
    }
    case Stage::kCopy:
      break;
  }
  return CopySome();
}

// Notes the records of the next few frames.
void Compactor::NoteSome() {
  const uint64_t scanned_max = scout_->scanned_bytes() + kScannedPerCopied * options_.step_bytes;
  while (scout_->scanned_bytes() <= scanned_max) {
    const absl::StatusOr<const LocatedRecord*> located = scout_->Current();
    // An error is judged when copying comes to it.
    const bool at_end = !located.ok() || *located == nullptr;
    if (!at_end && !IsChange((*located)->record.header)) {
      scout_->Advance();
      continue;
    }
    if (at_end || !records_->Note((*located)->record, (*located)->location)) {
      noted_end_ = at_end ? std::numeric_limits<uint64_t>::max() : (*located)->location.offset;
      stage_ = Stage::kSearch;
      return;
    }
    scout_->Advance();
  }
}

// Copies what is current of the next few frames; returns whether the end was reached.
absl::StatusOr<bool> Compactor::CopySome() {
  SegmentReader& reader = *victim_;
  const uint64_t scanned_max = reader.scanned_bytes() + kScannedPerCopied * options_.step_bytes;
  uint64_t copied_bytes = 0;
  while (copied_bytes < options_.step_bytes) {
    SLIP_ASSIGN_OR_RETURN(const LocatedRecord* const located, reader.Current());
    if (located == nullptr) return true;
    if (reader.scanned_bytes() > scanned_max) return false;
    if (located->location.offset >= noted_end_) {
      records_->ForgetNotes();
      stage_ = Stage::kNote;
      return false;
    }
    SLIP_ASSIGN_OR_RETURN(const bool moved, Move(*located));
    if (moved) copied_bytes += located->record.bytes();
    if (IsChange(located->record.header)) seen_bytes_ += located->record.bytes();
    reader.Advance();
  }
  return false;
}

absl::StatusOr<bool> Compactor::Move(const LocatedRecord& located) {
  const RecordHeader& header = located.record.header;
  if (IsChange(header)) return records_->MoveIfCurrent(located.record, located.location);
  if (!IsStreamCommit(header)) return false;
  SLIP_RETURN_IF_ERROR(records_->MoveCommit(located.record, located.location));
  return true;
}

// Drops the segment, all of which was copied or is dead. The manifest decides: before it is written
// the segment is whole, afterwards its file is a leftover.
absl::Status Compactor::Drop() {
  const SealedSegment segment = victim_->segment();
  // Before the sync: what it says was given is durable then, so no dot is skipped after a crash.
  Manifest manifest = records_->Floor();
  // The copies, and whatever replaced the records that were not copied.
  SLIP_RETURN_IF_ERROR(log_->Flush(Log::Mode::kSync).status());
  // What a blind write to a cold key killed may not be counted as dead yet. But who has seen all
  // records, has seen the current ones.
  if (LiveBytes(segment) != 0 && seen_bytes_ != segment.record_bytes) {
    GiveUp();
    return absl::OkStatus();
  }
  manifest.gaps = gaps_;
  SLIP_RETURN_IF_ERROR(manifest.Drop(segment.link, segment.previous));
  SLIP_RETURN_IF_ERROR(Decide(manifest));
  gaps_ = std::move(manifest.gaps);
  Release();
  const bool had_failed = failed_.erase(segment.link.number) != 0;
  if (had_failed) --failed_segment_count_;
  // What could not be read once is not trusted with new data.
  const absl::Status dropped =
      log_->DropSegment(segment.link.number, had_failed ? Log::Reuse::kNo : Log::Reuse::kYes);
  table_->Forget(segment.link.number);
  ++compacted_segment_count_;
  return dropped;
}

// Writes the manifest, on a full disk in the place of the spare.
absl::Status Compactor::Decide(const Manifest& manifest) {
  absl::Status status = WriteManifest(fs_, directory_, manifest);
  if (absl::IsResourceExhausted(status) && has_spare_) {
    has_spare_ = false;
    SLIP_RETURN_IF_ERROR(fs_->Remove(JoinPath(directory_, kManifestSpareFileName)));
    status = WriteManifest(fs_, directory_, manifest);
  }
  // Which of the two manifests a crash would leave may be unknown now. Either is right, as long as
  // nothing is appended to the segment and its file stays.
  if (status.ok() || absl::IsResourceExhausted(status)) return status;
  return log_->Fail(status);
}

absl::Status Compactor::MakeSpare() {
  if (has_spare_ || log_->is_out_of_space()) return absl::OkStatus();
  const absl::Status status = CreateManifestSpare(fs_, directory_, Manifest{.gaps = gaps_});
  if (absl::IsResourceExhausted(status)) return absl::OkStatus();
  has_spare_ = status.ok();
  return status;
}

// Leaves the segment as it is; what was copied of it stays in use.
void Compactor::GiveUp() {
  if (failed_.insert(victim_->segment().link.number).second) ++failed_segment_count_;
  Release();
}

void Compactor::Release() {
  victim_.reset();
  scout_.reset();
  records_->ForgetNotes();
}

bool Compactor::is_busy() const {
  absl::MutexLock lock(&mutex_);
  return victim_.has_value();
}

CompactionStats Compactor::stats() const {
  CompactionStats stats{
      .compacted_segment_count = compacted_segment_count_.load(std::memory_order_relaxed),
      .failed_segment_count = failed_segment_count_.load(std::memory_order_relaxed)};
  double owed_bytes = 0;
  for (const SealedSegment& segment : log_->SealedSegments()) {
    const Usage usage = UsageOf(segment);
    stats.dead_bytes += usage.dead_bytes();
    if (records_->IsPinned(segment.link.number)) continue;
    owed_bytes += static_cast<double>(usage.dead_bytes()) -
                  options_.dead_share * static_cast<double>(usage.bytes);
  }
  stats.debt_bytes = static_cast<uint64_t>(std::max(owed_bytes, 0.0));
  return stats;
}

}  // namespace slipstream::storage

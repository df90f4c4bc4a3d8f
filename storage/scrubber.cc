#include "storage/scrubber.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/digest.h"
#include "base/status_macros.h"
#include "storage/aligned_buffer.h"
#include "storage/compression.h"
#include "storage/frame.h"
#include "storage/segment.h"

namespace slipstream::storage {
namespace {

// Of one segment. What comes after is taken for damaged up to there: more records are read, that is
// all.
constexpr size_t kStretchesMax = 64;
// Beyond, what is known is forgotten, and found anew.
constexpr size_t kKnownPlacesMax = 4096;
// What an entry that is looked at costs, in bytes read.
constexpr uint64_t kEntryBytes = 64;

// A file that ends too early is damage like any other; a device that fails is not.
bool IsDamage(const absl::Status& status) {
  return absl::IsDataLoss(status) || absl::IsOutOfRange(status);
}

// Checks what the record's checksum does not vouch for: that its value is the one it was digested
// from.
absl::Status CheckValue(const RecordView& record) {
  if (record.header.type != RecordType::kPut) return absl::OkStatus();
  if (record.header.codec != Codec::kNone) {
    return DecompressValue(record.header, record.value).status();
  }
  if (base::DigestOfValue(record.value) == record.header.value_digest) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrFormat("value of %d other bytes than its digest tells", record.value.size()));
}

}  // namespace

Scrubber::Scrubber(uint64_t step_bytes, const Log* log, const SortedLog* sorted_log,
                   Records* records)
    : step_bytes_(step_bytes), log_(log), sorted_log_(sorted_log), records_(records) {}

absl::StatusOr<ScrubProgress> Scrubber::Step() {
  absl::MutexLock lock(&mutex_);
  SLIP_RETURN_IF_ERROR(log_->status());
  ScrubProgress progress;
  absl::Status status;
  switch (stage_) {
    case Stage::kSegments:
      status = StepSegments(progress);
      break;
    case Stage::kEntries:
      status = StepEntries(progress);
      break;
    case Stage::kRuns:
      status = StepRuns(progress);
      break;
  }
  scrubbed_bytes_.fetch_add(progress.bytes, std::memory_order_relaxed);
  SLIP_RETURN_IF_ERROR(status);
  return progress;
}

absl::Status Scrubber::StepSegments(ScrubProgress& progress) {
  if (!reader_.has_value()) SLIP_RETURN_IF_ERROR(TakeUpSegment(progress));
  if (!reader_.has_value()) return absl::OkStatus();
  const uint64_t first_offset = reader_->next_offset();
  absl::StatusOr<bool> more = true;
  while (more.ok() && *more && reader_->next_offset() - first_offset < step_bytes_) {
    more = CheckNext(*reader_);
  }
  progress.bytes += reader_->next_offset() - first_offset;
  if (more.ok() && *more) return absl::OkStatus();
  // Nothing current stands in the header page.
  const bool may_hold_records = !damaged_.empty() && damaged_.back().end > kPageBytes;
  if (may_hold_records) {
    stage_ = Stage::kEntries;
  } else {
    EndSegment(progress);
  }
  return more.status();
}

// Starts with the segment after the last one; if there is none, goes on to the runs.
absl::Status Scrubber::TakeUpSegment(ScrubProgress& progress) {
  const std::vector<SealedSegment> sealed = log_->SealedSegments();
  if (!segment_number_last_.has_value()) {
    segment_number_last_ = sealed.empty() ? 0 : sealed.back().link.number;
  }
  for (const SealedSegment& segment : sealed) {
    if (segment.link.number <= segment_number_) continue;
    if (segment.link.number > *segment_number_last_) break;
    const std::shared_ptr<const File> file = log_->FindFile(segment.link.number);
    if (file == nullptr) continue;  // Dropped meanwhile.
    segment_number_ = segment.link.number;
    finding_ = {.segment_number = segment_number_};
    SLIP_RETURN_IF_ERROR(CheckHeader(*file, segment));
    progress.bytes += kPageBytes;
    reader_.emplace(file, segment);
    return absl::OkStatus();
  }
  stage_ = Stage::kRuns;
  for (const auto& run : sorted_log_->view().runs->runs()) {
    run_number_last_ = std::max(run_number_last_, run->number());
  }
  return absl::OkStatus();
}

absl::Status Scrubber::CheckHeader(const File& file, const SealedSegment& segment) {
  AlignedBuffer page(kPageBytes);
  absl::Status status = file.Read(0, kPageBytes, page.data());
  if (status.ok()) {
    const absl::StatusOr<SegmentHeader> header = DecodeSegmentHeader(page.view());
    status = header.status();
    if (header.ok() && (header->segment_number != segment.link.number ||
                        header->incarnation != segment.link.incarnation)) {
      status = absl::DataLossError("the header of another segment");
    }
  } else if (!IsDamage(status)) {
    return status;
  }
  if (!status.ok()) NoteDamage({.begin = 0, .end = kPageBytes}, status.message());
  return absl::OkStatus();
}

// Checks the next record, reading its frame if need be; returns whether there may be more.
absl::StatusOr<bool> Scrubber::CheckNext(SegmentReader& reader) {
  const absl::StatusOr<const LocatedRecord*> current = reader.Current();
  if (IsDamage(current.status())) {
    const uint64_t begin = reader.next_offset();
    reader.PassOver();
    NoteDamage({.begin = begin, .end = reader.next_offset()}, current.status().message());
    return true;
  }
  SLIP_RETURN_IF_ERROR(current.status());
  if (*current == nullptr) return false;
  const RecordView& record = (*current)->record;
  const Location& location = (*current)->location;
  absl::Status status = CheckValue(record);
  if (status.ok() && !records_->Agrees(record, location)) {
    status = absl::DataLossError("another record than its entry tells");
  }
  if (!status.ok()) {
    NoteDamage({.begin = location.offset, .end = location.offset + record.bytes()},
               absl::StrFormat("segment %d offset %d: %s", location.segment_number, location.offset,
                               std::string(status.message())));
  }
  reader.Advance();
  return true;
}

// Adds `stretch`, which is not before those noted, to what is damaged of the segment.
void Scrubber::NoteDamage(const Stretch& stretch, absl::string_view cause) {
  if (!damaged_.empty() &&
      (damaged_.back().end >= stretch.begin || damaged_.size() >= kStretchesMax)) {
    damaged_.back().end = std::max(damaged_.back().end, stretch.end);
    return;
  }
  damaged_.push_back(stretch);
  if (known_.size() >= kKnownPlacesMax) known_.clear();
  const Location place{.segment_number = static_cast<uint32_t>(segment_number_),
                       .offset = static_cast<uint32_t>(stretch.begin)};
  if (!known_.insert(place).second) return;
  if (finding_.place_count++ == 0) finding_.cause = std::string(cause);
  damaged_count_.fetch_add(1, std::memory_order_relaxed);
}

// Looks for entries whose record stands where the segment is damaged, and has them read.
absl::Status Scrubber::StepEntries(ScrubProgress& progress) {
  if (!suspects_.empty()) return ExamineSome(progress);
  if (visited_all_) {
    EndSegment(progress);
    return absl::OkStatus();
  }
  SLIP_ASSIGN_OR_RETURN(const absl::optional<base::KeyId> next,
                        records_->VisitFrom(next_key_id_, [&](const LocatedEntry& located) {
                          mutex_.AssertHeld();
                          progress.bytes += kEntryBytes;
                          if (IsSuspect(located)) suspects_.push_back(located.entry.key_id);
                        }));
  if (next.has_value()) {
    next_key_id_ = *next;
  } else {
    visited_all_ = true;
  }
  return ExamineSome(progress);
}

bool Scrubber::IsSuspect(const LocatedEntry& located) const {
  if (located.damaged || located.location.segment_number != segment_number_) return false;
  const uint64_t offset = located.location.offset;
  return std::any_of(damaged_.begin(), damaged_.end(), [offset](const Stretch& stretch) {
    return stretch.begin <= offset && offset < stretch.end;
  });
}

absl::Status Scrubber::ExamineSome(ScrubProgress& progress) {
  while (!suspects_.empty() && progress.bytes < step_bytes_) {
    const base::KeyId key_id = suspects_.back();
    suspects_.pop_back();
    progress.bytes += kPageBytes;
    SLIP_ASSIGN_OR_RETURN(const bool quarantined, records_->Examine(key_id));
    if (!quarantined) continue;
    damaged_key_count_.fetch_add(1, std::memory_order_relaxed);
    ++finding_.key_count;
    if (finding_.key_ids.size() < kScrubKeysNamedMax) finding_.key_ids.push_back(key_id);
  }
  return absl::OkStatus();
}

// Reports what was found, and lets the next step take up another segment.
void Scrubber::EndSegment(ScrubProgress& progress) {
  if (finding_.place_count != 0 || finding_.key_count != 0) progress.finding = std::move(finding_);
  finding_ = {};
  reader_.reset();
  damaged_.clear();
  suspects_.clear();
  next_key_id_ = {};
  visited_all_ = false;
  stage_ = Stage::kSegments;
}

absl::Status Scrubber::StepRuns(ScrubProgress& progress) {
  if (run_ == nullptr) {
    run_ = NextRun();
    next_page_ = 0;
  }
  if (run_ == nullptr) {
    EndPass(progress);
    return absl::OkStatus();
  }
  run_number_ = run_->number();
  const uint64_t page_count =
      std::min(std::max<uint64_t>(1, step_bytes_ / kPageBytes), run_->page_count() - next_page_);
  if (page_count != 0) {
    progress.bytes += page_count * kPageBytes;
    const absl::Status status = CheckPages(page_count);
    // A merge may have taken it out of force: then nobody will read it.
    if (!status.ok() && IsInForce(*run_)) return records_->OnRunFailed(status);
  }
  next_page_ += page_count;
  if (next_page_ == run_->page_count()) run_.reset();
  return absl::OkStatus();
}

// Returns the oldest run that this pass has not had; null if there is none.
std::shared_ptr<const SortedRun> Scrubber::NextRun() const {
  std::shared_ptr<const SortedRun> next;
  for (const auto& run : sorted_log_->view().runs->runs()) {
    if (run->number() <= run_number_ || run->number() > run_number_last_) continue;
    if (next == nullptr || run->number() < next->number()) next = run;
  }
  return next;
}

bool Scrubber::IsInForce(const SortedRun& run) const {
  const SortedLog::View view = sorted_log_->view();
  return std::any_of(view.runs->runs().begin(), view.runs->runs().end(),
                     [&run](const auto& each) { return each.get() == &run; });
}

absl::Status Scrubber::CheckPages(size_t page_count) {
  AlignedBuffer pages(page_count * kPageBytes);
  SLIP_RETURN_IF_ERROR(
      run_->ReadPages({.first = next_page_, .end = next_page_ + page_count}, pages.data()));
  for (size_t index = 0; index < page_count; ++index) {
    SLIP_RETURN_IF_ERROR(
        run_->DecodePage(pages.view().substr(index * kPageBytes, kPageBytes), next_page_ + index)
            .status());
  }
  return absl::OkStatus();
}

void Scrubber::EndPass(ScrubProgress& progress) {
  progress.ended_pass = true;
  pass_count_.fetch_add(1, std::memory_order_relaxed);
  stage_ = Stage::kSegments;
  segment_number_ = 0;
  segment_number_last_.reset();
  run_number_ = 0;
  run_number_last_ = 0;
  // Of segments that are gone nothing need be known any more.
  std::erase_if(known_, [this](const Location& place) {
    return log_->FindFile(place.segment_number) == nullptr;
  });
}

ScrubStats Scrubber::stats() const {
  return {.scrubbed_bytes = scrubbed_bytes_.load(std::memory_order_relaxed),
          .pass_count = pass_count_.load(std::memory_order_relaxed),
          .damaged_count = damaged_count_.load(std::memory_order_relaxed),
          .damaged_key_count = damaged_key_count_.load(std::memory_order_relaxed)};
}

}  // namespace slipstream::storage

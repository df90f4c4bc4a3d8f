// Log's segments: finding, sealing, dropping and recycling them.

#include <algorithm>
#include <atomic>
#include <deque>
#include <memory>
#include <vector>

#include "base/check.h"
#include "base/status_macros.h"
#include "storage/ceilings.h"
#include "storage/log.h"
#include "storage/segment.h"

namespace slipstream::storage {
namespace {

// Prepared segments beyond what is prepared ahead of need, if recycling yields them: so that the
// next one need not be made anew when segments are dropped a little later than used up.
constexpr size_t kSpareSegmentsMax = 1;

using Segments = std::deque<std::shared_ptr<Segment>>;

// Returns the place of segment `number` in `segments`, or their end.
Segments::const_iterator Locate(const Segments& segments, uint64_t number) {
  const auto found = std::lower_bound(segments.begin(), segments.end(), number,
                                      [](const std::shared_ptr<Segment>& segment, uint64_t wanted) {
                                        return segment->number < wanted;
                                      });
  if (found == segments.end() || (*found)->number != number) return segments.end();
  return found;
}

}  // namespace

std::shared_ptr<const File> Log::FindFile(uint64_t segment_number) const {
  absl::ReaderMutexLock lock(&segments_mutex_);
  const auto found = Locate(segments_, segment_number);
  if (found == segments_.end()) return nullptr;
  // Shares the segment, and with it the file.
  return {*found, (*found)->file.get()};
}

std::vector<SealedSegment> Log::SealedSegments() const {
  std::vector<SealedSegment> sealed;
  absl::ReaderMutexLock lock(&segments_mutex_);
  for (const std::shared_ptr<Segment>& segment : segments_) {
    if (segment->number >= sealed_below_) break;
    sealed.push_back({.link = {.number = segment->number,
                               .incarnation = segment->incarnation,
                               .end_offset = segment->end_offset,
                               .last_lsn = segment->last_lsn},
                      .previous = segment->previous,
                      .bytes = segment->bytes,
                      .record_bytes = segment->record_bytes.load(std::memory_order_relaxed),
                      .holds_writes = segment->holds_writes.load(std::memory_order_relaxed),
                      .holds_commits = segment->holds_commits.load(std::memory_order_relaxed),
                      .damaged = segment->damaged});
  }
  return sealed;
}

absl::Status Log::DropSegment(uint64_t segment_number, Reuse reuse) {
  std::shared_ptr<Segment> dropped;
  {
    absl::MutexLock lock(&segments_mutex_);
    SLIP_CHECK(segment_number < sealed_below_);
    const auto found = Locate(segments_, segment_number);
    SLIP_CHECK(found != segments_.end());
    dropped = *found;
    log_bytes_ -= (*found)->bytes;
    segments_.erase(found);
  }
  if (reuse == Reuse::kYes) {
    const absl::StatusOr<bool> recycled = Recycle(dropped);
    // Some file systems need space to overwrite: then it is better gone.
    if (!absl::IsResourceExhausted(recycled.status()) && (!recycled.ok() || *recycled)) {
      return recycled.status();
    }
  }
  const absl::Status removed = fs_->Remove(JoinPath(directory_, SegmentFileName(segment_number)));
  // Renamed, but not for certain: the next segment replaces it under the new name.
  if (!removed.ok() && !absl::IsNotFound(removed)) return removed;
  absl::MutexLock prepare_lock(&prepare_mutex_);
  no_space_ = absl::OkStatus();
  return absl::OkStatus();
}

// Returns whether the file of `segment`, which the log no longer has, is wanted and this caller's
// alone. Nobody can get hold of it any more, so that who has it now is all that matters.
bool Log::CanRecycle(const std::shared_ptr<Segment>& segment) const {
  if (segment.use_count() != 1 || segment->bytes != options_.segment_bytes) return false;
  // Pairs with the release in which the last reader let go.
  std::atomic_thread_fence(std::memory_order_acquire);
  const bool is_wanted =
      next_segment_number_ <= kSegmentNumberMax && !HasPreparedEnough(1 + kSpareSegmentsMax);
  if (!is_wanted) return false;
  // A snapshot may have given it another name.
  const absl::StatusOr<uint64_t> link_count = segment->file->LinkCount();
  return link_count.ok() && *link_count == 1;
}

// Makes the file of `segment`, which the log no longer has, the next prepared one, if that may be;
// returns whether it is. What a crash leaves at each step: docs/storage_format.md, "Recycling".
absl::StatusOr<bool> Log::Recycle(const std::shared_ptr<Segment>& segment) {
  auto recycled = std::make_unique<Segment>();
  {
    absl::MutexLock lock(&flush_mutex_);
    while (recycled->incarnation == 0) recycled->incarnation = rng_.Next();
  }
  absl::MutexLock prepare_lock(&prepare_mutex_);
  SLIP_RETURN_IF_ERROR(status());
  if (!CanRecycle(segment)) return false;
  recycled->number = next_segment_number_;
  recycled->bytes = segment->bytes;
  absl::StatusOr<std::unique_ptr<File>> file =
      RecycleSegment(fs_, directory_, segment->file.get(), segment->number, recycled->number,
                     recycled->incarnation);
  if (absl::IsResourceExhausted(file.status())) return file.status();
  if (!file.ok()) return Fail(file.status());
  recycled->file = *std::move(file);
  no_space_ = absl::OkStatus();
  ++next_segment_number_;
  recycled_segment_count_.fetch_add(1, std::memory_order_relaxed);
  absl::MutexLock lock(&mutex_);
  prepared_.push_back(std::move(recycled));
  return true;
}

// Removes a recycled segment that an idle log does not need, if there is one; returns whether there
// was.
absl::StatusOr<bool> Log::RemoveSpare() {
  absl::MutexLock prepare_lock(&prepare_mutex_);
  std::unique_ptr<Segment> spare;
  {
    absl::MutexLock lock(&mutex_);
    // One that was made anew is there for a large transaction, which may not be appended yet.
    const bool is_spare =
        prepared_.size() > options_.reserve_segments + 1 && prepared_.back()->incarnation != 0;
    if (!is_spare) return false;
    spare = std::move(prepared_.back());
    prepared_.pop_back();
  }
  const absl::Status removed = fs_->Remove(JoinPath(directory_, SegmentFileName(spare->number)));
  if (removed.ok()) return true;
  // Its file is there: among segments in use it would be taken for damage.
  absl::MutexLock lock(&mutex_);
  prepared_.push_back(std::move(spare));
  return removed;
}

// Notes that `segment` is in use, and with that where the one before, which is durable, ends.
void Log::NoteActivated(Segment& segment, const SegmentHeader& header) {
  absl::MutexLock lock(&segments_mutex_);
  segment.incarnation = header.incarnation;
  segment.previous = {.number = header.previous_segment_number,
                      .incarnation = header.previous_incarnation,
                      .end_offset = header.previous_end_offset,
                      .last_lsn = header.previous_last_lsn};
  const auto before = Locate(segments_, header.previous_segment_number);
  if (before != segments_.end()) {
    (*before)->end_offset = header.previous_end_offset;
    (*before)->last_lsn = header.previous_last_lsn;
  }
  sealed_below_ = header.segment_number;
}

bool Log::is_out_of_space() const {
  absl::MutexLock lock(&prepare_mutex_);
  return !no_space_.ok();
}

}  // namespace slipstream::storage

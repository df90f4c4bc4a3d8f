// Log's segments: finding, sealing and dropping them.

#include <algorithm>
#include <deque>
#include <memory>
#include <vector>

#include "base/check.h"
#include "storage/log.h"
#include "storage/segment.h"

namespace slipstream::storage {
namespace {

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
                      .damaged = segment->damaged});
  }
  return sealed;
}

void Log::DropSegment(uint64_t segment_number) {
  std::shared_ptr<Segment> dropped;  // Its file is closed after the lock is let go.
  absl::MutexLock lock(&segments_mutex_);
  SLIP_CHECK(segment_number < sealed_below_);
  const auto found = Locate(segments_, segment_number);
  SLIP_CHECK(found != segments_.end());
  dropped = *found;
  log_bytes_ -= (*found)->bytes;
  segments_.erase(found);
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

void Log::NoteSpaceFreed() {
  absl::MutexLock lock(&prepare_mutex_);
  no_space_ = absl::OkStatus();
}

}  // namespace slipstream::storage

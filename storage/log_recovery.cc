#include "storage/log_recovery.h"

#include <algorithm>
#include <iterator>
#include <memory>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/coding.h"
#include "base/error_reason.h"
#include "base/key_id.h"
#include "base/status_macros.h"
#include "storage/aligned_buffer.h"
#include "storage/ceilings.h"
#include "storage/segment.h"
#include "storage/segment_scan.h"
#include "storage/spanning_run.h"
#include "storage/stream_commit.h"

namespace slipstream::storage {
namespace {

// A segment's file and what its header page says.
struct FoundSegment {
  std::unique_ptr<Segment> segment;
  std::string path;
  absl::optional<SegmentHeader> header;  // nullopt: not in use, or damaged.
  uint64_t recycled_incarnation = 0;     // As its mark says; 0: it has none.
  std::string header_problem;
  bool has_our_magic = false;
  absl::optional<SegmentExpectation> expectation;  // With which it was read; nullopt: it was not.
  std::vector<DamagedRange> unreported;  // Of one read for a Commit, what concerned none so far.
};

absl::Status Foreign(const std::string& path, absl::string_view problem) {
  return base::WithReason(absl::FailedPreconditionError(absl::StrCat(path, ": ", problem)),
                          base::kReasonDirectoryForeign);
}

class Recovery {
 public:
  Recovery(FileSystem* fs, absl::string_view directory, const LogRecoveryOptions& options,
           OnRecovered on_record)
      : fs_(fs), directory_(directory), options_(options), on_record_(on_record) {}

  absl::StatusOr<LogRecovery> Run(absl::Span<const uint64_t> numbers) && {
    result_.node_id = options_.node_id.value_or(0);
    for (const uint64_t number : numbers) {
      SLIP_RETURN_IF_ERROR(IsDropped(number) ? RemoveLeftover(number) : ReadHeader(number));
    }
    SLIP_RETURN_IF_ERROR(SetUnusedApart());
    if (!found_.empty()) result_.tail.next_segment_number = found_.back().segment->number + 1;
    for (size_t index = 0; index < found_.size(); ++index) SLIP_RETURN_IF_ERROR(Read(index));
    PassGaps(kSegmentNumberMax + 1);
    CutUnfinished();
    SLIP_RETURN_IF_ERROR(status_);
    FinishTail();
    SLIP_RETURN_IF_ERROR(SyncLast());
    return std::move(result_);
  }

 private:
  bool IsDropped(uint64_t number) const {
    return std::any_of(options_.gaps.begin(), options_.gaps.end(),
                       [number](const SegmentGap& gap) { return gap.Holds(number); });
  }

  // Removes the file of a segment that was dropped before it could be removed.
  absl::Status RemoveLeftover(uint64_t number) {
    removed_any_ = true;
    return fs_->Remove(JoinPath(directory_, SegmentFileName(number)));
  }

  // Opens segment `number` and reads its header page.
  absl::Status ReadHeader(uint64_t number) {
    FoundSegment found{.segment = std::make_unique<Segment>(),
                       .path = JoinPath(directory_, SegmentFileName(number))};
    found.segment->number = number;
    SLIP_ASSIGN_OR_RETURN(found.segment->file, fs_->OpenDirect(found.path, OpenMode::kReadWrite));
    SLIP_ASSIGN_OR_RETURN(const uint64_t size, found.segment->file->Size());
    found.segment->bytes = size / kPageBytes * kPageBytes;
    if (number > kSegmentNumberMax || found.segment->bytes > kSegmentBytesMax) {
      return Foreign(found.path, "a segment of a number or length that this program never writes");
    }
    if (found.segment->bytes == 0) return Foreign(found.path, "too short for a segment");
    AlignedBuffer buffer(kPageBytes);
    SLIP_RETURN_IF_ERROR(found.segment->file->Read(0, kPageBytes, buffer.data()));
    const absl::string_view page = buffer.view();
    const absl::optional<RecycledMark> mark = ReadRecycledMark(page);
    if (mark.has_value() && mark->segment_number == number) {
      found.recycled_incarnation = mark->incarnation;
    }
    found.has_our_magic = base::LoadLittle<uint64_t>(page.data()) == kSegmentMagic ||
                          found.recycled_incarnation != 0 || IsZero(page);
    absl::StatusOr<SegmentHeader> header = DecodeSegmentHeader(page);
    if (absl::IsFailedPrecondition(header.status())) {
      return Foreign(found.path, header.status().message());
    }
    if (!header.ok()) {
      found.header_problem = IsZero(page) ? "no header" : std::string(header.status().message());
    } else if (header->segment_number != number) {
      found.header_problem = absl::StrFormat("header of segment %d", header->segment_number);
    } else {
      SLIP_RETURN_IF_ERROR(CheckNode(found.path, *header));
      found.header = *header;
    }
    found_.push_back(std::move(found));
    return absl::OkStatus();
  }

  absl::Status CheckNode(const std::string& path, const SegmentHeader& header) {
    if (result_.node_id == 0) result_.node_id = header.node_id;
    if (header.node_id == result_.node_id) return absl::OkStatus();
    return Foreign(path, absl::StrFormat("belongs to node %016x, this directory to node %016x",
                                         header.node_id, result_.node_id));
  }

  // Takes those segments at the end that no frame ever reached out of the log: prepared ones, and
  // one whose activation was torn by a crash.
  absl::Status SetUnusedApart() {
    while (!found_.empty() && !found_.back().header.has_value()) {
      FoundSegment& last = found_.back();
      SLIP_ASSIGN_OR_RETURN(const AlignedBuffer buffer, ReadAll(last));
      const absl::string_view bytes = buffer.view();
      if (HoldsFrames(last, bytes)) return absl::OkStatus();
      if (IsPrepared(last, bytes) && last.segment->bytes == options_.segment_bytes) {
        last.segment->incarnation = last.recycled_incarnation;
        std::vector<std::unique_ptr<Segment>>& prepared = result_.tail.prepared;
        prepared.insert(prepared.begin(), std::move(last.segment));
      } else {
        SLIP_RETURN_IF_ERROR(fs_->Remove(last.path));
        removed_any_ = true;
      }
      found_.pop_back();
    }
    return absl::OkStatus();
  }

  // Returns whether frames of its own may stand in a segment without a good header.
  static bool HoldsFrames(const FoundSegment& found, absl::string_view bytes) {
    if (found.recycled_incarnation == 0) {
      // Where its first frame would be an old one stands, if it is recycled and lost its mark.
      const absl::StatusOr<FrameHeader> first = DecodeFrameHeader(bytes.substr(kPageBytes));
      const bool is_old = first.ok() && first->segment_number < found.segment->number;
      return !is_old && !IsZero(bytes.substr(kPageBytes));
    }
    uint64_t offset = kPageBytes;
    return FindFrameHeader(bytes, found.segment->number, found.recycled_incarnation, offset)
        .has_value();
  }

  // Returns whether a segment without frames has the header page that it was prepared with.
  static bool IsPrepared(const FoundSegment& found, absl::string_view bytes) {
    const absl::string_view page = bytes.substr(0, kPageBytes);
    return found.recycled_incarnation == 0
               ? IsZero(page)
               : page == EncodeRecycledPage(found.segment->number, found.recycled_incarnation);
  }

  absl::StatusOr<AlignedBuffer> ReadAll(const FoundSegment& found) const {
    AlignedBuffer buffer(found.segment->bytes);
    SLIP_RETURN_IF_ERROR(found.segment->file->Read(0, buffer.capacity(), buffer.data()));
    return buffer;
  }

  // The header after `index` that says where `index` ends, if there is one.
  const SegmentHeader* NextHeader(size_t index) const {
    if (index + 1 >= found_.size() || !found_[index + 1].header.has_value()) return nullptr;
    const SegmentHeader& next = *found_[index + 1].header;
    return next.previous_segment_number == found_[index].segment->number ? &next : nullptr;
  }

  static SegmentLink LinkBefore(const SegmentHeader& header) {
    return {.number = header.previous_segment_number,
            .incarnation = header.previous_incarnation,
            .end_offset = header.previous_end_offset,
            .last_lsn = header.previous_last_lsn};
  }

  // The gap that starts where `index` ends, if there is one.
  const SegmentGap* GapAfter(size_t index) const {
    const uint64_t number = found_[index].segment->number;
    const auto gap =
        std::find_if(options_.gaps.begin(), options_.gaps.end(),
                     [number](const SegmentGap& each) { return each.previous.number == number; });
    return gap == options_.gaps.end() ? nullptr : &*gap;
  }

  // Where `index` ends, as what follows it says: the next segment, or the manifest in its place.
  absl::optional<SegmentLink> LinkOf(size_t index) const {
    if (const SegmentHeader* const next = NextHeader(index); next != nullptr) {
      return LinkBefore(*next);
    }
    const SegmentGap* const gap = GapAfter(index);
    return gap == nullptr ? absl::nullopt : absl::make_optional(gap->previous);
  }

  // Returns whether the segment at `index` need not be read; then next_lsn_ goes past it.
  bool Skip(size_t index) {
    const FoundSegment& found = found_[index];
    const absl::optional<SegmentLink> link = LinkOf(index);
    const auto known = std::find_if(
        options_.known_segments.begin(), options_.known_segments.end(),
        [&found](const KnownSegment& each) { return each.number == found.segment->number; });
    // A damaged one is read, so that every Open finds the same damage.
    if (known == options_.known_segments.end() || known->damaged || !link.has_value() ||
        !found.header.has_value() || link->incarnation != found.header->incarnation ||
        link->end_offset > found.segment->bytes) {
      return false;
    }
    NoteGap(found.segment->number, found.header->first_lsn);
    run_.NoteUnread();
    next_lsn_ = link->last_lsn + 1;
    Segment& segment = *found.segment;
    segment.incarnation = link->incarnation;
    segment.end_offset = link->end_offset;
    segment.last_lsn = link->last_lsn;
    segment.previous = LinkBefore(*found.header);
    segment.record_bytes = known->record_bytes;
    segment.holds_writes = known->holds_writes;
    segment.holds_commits = known->holds_commits;
    return true;
  }

  absl::Status Read(size_t index) {
    const FoundSegment& found = found_[index];
    PassGaps(found.segment->number);
    if (Skip(index)) return absl::OkStatus();
    SLIP_ASSIGN_OR_RETURN(const AlignedBuffer buffer, ReadAll(found));
    const absl::string_view bytes = buffer.view();
    SLIP_ASSIGN_OR_RETURN(const SegmentExpectation expectation, Expect(index, bytes));
    found_[index].expectation = expectation;
    DropIfCutOff(expectation.first_lsn);
    NoteGap(found.segment->number, expectation.first_lsn);
    SegmentScan scan = ScanSegment(
        bytes, expectation, run_,
        [this](const RecordView& record, const Location& location) { Apply(record, location); });
    SLIP_RETURN_IF_ERROR(status_);
    next_lsn_ = scan.next_lsn;
    Describe(found, expectation.incarnation, scan);
    RecoveryReport& report = result_.report;
    report.frame_count += scan.frame_count;
    report.record_count += scan.record_count;
    report.damaged.insert(report.damaged.end(), std::make_move_iterator(scan.damaged.begin()),
                          std::make_move_iterator(scan.damaged.end()));
    LogTail& tail = result_.tail;
    tail.segment_number = found.segment->number;
    tail.incarnation = expectation.incarnation;
    tail.end_offset = scan.end_offset;
    tail.frame_number = scan.frame_number;
    tail.header_crc32c = scan.header_crc32c;
    // A segment with a damaged header is read with the help of its frames; it gets no new ones.
    tail.goes_on = !scan.torn && found.header.has_value() &&
                   found.header->segment_bytes == found.segment->bytes;
    const bool is_last = index + 1 == found_.size();
    if (is_last && IsCutShort(found, scan)) {
      NoteCut(found, scan.end_offset);
    } else if (is_last && scan.torn) {
      report.tail_cut = true;
      report.tail_segment_number = found.segment->number;
      report.tail_offset = scan.end_offset;
      report.tail_cause = scan.torn_cause;
    }
    return absl::OkStatus();
  }

  void Apply(const RecordView& record, const Location& location) {
    if (!status_.ok()) return;
    Segment& segment = *FindSegment(location.segment_number)->segment;
    if (IsChange(record.header)) {
      segment.record_bytes += record.bytes();
      const bool is_streamed = IsStreamed(record.header);
      status_ = on_record_({.record = record,
                            .location = location,
                            .effect = location,
                            .fate = is_streamed ? RecordFate::kStreamed : RecordFate::kApplies});
    } else if (IsStreamCommit(record.header)) {
      segment.holds_commits = true;
      status_ = ApplyStreamed(record, location);
    }
  }

  // Applies the records of a streamed transaction, now that its Commit was read.
  absl::Status ApplyStreamed(const RecordView& record, const Location& location) {
    const absl::StatusOr<StreamCommit> commit = DecodeStreamCommit(record);
    if (!commit.ok() || commit->extents.back().segment_number > location.segment_number) {
      return absl::DataLossError(
          absl::StrCat("segment ", location.segment_number, " offset ", location.offset, ": ",
                       commit.ok() ? "a Commit of later records" : commit.status().message()));
    }
    const bool is_copy = commit->first_place.segment_number != 0;
    const Location effect = is_copy ? commit->first_place : location;
    if (effect < options_.known_before) return absl::OkStatus();
    if (!applied_.insert({commit->tx_id, effect}).second) return absl::OkStatus();
    for (const StreamExtent& extent : commit->extents) {
      const auto found = FindSegment(extent.segment_number);
      // Compaction has copied what was current of a segment that is no more.
      if (found == found_.end() || found->segment->number != extent.segment_number) continue;
      const auto index = static_cast<size_t>(found - found_.begin());
      SLIP_RETURN_IF_ERROR(ApplyExtent(index, extent, *commit, effect));
    }
    return absl::OkStatus();
  }

  // Reads the segment at `index`, again mostly, for what the Commit names of it.
  absl::Status ApplyExtent(size_t index, const StreamExtent& extent, const StreamCommit& commit,
                           const Location& effect) {
    FoundSegment& found = found_[index];
    SLIP_ASSIGN_OR_RETURN(const AlignedBuffer buffer, ReadAll(found));
    const bool is_first_read = !found.expectation.has_value();
    if (is_first_read) {
      SLIP_ASSIGN_OR_RETURN(found.expectation, Expect(index, buffer.view()));
    }
    uint64_t record_count = 0;
    absl::Status status;
    SpanningRun run;
    SegmentScan scan = ScanSegment(
        buffer.view(), *found.expectation, run,
        [&](const RecordView& record, const Location& location) {
          const bool is_meant = status.ok() && IsStreamed(record.header) &&
                                IsChange(record.header) && record.header.tx_id == commit.tx_id &&
                                location.offset >= extent.first_offset &&
                                location.offset <= extent.last_offset;
          if (!is_meant) return;
          const absl::StatusOr<RecordHeader> header =
              commit.Resolve(record.header, base::KeyIdOf(record.key).shard());
          status = header.status();
          if (!status.ok()) return;
          const RecordView resolved{*header, record.key, record.value};
          status = on_record_({resolved, location, effect, RecordFate::kCommitted});
          ++record_count;
        });
    SLIP_RETURN_IF_ERROR(status);
    if (is_first_read) found.unreported = std::move(scan.damaged);
    ReportDamage(found, extent);
    const std::vector<DamagedRange>& damaged = result_.report.damaged;
    const bool is_known = std::any_of(damaged.begin(), damaged.end(), [&](const auto& range) {
      return range.segment_number == extent.segment_number;
    });
    if (record_count == extent.record_count || is_known) return absl::OkStatus();
    return absl::DataLossError(
        absl::StrFormat("segment %d: %d records of transaction %d, where its Commit counts %d",
                        extent.segment_number, record_count, commit.tx_id, extent.record_count));
  }

  // Reports what is damaged of `extent`, once.
  void ReportDamage(FoundSegment& found, const StreamExtent& extent) {
    std::erase_if(found.unreported, [this, &extent](DamagedRange& range) {
      const bool concerns =
          range.first_offset <= extent.last_offset && extent.first_offset < range.end_offset;
      if (concerns) result_.report.damaged.push_back(std::move(range));
      return concerns;
    });
  }

  std::vector<FoundSegment>::iterator FindSegment(uint64_t number) {
    return std::lower_bound(
        found_.begin(), found_.end(), number,
        [](const FoundSegment& found, uint64_t wanted) { return found.segment->number < wanted; });
  }

  // If the log ends within a transaction, makes it end before that one.
  void CutUnfinished() {
    const absl::optional<FramePlace> start = run_.UnfinishedFrom();
    // What the identity knows to be durable was so with all that was appended by then.
    if (!start.has_value() || options_.durable_lsn >= start->first_lsn) {
      run_.Commit(
          [this](const RecordView& record, const Location& location) { Apply(record, location); });
      return;
    }
    const auto first = FindSegment(start->segment_number);
    while (found_.end() - first > 1) {
      result_.abandoned_numbers.push_back(found_.back().segment->number);
      found_.pop_back();
    }
    first->segment->end_offset = start->offset;
    first->segment->last_lsn = start->first_lsn - 1;
    next_lsn_ = start->first_lsn;
    LogTail& tail = result_.tail;
    tail.segment_number = start->segment_number;
    tail.incarnation = first->segment->incarnation;
    tail.end_offset = start->offset;
    tail.frame_number = start->previous_frame_number;
    tail.header_crc32c = start->previous_header_crc32c;
    tail.goes_on = false;
    RecoveryReport& report = result_.report;
    report.record_count -= run_.record_count();
    report.tail_cut = true;
    report.tail_segment_number = start->segment_number;
    report.tail_offset = start->offset;
    report.tail_cause =
        absl::StrFormat("segment %d offset %d: a transaction without its Commit, %d records of it",
                        start->segment_number, start->offset, run_.record_count());
    // What was damaged of it nobody was ever told of.
    std::erase_if(report.damaged, [&start](const DamagedRange& range) {
      return range.segment_number > start->segment_number ||
             (range.first_lsn >= start->first_lsn && range.lost_count() != 0);
    });
  }

  // An earlier life has cut a transaction off if the next segment gives the LSNs of its records
  // again; that segment's header says so as well, but may be damaged.
  void DropIfCutOff(Lsn next_first_lsn) {
    const absl::optional<FramePlace> start = run_.start();
    if (!start.has_value() || next_first_lsn > start->first_lsn) return;
    Segment& segment = *FindSegment(start->segment_number)->segment;
    segment.end_offset = start->offset;
    segment.last_lsn = start->first_lsn - 1;
    result_.report.record_count -= run_.record_count();
    next_lsn_ = start->first_lsn;
    run_.Drop();
  }

  // Fills in what the log has to know of a segment that it did not write in this life.
  static void Describe(const FoundSegment& found, uint64_t incarnation, const SegmentScan& scan) {
    Segment& segment = *found.segment;
    segment.incarnation = incarnation;
    segment.end_offset = scan.end_offset;
    segment.last_lsn = scan.next_lsn - 1;
    segment.holds_writes = true;
    if (!found.header.has_value()) return;
    segment.previous = LinkBefore(*found.header);
  }

  // Says what is known about the segment at `index`: from its header, else from its frames and from
  // the next segment.
  absl::StatusOr<SegmentExpectation> Expect(size_t index, absl::string_view bytes) {
    const FoundSegment& found = found_[index];
    const bool is_last = index + 1 == found_.size();
    SegmentExpectation expectation{.segment_number = found.segment->number,
                                   .is_recycled = found.recycled_incarnation != 0,
                                   .first_lsn = next_lsn_};
    if (is_last) expectation.durable_lsn = options_.durable_lsn;
    const absl::optional<SegmentLink> link = LinkOf(index);
    if (link.has_value()) {
      expectation.end = SegmentEnd{.offset = std::min<uint64_t>(link->end_offset, bytes.size()),
                                   .last_lsn = link->last_lsn};
      expectation.incarnation = link->incarnation;
    }
    if (found.header.has_value()) {
      // What follows knows better: this file may be an old copy of the one that it followed.
      if (!link.has_value()) expectation.incarnation = found.header->incarnation;
      expectation.header_crc32c = found.header->crc32c;
      expectation.first_lsn = found.header->first_lsn;
      return expectation;
    }
    return ExpectFromFrames(found, bytes, is_last, std::move(expectation));
  }

  // Fills in what the damaged header page of `found` would have said.
  absl::StatusOr<SegmentExpectation> ExpectFromFrames(const FoundSegment& found,
                                                      absl::string_view bytes, bool is_last,
                                                      SegmentExpectation expectation) {
    uint64_t offset = kPageBytes;
    if (expectation.incarnation == 0) expectation.incarnation = found.recycled_incarnation;
    const absl::optional<FrameHeader> frame =
        FindFrameHeader(bytes, found.segment->number, expectation.incarnation, offset);
    if (!frame.has_value() && !found.has_our_magic)
      return Foreign(found.path, found.header_problem);
    if (frame.has_value()) {
      expectation.incarnation = frame->incarnation;
      if (frame->frame_number == 1) expectation.first_lsn = frame->first_lsn;
    }
    // Frames are written only after the header was synced: that it is bad is no torn write.
    if (is_last && !frame.has_value()) {
      expectation.durable_lsn = std::max(expectation.durable_lsn, next_lsn_);
    }
    result_.report.damaged.push_back(
        {.segment_number = found.segment->number,
         .first_offset = 0,
         .end_offset = kPageBytes,
         .first_lsn = next_lsn_,
         .last_lsn = next_lsn_ - 1,
         .cause = absl::StrFormat("segment %d offset 0: %s", found.segment->number,
                                  found.header_problem)});
    return expectation;
  }

  // Goes past those gaps whose segments have numbers below `number`: what was in them is no loss.
  void PassGaps(uint64_t number) {
    for (; passed_gap_count_ < options_.gaps.size(); ++passed_gap_count_) {
      const SegmentGap& gap = options_.gaps[passed_gap_count_];
      if (gap.first_number >= number) return;
      // What is dropped was durable whole, and so was what the segment before it ends within.
      run_.NoteUnread();
      NoteGap(gap.first_number, gap.previous.last_lsn + 1);
      next_lsn_ = std::max(next_lsn_, gap.last_lsn + 1);
    }
  }

  // Reports the records between what was read so far and `first_lsn`: they are in no segment.
  void NoteGap(uint64_t segment_number, Lsn first_lsn) {
    if (first_lsn <= next_lsn_) return;
    result_.report.damaged.push_back(
        {.segment_number = segment_number,
         .first_lsn = next_lsn_,
         .last_lsn = first_lsn - 1,
         .cause = absl::StrFormat("segment %d starts with LSN %d: a segment is missing before it",
                                  segment_number, first_lsn)});
    next_lsn_ = first_lsn;
  }

  // Returns whether the file ends before the segment does, within its frames. Its length was
  // durable before its first frame was: no crash shortens it.
  static bool IsCutShort(const FoundSegment& found, const SegmentScan& scan) {
    const uint64_t bytes = found.segment->bytes;
    if (!found.header.has_value() || found.header->segment_bytes <= bytes) return false;
    return scan.torn || scan.end_offset >= bytes;
  }

  // Reports what stood after `end_offset` in the last segment, as one record if nothing is known.
  void NoteCut(const FoundSegment& found, uint64_t end_offset) {
    run_.NoteUnread();
    std::vector<DamagedRange>& damaged = result_.report.damaged;
    const bool noted = !damaged.empty() && damaged.back().lost_count() != 0 &&
                       damaged.back().segment_number == found.segment->number &&
                       damaged.back().end_offset == end_offset;
    if (noted) return;
    damaged.push_back({.segment_number = found.segment->number,
                       .first_offset = end_offset,
                       .end_offset = found.header->segment_bytes,
                       .first_lsn = next_lsn_,
                       .last_lsn = std::max(next_lsn_, options_.durable_lsn),
                       .cause = absl::StrFormat("segment %d is cut short at %d of %d bytes",
                                                found.segment->number, found.segment->bytes,
                                                found.header->segment_bytes)});
    next_lsn_ = damaged.back().last_lsn + 1;
  }

  void FinishTail() {
    RecoveryReport& report = result_.report;
    LogTail& tail = result_.tail;
    if (options_.durable_lsn >= next_lsn_) {
      report.damaged.push_back(
          {.segment_number = tail.next_segment_number,
           .first_lsn = next_lsn_,
           .last_lsn = options_.durable_lsn,
           .cause = absl::StrFormat("the log ends at LSN %d, but LSN %d was durable: a segment is "
                                    "missing after it",
                                    next_lsn_ - 1, options_.durable_lsn)});
      next_lsn_ = options_.durable_lsn + 1;
      tail.goes_on = false;
    }
    tail.last_lsn = next_lsn_ - 1;
    if (!tail.prepared.empty()) tail.next_segment_number = tail.prepared.back()->number + 1;
    if (!options_.gaps.empty()) {
      // A number that was dropped is not given again: its file would be taken for a leftover.
      const uint64_t last_number = options_.gaps.back().last_number;
      tail.next_segment_number = std::max(tail.next_segment_number, last_number + 1);
      // The segment that followed the gap is missing.
      if (tail.segment_number < last_number) tail.goes_on = false;
    }
    MarkDamaged();
    for (FoundSegment& found : found_) tail.segments.push_back(std::move(found.segment));
    report.segment_count = tail.segments.size() + tail.prepared.size();
  }

  // Notes which segments' damage was reported: missing ones have no offsets.
  void MarkDamaged() {
    for (const DamagedRange& range : result_.report.damaged) {
      for (FoundSegment& found : found_) {
        const bool here = found.segment->number == range.segment_number && range.end_offset != 0;
        found.segment->damaged = found.segment->damaged || here;
      }
    }
  }

  // What was read may be in the page cache only; from here on it counts as durable.
  absl::Status SyncLast() {
    if (!result_.tail.segments.empty()) {
      SLIP_RETURN_IF_ERROR(result_.tail.segments.back()->file->SyncData());
    }
    return removed_any_ ? fs_->SyncDirectory(directory_) : absl::OkStatus();
  }

  FileSystem* const fs_;
  const std::string directory_;
  const LogRecoveryOptions& options_;
  const OnRecovered on_record_;
  std::vector<FoundSegment> found_;  // In use, ascending.
  SpanningRun run_;
  std::set<std::pair<uint64_t, Location>> applied_;  // Streamed transactions: tx_id, effect.
  absl::Status status_;                              // Of on_record_.
  Lsn next_lsn_ = 1;
  size_t passed_gap_count_ = 0;
  bool removed_any_ = false;
  LogRecovery result_;
};

}  // namespace

absl::StatusOr<LogRecovery> RecoverLog(FileSystem* fs, absl::string_view directory,
                                       absl::Span<const uint64_t> numbers,
                                       const LogRecoveryOptions& options, OnRecovered on_record) {
  return Recovery(fs, directory, options, on_record).Run(numbers);
}

}  // namespace slipstream::storage

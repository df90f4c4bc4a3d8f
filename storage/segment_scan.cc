#include "storage/segment_scan.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_format.h"
#include "base/coding.h"
#include "base/status_macros.h"

namespace slipstream::storage {
namespace {

// A frame that passed all its own checks and stands where it must.
struct WholeFrame {
  FrameHeader header;
  std::vector<PlacedRecord> records;
};

// What the bytes after a bad frame, and other places, say about it.
struct Evidence {
  bool was_durable = false;
  absl::optional<FrameHeader> resume;  // The next frame, at:
  uint64_t resume_offset = 0;
};

class Scanner {
 public:
  Scanner(absl::string_view bytes, const SegmentExpectation& expectation, SpanningRun& run,
          SpanningRun::OnRecord on_record)
      : bytes_(bytes.substr(
            0, expectation.end.has_value() ? expectation.end->offset : absl::string_view::npos)),
        expectation_(expectation),
        run_(run),
        on_record_(on_record),
        chain_(expectation.header_crc32c) {
    scan_.end_offset = kPageBytes;
    scan_.next_lsn = expectation.first_lsn;
    scan_.header_crc32c = expectation.header_crc32c.value_or(0);
  }

  SegmentScan Run() && {
    while (scan_.end_offset < bytes_.size()) {
      absl::StatusOr<WholeFrame> frame = ReadFrame();
      if (frame.ok()) {
        Accept(*std::move(frame));
        continue;
      }
      const Evidence evidence = GatherEvidence();
      if (!evidence.was_durable) {
        scan_.torn = IsTorn();
        if (scan_.torn) scan_.torn_cause = Located(frame.status());
        break;
      }
      Quarantine(evidence, Located(frame.status()));
    }
    return std::move(scan_);
  }

 private:
  absl::string_view rest() const { return bytes_.substr(scan_.end_offset); }

  std::string Located(const absl::Status& status) const {
    return absl::StrFormat("segment %d offset %d: %s", expectation_.segment_number,
                           scan_.end_offset, std::string(status.message()));
  }

  // Decodes the header at the scan's position and checks that it is the one that must stand there.
  absl::StatusOr<FrameHeader> ReadHeader() const {
    SLIP_ASSIGN_OR_RETURN(const FrameHeader header, DecodeFrameHeader(rest()));
    if (header.incarnation != expectation_.incarnation ||
        header.segment_number != expectation_.segment_number) {
      return absl::DataLossError(absl::StrFormat(
          "frame of segment %d incarnation %016x, not %d incarnation %016x", header.segment_number,
          header.incarnation, expectation_.segment_number, expectation_.incarnation));
    }
    if (header.frame_number != scan_.frame_number + 1) {
      return absl::DataLossError(
          absl::StrFormat("frame number %d, not %d", header.frame_number, scan_.frame_number + 1));
    }
    if (header.first_lsn != scan_.next_lsn || header.durable_lsn >= header.first_lsn) {
      return absl::DataLossError(
          absl::StrFormat("frame of LSN %d, durable %d, where LSN %d follows", header.first_lsn,
                          header.durable_lsn, scan_.next_lsn));
    }
    if (chain_.has_value() && header.previous_header_crc32c != *chain_) {
      return absl::DataLossError(absl::StrFormat("frame that follows header crc 0x%08x, not 0x%08x",
                                                 header.previous_header_crc32c, *chain_));
    }
    return header;
  }

  absl::StatusOr<WholeFrame> ReadFrame() const {
    WholeFrame frame;
    SLIP_ASSIGN_OR_RETURN(frame.header, ReadHeader());
    SLIP_ASSIGN_OR_RETURN(const absl::string_view payload,
                          DecodeFramePayload(frame.header, rest()));
    SLIP_ASSIGN_OR_RETURN(frame.records, DecodeRecords(payload, frame.header.record_count));
    return frame;
  }

  void Accept(WholeFrame frame) {
    Deliver(std::move(frame.records), frame.header.record_count);
    scan_.end_offset += FrameBytes(frame.header.payload_bytes);
    scan_.next_lsn += frame.header.record_count;
    scan_.frame_number = frame.header.frame_number;
    scan_.header_crc32c = frame.header.header_crc32c;
    scan_.witnessed_lsn = std::max(scan_.witnessed_lsn, frame.header.durable_lsn);
    ++scan_.frame_count;
    scan_.record_count += frame.header.record_count;
    chain_ = frame.header.header_crc32c;
  }

  // Passes on the records of the frame at the scan's position, which has `record_count`.
  void Deliver(std::vector<PlacedRecord> records, uint32_t record_count) {
    const SpanningPart part = SpanningPartOf(records, record_count);
    if (part.open_tx_id != 0) {
      run_.Hold(part.open_tx_id, Place(), records, on_record_);
      return;
    }
    run_.Commit(on_record_);
    const uint64_t payload_offset = scan_.end_offset + kFrameHeaderBytes;
    for (const PlacedRecord& placed : CommittedRecords(std::move(records))) {
      on_record_(placed.record,
                 {.segment_number = static_cast<uint32_t>(expectation_.segment_number),
                  .offset = static_cast<uint32_t>(payload_offset + placed.payload_offset)});
    }
  }

  FramePlace Place() const {
    return {.segment_number = expectation_.segment_number,
            .offset = scan_.end_offset,
            .previous_frame_number = scan_.frame_number,
            .previous_header_crc32c = scan_.header_crc32c,
            .first_lsn = scan_.next_lsn};
  }

  // Returns whether what follows, none of which was durable, looks like what a crash has torn. Not
  // all of that does in a recycled segment: a frame without its header, among old bytes. The next
  // frame may overwrite that, as nothing will ever be taken for it.
  bool IsTorn() const {
    if (!expectation_.is_recycled) return !IsZero(rest());
    uint64_t offset = scan_.end_offset;
    if (FindFrameHeader(bytes_, expectation_.segment_number, expectation_.incarnation, offset)
            .has_value()) {
      return true;
    }
    return StartsWithTornHeader(rest());
  }

  // Looks for what says that the bad frame at the scan's position was durable once.
  Evidence GatherEvidence() const {
    Evidence evidence;
    evidence.was_durable =
        expectation_.end.has_value() || expectation_.durable_lsn >= scan_.next_lsn;
    // The extent of a bad frame is known if its header is good.
    const absl::StatusOr<FrameHeader> bad = ReadHeader();
    uint64_t offset = scan_.end_offset + (bad.ok() ? FrameBytes(bad->payload_bytes) : kPageBytes);
    for (; !(evidence.was_durable && evidence.resume.has_value()); offset += kPageBytes) {
      const absl::optional<FrameHeader> later =
          FindFrameHeader(bytes_, expectation_.segment_number, expectation_.incarnation, offset);
      if (!later.has_value()) break;
      if (later->frame_number <= scan_.frame_number || later->first_lsn < scan_.next_lsn) continue;
      // A frame that goes on without a gap: what is bad was a witness, which is synced at once.
      const bool no_gap = !evidence.resume.has_value() && later->first_lsn == scan_.next_lsn;
      if (no_gap || later->durable_lsn >= scan_.next_lsn) evidence.was_durable = true;
      if (!evidence.resume.has_value()) {
        evidence.resume = later;
        evidence.resume_offset = offset;
      }
    }
    return evidence;
  }

  // Reports the stretch from the scan's position to the next frame, saves what can be saved, and
  // makes that frame the next to be expected.
  void Quarantine(const Evidence& evidence, std::string cause) {
    DamagedRange range{.segment_number = expectation_.segment_number,
                       .first_offset = scan_.end_offset,
                       .first_lsn = scan_.next_lsn,
                       .cause = std::move(cause)};
    range.last_lsn = std::max(scan_.next_lsn - 1, expectation_.durable_lsn);
    if (const absl::StatusOr<FrameHeader> bad = ReadHeader(); bad.ok()) {
      std::vector<PlacedRecord> saved =
          SalvageRecords(rest().substr(kFrameHeaderBytes, bad->payload_bytes), bad->record_count);
      range.salvaged_count = saved.size();
      scan_.record_count += saved.size();
      if (!saved.empty()) Deliver(std::move(saved), bad->record_count);
      range.last_lsn = std::max(range.last_lsn, bad->first_lsn + bad->record_count - 1);
    }
    if (expectation_.end.has_value()) range.last_lsn = expectation_.end->last_lsn;
    run_.NoteUnread();
    range.end_offset = bytes_.size();
    if (evidence.resume.has_value()) {
      range.last_lsn = evidence.resume->first_lsn - 1;
      range.end_offset = evidence.resume_offset;
      scan_.frame_number = evidence.resume->frame_number - 1;
      chain_ = evidence.resume->previous_header_crc32c;
    }
    // A header that contradicts what its segment holds must not make a count wrap around.
    range.last_lsn = std::max(range.last_lsn, range.first_lsn + range.salvaged_count - 1);
    scan_.next_lsn = range.last_lsn + 1;
    scan_.end_offset = range.end_offset;
    scan_.damaged.push_back(std::move(range));
  }

  const absl::string_view bytes_;  // Up to the known end.
  const SegmentExpectation& expectation_;
  SpanningRun& run_;
  const SpanningRun::OnRecord on_record_;
  absl::optional<uint32_t> chain_;  // What the next frame must name as the header before it.
  SegmentScan scan_;
};

}  // namespace

SegmentScan ScanSegment(absl::string_view bytes, const SegmentExpectation& expectation,
                        SpanningRun& run, SpanningRun::OnRecord on_record) {
  return Scanner(bytes, expectation, run, on_record).Run();
}

absl::optional<FrameHeader> FindFrameHeader(absl::string_view bytes, uint64_t segment_number,
                                            uint64_t incarnation, uint64_t& offset) {
  for (; offset + kPageBytes <= bytes.size(); offset += kPageBytes) {
    // Most pages are no header: tell them without the cost of an error message.
    if (base::LoadLittle<uint32_t>(bytes.data() + offset) != kFrameMagic) continue;
    const absl::StatusOr<FrameHeader> header = DecodeFrameHeader(bytes.substr(offset));
    if (!header.ok() || header->segment_number != segment_number) continue;
    if (incarnation == 0 || header->incarnation == incarnation) return *header;
  }
  return absl::nullopt;
}

bool StartsWithTornHeader(absl::string_view bytes) {
  return base::LoadLittle<uint32_t>(bytes.data()) == kFrameMagic && !DecodeFrameHeader(bytes).ok();
}

bool IsZero(absl::string_view bytes) {
  // Equal to itself shifted by one, and starting with zero.
  return bytes.empty() ||
         (bytes[0] == 0 && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

}  // namespace slipstream::storage

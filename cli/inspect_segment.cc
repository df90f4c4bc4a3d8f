#include "cli/inspect_segment.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "absl/types/optional.h"
#include "base/coding.h"
#include "base/key_id.h"
#include "base/status_macros.h"
#include "base/version.h"
#include "cli/inspect_header.h"
#include "storage/ceilings.h"
#include "storage/compression.h"
#include "storage/frame.h"
#include "storage/record.h"
#include "storage/segment.h"
#include "storage/segment_scan.h"
#include "storage/stream_commit.h"

namespace slipstream::cli {
namespace {

using storage::FrameHeader;
using storage::kPageBytes;
using storage::PlacedRecord;
using storage::RecordHeader;
using storage::RecordType;
using storage::RecycledMark;
using storage::SegmentHeader;

std::string TypeName(const RecordHeader& header) {
  if (storage::IsStreamed(header)) {
    RecordHeader other = header;
    other.flags = 0;
    return absl::StrCat("streamed ", TypeName(other));
  }
  switch (header.type) {
    case RecordType::kPut:
      return "put";
    case RecordType::kDelete:
      return "delete";
    case RecordType::kCommit:
      return "commit";
    case RecordType::kRollback:
      return "rollback";
  }
  return "unknown";
}

std::string CodecName(storage::Codec codec) {
  switch (codec) {
    case storage::Codec::kNone:
      return "none";
    case storage::Codec::kLz4:
      return "lz4";
    case storage::Codec::kZstd:
      return "zstd";
  }
  return "unknown";
}

// What stands after a place where no good frame does.
struct Ahead {
  bool all_zero = true;
  absl::optional<FrameHeader> resume;  // The next frame, at:
  uint64_t resume_offset = 0;
};

class SegmentInspector {
 public:
  SegmentInspector(const InspectSource& source, const InspectOptions& options)
      : source_(source), options_(options) {
    report_.kind = "segment";
    report_.file_bytes = source.size();
    frames_.name = "frames";
    frames_.columns = {"offset",       "frame_number", "first_lsn",     "last_lsn",
                       "record_count", "durable_lsn",  "payload_bytes", "damage"};
    records_.name = "records";
    records_.columns = {"lsn",
                        "offset",
                        "type",
                        "version",
                        "shard",
                        "sequence",
                        "expires_at_ms",
                        "codec",
                        "stored_bytes",
                        "raw_bytes",
                        "tx_id",
                        "stream_number",
                        "committed_count",
                        "segments",
                        "value_digest",
                        "key"};
  }

  absl::StatusOr<InspectReport> Run() && {
    SLIP_ASSIGN_OR_RETURN(const absl::optional<std::string> page, ReadHeaderPage(source_, report_));
    if (!page.has_value()) return std::move(report_);
    SLIP_ASSIGN_OR_RETURN(const bool is_prepared, ReadMark(*page));
    if (is_prepared) return std::move(report_);
    SLIP_RETURN_IF_ERROR(ReadHeader(*page));
    SetEnd();
    SLIP_RETURN_IF_ERROR(ReadFrames());
    AddSummary();
    report_.tables.push_back(std::move(frames_));
    if (options_.records) report_.tables.push_back(std::move(records_));
    return std::move(report_);
  }

 private:
  // Reads what the page says of a recycled file. Returns whether that is all there is to say, as no
  // frame of its own stands in it.
  absl::StatusOr<bool> ReadMark(absl::string_view page) {
    const absl::optional<RecycledMark> mark = storage::ReadRecycledMark(page);
    is_recycled_ = mark.has_value();
    if (!is_recycled_ ||
        page != storage::EncodeRecycledPage(mark->segment_number, mark->incarnation)) {
      return false;
    }
    number_ = mark->segment_number;
    incarnation_ = mark->incarnation;
    SLIP_ASSIGN_OR_RETURN(const Ahead ahead, LookAhead(/*from=*/0, source_.size()));
    if (ahead.resume.has_value()) return false;
    report_.kind = "prepared segment, recycled";
    report_.header = {{"segment_number", mark->segment_number},
                      {"incarnation", InspectId(mark->incarnation)}};
    // Its name need not say so yet: a crash may have come before the file was renamed.
    return true;
  }

  absl::Status ReadHeader(absl::string_view page) {
    const absl::StatusOr<SegmentHeader> header = storage::DecodeSegmentHeader(page);
    if (absl::IsFailedPrecondition(header.status())) return header.status();
    if (header.ok()) {
      number_ = header->segment_number;
      incarnation_ = header->incarnation;
      next_lsn_ = header->first_lsn;
      chain_ = header->crc32c;
      segment_bytes_ = header->segment_bytes;
    } else {
      report_.AddDamage(0, header.status().message());
    }
    SegmentHeader raw;
    std::memcpy(&raw, page.data(), sizeof(raw));
    AddHeader(raw);
    const absl::optional<uint64_t> named = storage::ParseSegmentFileName(options_.name);
    if (number_.has_value()) {
      CheckNumber(*number_, named, report_);
    } else {
      number_ = named;
    }
    return absl::OkStatus();
  }

  void AddHeader(const SegmentHeader& header) {
    report_.header = {
        {"format_version", uint64_t{header.format_version}},
        {"page_bytes", uint64_t{header.page_bytes}},
        {"node_id", InspectId(header.node_id)},
        {"segment_number", header.segment_number},
        {"incarnation", InspectId(header.incarnation)},
        {"segment_bytes", header.segment_bytes},
        {"first_lsn", header.first_lsn},
        {"previous_segment_number", header.previous_segment_number},
        {"previous_incarnation", InspectId(header.previous_incarnation)},
        {"previous_end_offset", header.previous_end_offset},
        {"previous_last_lsn", header.previous_last_lsn},
    };
  }

  // Decides up to where frames are looked for.
  void SetEnd() {
    end_ = std::min(source_.size(), storage::kSegmentBytesMax);
    if (segment_bytes_.has_value()) CheckLength(source_, *segment_bytes_, report_);
    if (!options_.data_end.has_value()) return;
    if (*options_.data_end > end_) {
      report_.AddDamage(end_,
                        absl::StrFormat("ends where data up to %d must be", *options_.data_end));
    }
    end_ = std::min(end_, *options_.data_end);
  }

  absl::Status ReadFrames() {
    while (offset_ + kPageBytes <= end_) {
      SLIP_ASSIGN_OR_RETURN(const std::string page, source_.Read(offset_, kPageBytes));
      const absl::StatusOr<FrameHeader> header = DecodePlaced(page);
      if (header.ok()) {
        SLIP_RETURN_IF_ERROR(ReadFrame(*header));
        continue;
      }
      SLIP_ASSIGN_OR_RETURN(const Ahead ahead, LookAhead(offset_, end_));
      const bool data_is_over = !ahead.resume.has_value() && (ahead.all_zero || IsOldPage(page));
      if (data_is_over && !options_.data_end.has_value()) return absl::OkStatus();
      AddBadPlace(header.status().message());
      if (!ahead.resume.has_value()) return absl::OkStatus();
      frame_number_ = ahead.resume->frame_number - 1;
      next_lsn_ = ahead.resume->first_lsn;
      chain_ = ahead.resume->previous_header_crc32c;
      offset_ = ahead.resume_offset;
    }
    return absl::OkStatus();
  }

  // Decodes the header of the frame at offset_ and checks that it is the one that must stand there.
  absl::StatusOr<FrameHeader> DecodePlaced(absl::string_view page) const {
    SLIP_ASSIGN_OR_RETURN(const FrameHeader header,
                          storage::DecodeFrameHeader(page, end_ - offset_));
    if (!IsOfThisSegment(header)) {
      return absl::DataLossError(absl::StrFormat("frame of segment %d incarnation %016x",
                                                 header.segment_number, header.incarnation));
    }
    if (header.frame_number != frame_number_ + 1) {
      return absl::DataLossError(
          absl::StrFormat("frame number %d, not %d", header.frame_number, frame_number_ + 1));
    }
    if (header.first_lsn != next_lsn_.value_or(header.first_lsn) ||
        header.durable_lsn >= header.first_lsn) {
      return absl::DataLossError(
          absl::StrFormat("frame of LSN %d, durable %d, where LSN %d follows", header.first_lsn,
                          header.durable_lsn, next_lsn_.value_or(header.first_lsn)));
    }
    if (chain_.has_value() && header.previous_header_crc32c != *chain_) {
      return absl::DataLossError(absl::StrFormat("frame that follows header crc 0x%08x, not 0x%08x",
                                                 header.previous_header_crc32c, *chain_));
    }
    return header;
  }

  // A damaged header page leaves it to the first frame to say which segment this is.
  bool IsOfThisSegment(const FrameHeader& header) const {
    return header.segment_number == number_.value_or(header.segment_number) &&
           header.incarnation == incarnation_.value_or(header.incarnation);
  }

  absl::Status ReadFrame(const FrameHeader& header) {
    number_ = header.segment_number;
    incarnation_ = header.incarnation;
    const uint64_t payload_offset = offset_ + storage::kFrameHeaderBytes;
    SLIP_ASSIGN_OR_RETURN(const std::string bytes,
                          source_.Read(offset_, storage::FrameBytes(header.payload_bytes)));
    const absl::string_view payload =
        absl::string_view(bytes).substr(storage::kFrameHeaderBytes, header.payload_bytes);
    absl::Status status = storage::DecodeFramePayload(header, bytes).status();
    std::vector<PlacedRecord> records;
    if (status.ok()) {
      absl::StatusOr<std::vector<PlacedRecord>> decoded =
          storage::DecodeRecords(payload, header.record_count);
      status = decoded.status();
      if (decoded.ok()) records = *std::move(decoded);
    }
    if (!status.ok()) {
      report_.AddDamage(offset_, status.message());
      AddBadRecord(payload, payload_offset, header.first_lsn);
      records = storage::SalvageRecords(payload, header.record_count);
    }
    AddFrame(header, status.message());
    for (const PlacedRecord& placed : records) {
      AddRecord(placed, header.first_lsn + placed.index, payload_offset + placed.payload_offset);
    }
    frame_number_ = header.frame_number;
    next_lsn_ = header.first_lsn + header.record_count;
    chain_ = header.header_crc32c;
    witnessed_lsn_ = std::max(witnessed_lsn_, header.durable_lsn);
    offset_ += storage::FrameBytes(header.payload_bytes);
    ends_badly_ = !status.ok();
    return absl::OkStatus();
  }

  void AddFrame(const FrameHeader& header, absl::string_view damage) {
    ++frame_count_;
    const uint64_t last_lsn = header.first_lsn + header.record_count - 1;
    frames_.AddRow({offset_, header.frame_number, header.first_lsn,
                    ValueIf(header.record_count != 0, last_lsn), uint64_t{header.record_count},
                    header.durable_lsn, uint64_t{header.payload_bytes},
                    ValueIf(!damage.empty(), std::string(damage))},
                   UINT64_MAX);
  }

  // Tells that no good frame header stands at offset_.
  void AddBadPlace(absl::string_view what) {
    report_.AddDamage(offset_, what);
    std::vector<InspectValue> row(frames_.columns.size());
    row.front() = offset_;
    row.back() = std::string(what);
    frames_.AddRow(std::move(row), UINT64_MAX);
    ends_badly_ = true;
  }

  // Names the first record of a damaged payload that fails its checks.
  void AddBadRecord(absl::string_view payload, uint64_t payload_offset, uint64_t first_lsn) {
    size_t place = 0;
    for (uint64_t lsn = first_lsn; place < payload.size(); ++lsn) {
      const absl::StatusOr<storage::RecordView> record =
          storage::DecodeRecord(payload.substr(place));
      if (!record.ok()) {
        report_.AddDamage(payload_offset + place,
                          absl::StrCat("LSN ", lsn, ": ", record.status().message()));
        return;
      }
      place += record->bytes();
    }
  }

  void AddRecord(const PlacedRecord& placed, uint64_t lsn, uint64_t offset) {
    ++record_count_;
    const RecordHeader& header = placed.record.header;
    const bool is_put = header.type == RecordType::kPut;
    if (is_put) {
      const absl::Status value = storage::DecompressValue(header, placed.record.value).status();
      if (!value.ok()) report_.AddDamage(offset, absl::StrCat("LSN ", lsn, ": ", value.message()));
    }
    std::string segments;  // Where the records stand that a Commit makes current.
    if (storage::IsStreamCommit(header)) {
      const absl::StatusOr<storage::StreamCommit> commit =
          storage::DecodeStreamCommit(placed.record);
      if (!commit.ok()) {
        report_.AddDamage(offset, absl::StrCat("LSN ", lsn, ": ", commit.status().message()));
      } else {
        segments = absl::StrJoin(commit->extents, " ", [](std::string* text, const auto& extent) {
          absl::StrAppend(text, extent.segment_number);
        });
      }
    }
    if (!options_.records || !records_.TakesRow(options_.limit)) return;
    const bool is_change = storage::IsChange(header);
    const bool is_streamed = storage::IsStreamed(header);
    // A streamed change has a number in place of a version, its Commit the version before them all.
    const bool has_version = (is_change && !is_streamed) || storage::IsStreamCommit(header);
    records_.AddRow(
        {lsn, offset, TypeName(header),
         ValueIf(has_version, base::ToString(placed.record.version())),
         ValueIf(is_change, uint64_t{base::KeyIdOf(placed.record.key).shard()}),
         ValueIf(is_change, header.sequence),
         ValueIf(header.expires_at_ms != 0, header.expires_at_ms),
         ValueIf(is_put, CodecName(header.codec)), ValueIf(is_put, uint64_t{header.stored_bytes}),
         ValueIf(is_put, uint64_t{header.raw_bytes}), ValueIf(header.tx_id != 0, header.tx_id),
         ValueIf(is_change && is_streamed, header.hlc),
         ValueIf(header.type == RecordType::kCommit, header.sequence),
         ValueIf(!segments.empty(), segments),
         ValueIf(is_put, absl::BytesToHexString(header.value_digest.view())),
         ValueIf(is_change, InspectKey{std::string(placed.record.key)})},
        options_.limit);
  }

  // Returns whether a page that is no frame may be what stood in the file before it was recycled.
  bool IsOldPage(absl::string_view page) const {
    const absl::StatusOr<FrameHeader> header = storage::DecodeFrameHeader(page, end_ - offset_);
    return is_recycled_ && !storage::StartsWithTornHeader(page) &&
           !(header.ok() && IsOfThisSegment(*header));
  }

  // Looks between the page at `from` and `end` for the next frame of this segment.
  absl::StatusOr<Ahead> LookAhead(uint64_t from, uint64_t end) const {
    Ahead ahead;
    const absl::Status status = VisitPieces(
        source_, from, end, [this, from, end, &ahead](uint64_t offset, absl::string_view piece) {
          ahead.all_zero = ahead.all_zero && storage::IsZero(piece);
          for (size_t i = 0; i + kPageBytes <= piece.size(); i += kPageBytes) {
            // Most pages are no header: tell them without the cost of an error message.
            if (base::LoadLittle<uint32_t>(piece.data() + i) != storage::kFrameMagic) continue;
            const absl::StatusOr<FrameHeader> header =
                storage::DecodeFrameHeader(piece.substr(i), end - offset - i);
            if (offset + i == from || !header.ok() || !CanResume(*header)) continue;
            ahead.resume = *header;
            ahead.resume_offset = offset + i;
            return absl::CancelledError("found");
          }
          return absl::OkStatus();
        });
    if (!status.ok() && !absl::IsCancelled(status)) return status;
    return ahead;
  }

  bool CanResume(const FrameHeader& header) const {
    return IsOfThisSegment(header) && header.frame_number > frame_number_ &&
           header.first_lsn >= next_lsn_.value_or(0);
  }

  void AddSummary() {
    report_.summary = {{"frame_count", frame_count_},
                       {"record_count", record_count_},
                       {"end_offset", offset_},
                       {"witnessed_lsn", witnessed_lsn_}};
    if (next_lsn_.value_or(0) != 0) report_.summary.push_back({"last_lsn", *next_lsn_ - 1});
    if (options_.data_end.has_value()) {
      report_.summary.push_back({"data_end_known", *options_.data_end});
    }
    if (ends_badly_ && !options_.data_end.has_value()) {
      report_.summary.push_back(
          {"tail", std::string("no good frame follows the damage: torn by a crash, or damaged "
                               "later; this file alone cannot tell")});
    }
  }

  const InspectSource& source_;
  const InspectOptions& options_;
  InspectReport report_;
  InspectTable frames_;
  InspectTable records_;
  // What the header or a frame says; nullopt while none has.
  absl::optional<uint64_t> number_;
  absl::optional<uint64_t> incarnation_;
  absl::optional<uint64_t> segment_bytes_;
  absl::optional<uint64_t> next_lsn_;
  absl::optional<uint32_t> chain_;  // What the next frame must name as the header before it.
  bool is_recycled_ = false;
  uint64_t end_ = 0;
  uint64_t offset_ = kPageBytes;
  uint64_t frame_number_ = 0;
  uint64_t witnessed_lsn_ = 0;
  uint64_t frame_count_ = 0;
  uint64_t record_count_ = 0;
  bool ends_badly_ = false;
};

}  // namespace

absl::StatusOr<InspectReport> InspectSegment(const InspectSource& source,
                                             const InspectOptions& options) {
  return SegmentInspector(source, options).Run();
}

}  // namespace slipstream::cli

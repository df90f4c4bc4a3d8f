#include "cli/inspect_tables.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "base/coding.h"
#include "base/crc32c.h"
#include "base/digest.h"
#include "base/key_id.h"
#include "base/status_macros.h"
#include "storage/identity.h"
#include "storage/index_file.h"
#include "storage/manifest.h"
#include "storage/options.h"
#include "storage/run_format.h"
#include "storage/run_merge_cursor.h"
#include "storage/segment.h"
#include "storage/snapshot_file.h"

namespace slipstream::cli {
namespace {

using storage::Identity;
using storage::IndexHeader;
using storage::IndexSegment;
using storage::IndexShard;
using storage::Manifest;
using storage::ManifestHeader;
using storage::SegmentGap;
using storage::SnapshotFile;
using storage::SnapshotHeader;
using storage::SnapshotMember;

InspectReport ReportOf(absl::string_view kind, const InspectSource& source) {
  InspectReport report;
  report.kind = std::string(kind);
  report.file_bytes = source.size();
  return report;
}

// Returns the T that stands in front of `bytes`, which may be shorter: then it ends in zeros.
template <typename T>
T FrontOf(absl::string_view bytes) {
  T value;
  std::memset(reinterpret_cast<char*>(&value), 0, sizeof(value));
  bytes.copy(reinterpret_cast<char*>(&value), sizeof(value));
  return value;
}

// Whether `status`, of decoding a file with the right magic, says that it is no damage but newer.
bool IsNewer(const absl::Status& status, bool right_magic) {
  return right_magic && absl::IsFailedPrecondition(status);
}

InspectValue SyncPolicyValue(storage::SyncPolicy policy) {
  switch (policy) {
    case storage::SyncPolicy::kAlways:
      return std::string("always");
    case storage::SyncPolicy::kInterval:
      return std::string("interval");
    case storage::SyncPolicy::kNone:
      return std::string("none");
  }
  return static_cast<uint64_t>(policy);
}

void AddGaps(const std::vector<SegmentGap>& gaps, uint64_t limit, InspectReport& report) {
  InspectTable table{
      .name = "gaps",
      .columns = {"first_number", "last_number", "last_lsn", "previous_segment_number",
                  "previous_incarnation", "previous_end_offset", "previous_last_lsn"}};
  for (const SegmentGap& gap : gaps) {
    table.AddRow(
        {gap.first_number, gap.last_number, gap.last_lsn, gap.previous.number,
         InspectId(gap.previous.incarnation), gap.previous.end_offset, gap.previous.last_lsn},
        limit);
  }
  report.tables.push_back(std::move(table));
}

class IndexInspector {
 public:
  IndexInspector(const InspectSource& source, const InspectOptions& options)
      : source_(source), options_(options), report_(ReportOf("index", source)) {}

  absl::StatusOr<InspectReport> Run() && {
    if (source_.size() < storage::kIndexHeaderBytes) {
      report_.AddDamage(source_.size(),
                        absl::StrFormat("ends after %d bytes, within its header", source_.size()));
      return std::move(report_);
    }
    SLIP_RETURN_IF_ERROR(ReadHeader());
    // What follows goes by the header's counts.
    if (!header_good_) return std::move(report_);
    if (TablesEnd() > source_.size()) {
      report_.AddDamage(source_.size(),
                        absl::StrFormat("ends within its tables of %d bytes", TablesEnd()));
      return std::move(report_);
    }
    SLIP_RETURN_IF_ERROR(ReadShards());
    SLIP_RETURN_IF_ERROR(ReadRuns());
    SLIP_RETURN_IF_ERROR(ReadSegments());
    SLIP_RETURN_IF_ERROR(ReadSavedState());
    return std::move(report_);
  }

 private:
  uint64_t ShardsEnd() const {
    return storage::kIndexHeaderBytes + base::kShardCount * sizeof(IndexShard);
  }
  uint64_t RunsEnd() const { return ShardsEnd() + uint64_t{header_.run_count} * sizeof(uint64_t); }
  uint64_t TablesEnd() const {
    return RunsEnd() + uint64_t{header_.segment_count} * sizeof(IndexSegment);
  }

  absl::Status ReadHeader() {
    SLIP_ASSIGN_OR_RETURN(const std::string bytes, source_.Read(0, storage::kIndexHeaderBytes));
    header_ = FrontOf<IndexHeader>(bytes);
    report_.header = {{"format_version", uint64_t{header_.format_version}},
                      {"file_bytes", header_.file_bytes},
                      {"node_id", InspectId(header_.node_id)},
                      {"actor", InspectId(header_.actor)},
                      {"last_hlc", InspectId(header_.last_hlc)},
                      {"last_tx_id", header_.last_tx_id},
                      {"next_run_number", header_.next_run_number},
                      {"durable_lsn", header_.durable_lsn},
                      {"run_count", uint64_t{header_.run_count}},
                      {"segment_count", uint64_t{header_.segment_count}}};
    const absl::string_view crced =
        absl::string_view(bytes).substr(offsetof(IndexHeader, format_version));
    if (header_.magic != storage::kIndexMagic) {
      report_.AddDamage(0, absl::StrFormat("index magic 0x%016x != 0x%016x", header_.magic,
                                           storage::kIndexMagic));
    }
    if (const uint32_t crc = base::Crc32c(crced); crc != header_.crc32c) {
      report_.AddDamage(0,
                        absl::StrFormat("index header crc 0x%08x != 0x%08x", crc, header_.crc32c));
      return absl::OkStatus();
    }
    if (header_.format_version != storage::kIndexFormatVersion) {
      return absl::FailedPreconditionError(
          absl::StrFormat("index of format version %d; this program reads version %d",
                          header_.format_version, storage::kIndexFormatVersion));
    }
    header_good_ = true;
    if (header_.run_count > storage::kRunsMax) {
      report_.AddDamage(
          offsetof(IndexHeader, run_count),
          absl::StrFormat("%d runs, more than %d", header_.run_count, storage::kRunsMax));
    }
    return CheckBody();
  }

  absl::Status CheckBody() {
    if (header_.file_bytes != source_.size()) {
      report_.AddDamage(std::min(header_.file_bytes, source_.size()),
                        absl::StrFormat("is %d bytes long, its header says %d", source_.size(),
                                        header_.file_bytes));
    }
    SLIP_ASSIGN_OR_RETURN(const uint32_t crc,
                          CrcOf(source_, storage::kIndexHeaderBytes, source_.size()));
    if (crc != header_.body_crc32c) {
      report_.AddDamage(
          storage::kIndexHeaderBytes,
          absl::StrFormat("index body crc 0x%08x != 0x%08x", crc, header_.body_crc32c));
    }
    return absl::OkStatus();
  }

  // Of the 256 positions, the least and the greatest tell where a start reads the log from.
  absl::Status ReadShards() {
    SLIP_ASSIGN_OR_RETURN(
        const std::string bytes,
        source_.Read(storage::kIndexHeaderBytes, base::kShardCount * sizeof(IndexShard)));
    std::array<IndexShard, base::kShardCount> shards;
    std::memcpy(shards.data(), bytes.data(), bytes.size());
    storage::Location first = shards.front().position();
    storage::Location last = first;
    uint64_t last_sequence = 0;
    for (const IndexShard& shard : shards) {
      first = std::min(first, shard.position());
      last = std::max(last, shard.position());
      last_sequence = std::max(last_sequence, shard.last_sequence);
    }
    report_.summary = {{"first_position_segment", uint64_t{first.segment_number}},
                       {"first_position_offset", uint64_t{first.offset}},
                       {"last_position_segment", uint64_t{last.segment_number}},
                       {"last_position_offset", uint64_t{last.offset}},
                       {"greatest_sequence", last_sequence}};
    return absl::OkStatus();
  }

  absl::Status ReadRuns() {
    InspectTable table{.name = "runs", .columns = {"run_number", "name"}};
    const uint64_t count = std::min<uint64_t>(header_.run_count, options_.limit);
    SLIP_ASSIGN_OR_RETURN(const std::string bytes,
                          source_.Read(ShardsEnd(), count * sizeof(uint64_t)));
    for (uint64_t i = 0; i < count; ++i) {
      const auto number = base::LoadLittle<uint64_t>(bytes.data() + i * sizeof(uint64_t));
      table.AddRow({number, storage::RunFileName(number)}, options_.limit);
    }
    table.left_out = header_.run_count - count;
    report_.tables.push_back(std::move(table));
    return absl::OkStatus();
  }

  absl::Status ReadSegments() {
    InspectTable table{.name = "segments",
                       .columns = {"segment_number", "dead_bytes", "record_bytes", "full",
                                   "holds_writes", "holds_commits", "damaged"}};
    uint64_t dead_bytes = 0;
    const auto visit = [this, &table, &dead_bytes](const IndexSegment& segment) {
      dead_bytes += segment.dead_bytes;
      table.AddRow({uint64_t{segment.number}, segment.dead_bytes, segment.record_bytes,
                    (segment.flags & storage::kIndexSegmentFull) != 0,
                    (segment.flags & storage::kIndexSegmentHoldsWrites) != 0,
                    (segment.flags & storage::kIndexSegmentHoldsCommits) != 0,
                    (segment.flags & storage::kIndexSegmentDamaged) != 0},
                   options_.limit);
    };
    constexpr uint64_t kSegmentsPerRead = kInspectPieceBytes / sizeof(IndexSegment);
    for (uint64_t first = 0; first < header_.segment_count; first += kSegmentsPerRead) {
      const uint64_t count = std::min(kSegmentsPerRead, header_.segment_count - first);
      SLIP_ASSIGN_OR_RETURN(
          const std::string bytes,
          source_.Read(RunsEnd() + first * sizeof(IndexSegment), count * sizeof(IndexSegment)));
      for (uint64_t i = 0; i < count; ++i) {
        visit(base::LoadLittle<IndexSegment>(bytes.data() + i * sizeof(IndexSegment)));
      }
    }
    report_.tables.push_back(std::move(table));
    report_.summary.push_back({"dead_bytes", dead_bytes});
    return absl::OkStatus();
  }

  // Adds up what the keeper of derived state has saved, 256 times a length and as many bytes.
  absl::Status ReadSavedState() {
    uint64_t offset = TablesEnd();
    uint64_t saved_bytes = 0;
    for (int shard = 0; shard < base::kShardCount; ++shard) {
      uint32_t count = 0;
      if (source_.size() - offset >= sizeof(count)) {
        SLIP_ASSIGN_OR_RETURN(const std::string bytes, source_.Read(offset, sizeof(count)));
        count = base::LoadLittle<uint32_t>(bytes.data());
      }
      if (source_.size() - offset < sizeof(count) + uint64_t{count}) {
        report_.AddDamage(offset, absl::StrFormat("saved state of shard %d cut short", shard));
        return absl::OkStatus();
      }
      offset += sizeof(count) + uint64_t{count};
      saved_bytes += count;
    }
    if (offset != source_.size()) {
      report_.AddDamage(offset,
                        absl::StrFormat("%d bytes behind the end", source_.size() - offset));
    }
    report_.summary.push_back({"saved_state_bytes", saved_bytes});
    return absl::OkStatus();
  }

  const InspectSource& source_;
  const InspectOptions& options_;
  InspectReport report_;
  IndexHeader header_;
  bool header_good_ = false;
};

}  // namespace

absl::StatusOr<InspectReport> InspectIdentity(const InspectSource& source) {
  InspectReport report = ReportOf("identity", source);
  // One byte more than there should be is enough to see that it is not ours.
  const size_t count = std::min<uint64_t>(source.size(), storage::kIdentityBytes + 1);
  SLIP_ASSIGN_OR_RETURN(const std::string bytes, source.Read(0, count));
  const auto identity = FrontOf<Identity>(bytes);
  const absl::Status status = storage::DecodeIdentity(bytes).status();
  if (IsNewer(status, identity.magic == storage::kIdentityMagic)) return status;
  if (!status.ok()) report.AddDamage(0, status.message());
  if (bytes.size() < storage::kIdentityBytes) return report;
  report.header = {{"format_version", uint64_t{identity.format_version}},
                   {"node_id", InspectId(identity.node_id)},
                   {"actor", InspectId(identity.actor)},
                   {"life_count", identity.life_count},
                   {"durable_lsn", identity.durable_lsn},
                   {"last_hlc", InspectId(identity.last_hlc)},
                   {"accepted_damage", InspectId(identity.accepted_damage)},
                   {"clean", identity.clean()},
                   {"sync_policy", SyncPolicyValue(identity.sync_policy)}};
  return report;
}

absl::StatusOr<InspectReport> InspectManifest(const InspectSource& source,
                                              const InspectOptions& options) {
  InspectReport report = ReportOf("manifest", source);
  constexpr uint64_t kBytesMax =
      storage::kManifestHeaderBytes + storage::kManifestGapsMax * storage::kSegmentGapBytes;
  SLIP_ASSIGN_OR_RETURN(const std::string bytes,
                        source.Read(0, std::min<uint64_t>(source.size(), kBytesMax + 1)));
  const auto header = FrontOf<ManifestHeader>(bytes);
  const absl::StatusOr<Manifest> manifest = storage::DecodeManifest(bytes);
  if (IsNewer(manifest.status(), header.magic == storage::kManifestMagic)) {
    return manifest.status();
  }
  if (!manifest.ok()) report.AddDamage(0, manifest.status().message());
  if (bytes.size() < storage::kManifestHeaderBytes) return report;
  report.header = {{"format_version", uint64_t{header.format_version}},
                   {"node_id", InspectId(header.node_id)},
                   {"actor", InspectId(header.actor)},
                   {"last_hlc", InspectId(header.last_hlc)},
                   {"last_tx_id", header.last_tx_id},
                   {"gap_count", uint64_t{header.gap_count}}};
  const auto& sequences = header.last_sequences;
  report.summary = {{"shards_with_dots", static_cast<uint64_t>(std::count_if(
                                             sequences.begin(), sequences.end(),
                                             [](uint64_t sequence) { return sequence != 0; }))},
                    {"greatest_sequence", *std::max_element(sequences.begin(), sequences.end())}};
  // Damaged gaps are shown as they stand.
  std::vector<SegmentGap> gaps;
  for (size_t place = storage::kManifestHeaderBytes;
       place + storage::kSegmentGapBytes <= bytes.size(); place += storage::kSegmentGapBytes) {
    gaps.push_back(FrontOf<SegmentGap>(absl::string_view(bytes).substr(place)));
  }
  AddGaps(gaps, options.limit, report);
  return report;
}

absl::StatusOr<InspectReport> InspectSnapshot(const InspectSource& source,
                                              const InspectOptions& options) {
  InspectReport report = ReportOf("snapshot", source);
  SLIP_ASSIGN_OR_RETURN(
      const std::string bytes,
      source.Read(0, std::min<uint64_t>(source.size(), storage::kSnapshotFileBytesMax + 1)));
  const auto header = FrontOf<SnapshotHeader>(bytes);
  const absl::StatusOr<SnapshotFile> file = storage::DecodeSnapshotFile(bytes);
  if (IsNewer(file.status(), header.magic == storage::kSnapshotMagic)) return file.status();
  if (!file.ok()) report.AddDamage(0, file.status().message());
  if (bytes.size() < storage::kSnapshotHeaderBytes) return report;
  report.header = {{"format_version", uint64_t{header.format_version}},
                   {"root", base::ToHex(header.root)},
                   {"node_id", InspectId(header.node_id)},
                   {"actor", InspectId(header.actor)},
                   {"key_count", header.key_count},
                   {"tombstone_count", header.tombstone_count},
                   {"last_hlc", InspectId(header.last_hlc)},
                   {"last_lsn", header.last_lsn},
                   {"created_at_ms", header.created_at_ms},
                   {"damaged_count", header.damaged_count},
                   {"lost_record_count", header.lost_record_count},
                   {"file_count", uint64_t{header.file_count}}};
  if (!file.ok()) return report;
  report.header.push_back({"node_name", file->node_name});
  InspectTable table{.name = "files", .columns = {"name", "file_bytes"}};
  for (const SnapshotMember& member : file->members) {
    table.AddRow({std::string(member.name_view()), member.bytes}, options.limit);
  }
  report.tables.push_back(std::move(table));
  return report;
}

absl::StatusOr<InspectReport> InspectIndex(const InspectSource& source,
                                           const InspectOptions& options) {
  return IndexInspector(source, options).Run();
}

}  // namespace slipstream::cli

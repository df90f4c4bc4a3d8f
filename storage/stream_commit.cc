#include "storage/stream_commit.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_format.h"
#include "base/key_id.h"
#include "base/status_macros.h"
#include "storage/ceilings.h"

namespace slipstream::storage {
namespace {

absl::Status Damaged(absl::string_view what) {
  return absl::DataLossError(absl::StrFormat("commit of a streamed transaction %s", what));
}

// Checks what every writer holds to. Returns how many records the extents count.
absl::StatusOr<uint64_t> CheckExtents(const std::vector<StreamExtent>& extents) {
  uint64_t record_count = 0;
  uint32_t last_number = 0;
  for (const StreamExtent& extent : extents) {
    const bool is_whole = extent.segment_number > last_number &&
                          extent.segment_number <= kSegmentNumberMax &&
                          extent.first_offset <= extent.last_offset &&
                          extent.last_offset < kSegmentBytesMax && extent.record_count != 0;
    if (!is_whole) {
      return Damaged(absl::StrFormat("with %d records from %d to %d of segment %d",
                                     extent.record_count, extent.first_offset, extent.last_offset,
                                     extent.segment_number));
    }
    last_number = extent.segment_number;
    record_count += extent.record_count;
  }
  return record_count;
}

absl::StatusOr<uint64_t> CheckShards(const std::vector<StreamShard>& shards) {
  uint64_t record_count = 0;
  int64_t last_shard = -1;
  for (const StreamShard& shard : shards) {
    const bool is_whole = shard.shard > last_shard && shard.shard < base::kShardCount &&
                          shard.record_count != 0 && shard.last_sequence <= kSequenceCeiling &&
                          shard.record_count <= kSequenceCeiling - shard.last_sequence;
    if (!is_whole) {
      return Damaged(absl::StrFormat("with %d records after sequence %d of shard %d",
                                     shard.record_count, shard.last_sequence, shard.shard));
    }
    last_shard = shard.shard;
    record_count += shard.record_count;
  }
  return record_count;
}

}  // namespace

uint64_t StreamCommit::record_count() const {
  uint64_t count = 0;
  for (const StreamExtent& extent : extents) count += extent.record_count;
  return count;
}

absl::StatusOr<RecordHeader> StreamCommit::Resolve(const RecordHeader& streamed,
                                                   uint8_t shard) const {
  const auto found =
      std::lower_bound(shards.begin(), shards.end(), shard,
                       [](const StreamShard& each, uint8_t wanted) { return each.shard < wanted; });
  const bool is_ours = IsStreamed(streamed) && streamed.tx_id == tx_id && streamed.actor == actor;
  if (!is_ours || found == shards.end() || found->shard != shard ||
      streamed.sequence > found->record_count || streamed.hlc > record_count()) {
    return Damaged(absl::StrFormat("that does not count its record %d, the %d. of shard %d",
                                   streamed.hlc, streamed.sequence, shard));
  }
  RecordHeader header = streamed;
  header.crc32c = 0;
  header.flags = 0;
  header.tx_id = 0;
  header.hlc = hlc + streamed.hlc;
  header.sequence = found->last_sequence + streamed.sequence;
  return header;
}

std::string EncodeStreamCommit(const StreamCommit& commit) {
  const StreamCommitHeader header{
      .segment_number = commit.first_place.segment_number,
      .offset = commit.first_place.offset,
      .extent_count = static_cast<uint32_t>(commit.extents.size()),
      .shard_count = static_cast<uint32_t>(commit.shards.size()),
  };
  const size_t extents_bytes = commit.extents.size() * kStreamExtentBytes;
  const size_t shards_bytes = commit.shards.size() * kStreamShardBytes;
  std::string value(kStreamCommitHeaderBytes + extents_bytes + shards_bytes, '\0');
  char* target = value.data();
  std::memcpy(target, &header, sizeof(header));
  target += sizeof(header);
  if (extents_bytes != 0) std::memcpy(target, commit.extents.data(), extents_bytes);
  target += extents_bytes;
  if (shards_bytes != 0) std::memcpy(target, commit.shards.data(), shards_bytes);
  return value;
}

RecordHeader StreamCommitRecordHeader(const StreamCommit& commit, absl::string_view value) {
  RecordHeader header;
  header.type = RecordType::kCommit;
  header.flags = kRecordFlagStreamed;
  header.tx_id = commit.tx_id;
  header.hlc = commit.hlc;
  header.actor = commit.actor;
  header.sequence = commit.record_count();
  header.stored_bytes = header.raw_bytes = static_cast<uint32_t>(value.size());
  return header;
}

absl::StatusOr<StreamCommit> DecodeStreamCommit(const RecordView& record) {
  const absl::string_view value = record.value;
  StreamCommitHeader header;
  if (value.size() < sizeof(header)) {
    return Damaged(absl::StrFormat("of %d bytes", value.size()));
  }
  std::memcpy(&header, value.data(), sizeof(header));
  const uint64_t extents_bytes = uint64_t{header.extent_count} * kStreamExtentBytes;
  const uint64_t shards_bytes = uint64_t{header.shard_count} * kStreamShardBytes;
  if (value.size() != sizeof(header) + extents_bytes + shards_bytes) {
    return Damaged(absl::StrFormat("of %d extents and %d shards in %d bytes", header.extent_count,
                                   header.shard_count, value.size()));
  }
  StreamCommit commit{
      .tx_id = record.header.tx_id,
      .hlc = record.header.hlc,
      .actor = record.header.actor,
      .first_place = {.segment_number = header.segment_number, .offset = header.offset}};
  commit.extents.resize(header.extent_count);
  commit.shards.resize(header.shard_count);
  const char* const extents = value.data() + sizeof(header);
  if (extents_bytes != 0) std::memcpy(commit.extents.data(), extents, extents_bytes);
  if (shards_bytes != 0) std::memcpy(commit.shards.data(), extents + extents_bytes, shards_bytes);
  SLIP_ASSIGN_OR_RETURN(const uint64_t in_extents, CheckExtents(commit.extents));
  SLIP_ASSIGN_OR_RETURN(const uint64_t in_shards, CheckShards(commit.shards));
  const uint64_t count = record.header.sequence;
  if (in_extents != count || in_shards != count || commit.hlc + count > kHlcCeiling) {
    return Damaged(absl::StrFormat("of %d records: %d in its segments, %d in its shards", count,
                                   in_extents, in_shards));
  }
  return commit;
}

}  // namespace slipstream::storage

#include "storage/frame.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <utility>

#include "absl/strings/str_format.h"
#include "base/crc32c.h"

namespace slipstream::storage {
namespace {

// The header's CRC covers what follows the CRC.
constexpr size_t kCrcedFrom = offsetof(FrameHeader, incarnation);

// The transaction whose records stand next to each other around this one; 0: none. The records of a
// streamed one stand each for itself.
uint64_t RunOf(const RecordHeader& header) { return IsStreamed(header) ? 0 : header.tx_id; }

// Returns whether the record ends such a transaction.
bool IsEndOfRun(const RecordHeader& header) {
  return !IsStreamed(header) &&
         (header.type == RecordType::kCommit || header.type == RecordType::kRollback);
}

// Returns the index after the last record of the transaction that starts at `first`, its end
// included, or 0 if the transaction is not whole.
size_t EndOfTransaction(const std::vector<PlacedRecord>& records, size_t first) {
  const uint64_t tx_id = RunOf(records[first].record.header);
  for (size_t i = first; i < records.size(); ++i) {
    const RecordHeader& header = records[i].record.header;
    // A gap in the indices is a record that could not be salvaged.
    if (RunOf(header) != tx_id || records[i].index != records[first].index + (i - first)) return 0;
    if (!IsEndOfRun(header)) continue;
    const bool whole = header.type == RecordType::kRollback || header.sequence == i - first;
    return whole && i != first ? i + 1 : 0;
  }
  return 0;
}

// Returns `records` without the transactions that are not whole; `part` need not be.
std::vector<PlacedRecord> WholeTransactions(const std::vector<PlacedRecord>& records,
                                            const SpanningPart& part) {
  if (part.open_tx_id != 0) return records;
  std::vector<PlacedRecord> whole(records.begin(),
                                  records.begin() + static_cast<ptrdiff_t>(part.ended_count));
  for (size_t i = part.ended_count; i < records.size();) {
    const size_t end = RunOf(records[i].record.header) == 0 ? i + 1 : EndOfTransaction(records, i);
    if (end == 0) {
      ++i;
      continue;
    }
    whole.insert(whole.end(), records.begin() + i, records.begin() + end);
    i = end;
  }
  return whole;
}

}  // namespace

uint32_t FrameHeaderCrc(const FrameHeader& header) {
  const absl::string_view bytes(reinterpret_cast<const char*>(&header), sizeof(header));
  return base::Crc32c(bytes.substr(kCrcedFrom));
}

absl::StatusOr<FrameHeader> DecodeFrameHeader(absl::string_view bytes) {
  return DecodeFrameHeader(bytes, bytes.size());
}

absl::StatusOr<FrameHeader> DecodeFrameHeader(absl::string_view bytes, uint64_t bytes_left) {
  if (bytes.size() < kFrameHeaderBytes) {
    return absl::DataLossError(absl::StrFormat("frame cut short at %d bytes", bytes.size()));
  }
  FrameHeader header;
  std::memcpy(&header, bytes.data(), sizeof(header));
  if (header.magic != kFrameMagic) {
    return absl::DataLossError(
        absl::StrFormat("frame magic 0x%08x != 0x%08x", header.magic, kFrameMagic));
  }
  if (const uint32_t crc = FrameHeaderCrc(header); crc != header.header_crc32c) {
    return absl::DataLossError(
        absl::StrFormat("frame header crc 0x%08x != 0x%08x", crc, header.header_crc32c));
  }
  if (FrameBytes(header.payload_bytes) > bytes_left) {
    return absl::DataLossError(absl::StrFormat("frame payload of %d bytes where %d are left",
                                               header.payload_bytes, bytes_left));
  }
  return header;
}

absl::StatusOr<absl::string_view> DecodeFramePayload(const FrameHeader& header,
                                                     absl::string_view bytes) {
  const absl::string_view payload = bytes.substr(kFrameHeaderBytes, header.payload_bytes);
  if (payload.size() != header.payload_bytes) {
    return absl::DataLossError(absl::StrFormat("frame payload cut short at %d of %d bytes",
                                               payload.size(), header.payload_bytes));
  }
  if (const uint32_t crc = base::Crc32c(payload); crc != header.payload_crc32c) {
    return absl::DataLossError(
        absl::StrFormat("frame payload crc 0x%08x != 0x%08x", crc, header.payload_crc32c));
  }
  return payload;
}

SpanningPart SpanningPartOf(const std::vector<PlacedRecord>& records, uint32_t record_count) {
  if (records.empty()) return {};
  const uint64_t tx_id = RunOf(records.front().record.header);
  if (tx_id == 0) return {};
  for (size_t i = 0; i < records.size(); ++i) {
    const RecordHeader& header = records[i].record.header;
    if (RunOf(header) != tx_id || records[i].index != i) return {};
    if (!IsEndOfRun(header)) continue;
    // A Commit that counts more than stand before it here is the end of more than this frame.
    if (header.type != RecordType::kCommit || header.sequence <= i) return {};
    return {.ended_count = i + 1};
  }
  return records.size() == record_count ? SpanningPart{.open_tx_id = tx_id} : SpanningPart{};
}

absl::StatusOr<std::vector<PlacedRecord>> DecodeRecords(absl::string_view payload,
                                                        uint32_t record_count) {
  std::vector<PlacedRecord> records;
  records.reserve(std::min<size_t>(record_count, payload.size() / kRecordHeaderBytes));
  size_t offset = 0;
  while (offset < payload.size()) {
    absl::StatusOr<RecordView> record = DecodeRecord(payload.substr(offset));
    if (!record.ok()) {
      return absl::DataLossError(
          absl::StrFormat("payload offset %d: %s", offset, std::string(record.status().message())));
    }
    records.push_back({.record = *record,
                       .payload_offset = static_cast<uint32_t>(offset),
                       .index = static_cast<uint32_t>(records.size())});
    offset += record->bytes();
  }
  if (records.size() != record_count) {
    return absl::DataLossError(
        absl::StrFormat("frame of %d records, not %d", records.size(), record_count));
  }
  const SpanningPart part = SpanningPartOf(records, record_count);
  if (WholeTransactions(records, part).size() != records.size()) {
    return absl::DataLossError("frame with a part of a transaction");
  }
  return records;
}

std::vector<PlacedRecord> SalvageRecords(absl::string_view payload, uint32_t record_count) {
  std::vector<PlacedRecord> records;
  size_t trusted_count = 0;  // Of `records`: those before the first bad one.
  bool all_good = true;
  size_t offset = 0;
  uint32_t index = 0;
  while (offset < payload.size()) {
    const absl::string_view rest = payload.substr(offset);
    const size_t claimed = ClaimedRecordBytes(rest);
    if (claimed == 0) break;
    if (absl::StatusOr<RecordView> record = DecodeRecord(rest); record.ok()) {
      records.push_back(
          {.record = *record, .payload_offset = static_cast<uint32_t>(offset), .index = index});
      if (all_good) ++trusted_count;
    } else {
      all_good = false;
    }
    offset += claimed;
    ++index;
  }
  const bool lengths_add_up = offset == payload.size() && index == record_count;
  if (!lengths_add_up) records.resize(trusted_count);
  return WholeTransactions(records, SpanningPartOf(records, record_count));
}

std::vector<PlacedRecord> CommittedRecords(std::vector<PlacedRecord> records) {
  // Each run of one tx_id ends in a Commit or a Rollback, or at the end of a frame that it fills.
  bool keep = true;
  for (size_t i = records.size(); i-- > 0;) {
    const RecordHeader& header = records[i].record.header;
    if (IsEndOfRun(header)) {
      keep = header.type == RecordType::kCommit;
    } else if (RunOf(header) != 0 && !keep) {
      records[i].record.header.type = RecordType::kRollback;
    }
  }
  std::erase_if(records,
                [](const PlacedRecord& placed) { return IsEndOfRun(placed.record.header); });
  return records;
}

}  // namespace slipstream::storage

#include "storage/record.h"

#include <cstring>

#include "absl/strings/str_format.h"
#include "base/crc32c.h"
#include "base/status_macros.h"
#include "storage/ceilings.h"

namespace slipstream::storage {
namespace {

constexpr size_t kCrcBytes = sizeof(RecordHeader::crc32c);

// Checks what a Put and a Delete have in common and what tells them apart.
absl::Status CheckChange(const RecordHeader& header) {
  if (header.key_bytes == 0 || header.key_bytes > kKeyBytesCeiling) {
    return absl::DataLossError(
        absl::StrFormat("record key of %d bytes, not 1 to %d", header.key_bytes, kKeyBytesCeiling));
  }
  if (header.raw_bytes > kValueBytesCeiling) {
    return absl::DataLossError(absl::StrFormat("record value of %d bytes, more than %d",
                                               header.raw_bytes, kValueBytesCeiling));
  }
  if (header.hlc == 0 || header.hlc > kHlcCeiling) {
    return absl::DataLossError(absl::StrFormat("record with hlc 0x%016x", header.hlc));
  }
  if (header.sequence == 0) return absl::DataLossError("record without a dot");
  if (header.sequence > kSequenceCeiling) {
    return absl::DataLossError(
        absl::StrFormat("record of sequence %d, more than %d", header.sequence, kSequenceCeiling));
  }
  if (IsStreamed(header) && header.tx_id == 0) {
    return absl::DataLossError("streamed record of no transaction");
  }
  const bool is_delete = header.type == RecordType::kDelete;
  if (is_delete && (header.stored_bytes != 0 || header.value_digest != base::ValueDigest{})) {
    return absl::DataLossError("delete record with a value");
  }
  return absl::OkStatus();
}

absl::Status CheckEndOfTransaction(const RecordHeader& header) {
  if (header.tx_id == 0) return absl::DataLossError("end of a transaction without a tx_id");
  const bool counts = header.type == RecordType::kCommit;
  if (counts != (header.sequence != 0)) {
    return absl::DataLossError(
        absl::StrFormat("end of a transaction of %d records", header.sequence));
  }
  const bool has_body = counts && IsStreamed(header);
  const bool has_version = header.hlc != 0 && header.hlc <= kHlcCeiling && header.actor != 0;
  if (has_body ? header.stored_bytes == 0 || !has_version
               : header.stored_bytes != 0 || header.hlc != 0 || header.actor != 0) {
    return absl::DataLossError(absl::StrFormat("end of a transaction with hlc 0x%016x and %d bytes",
                                               header.hlc, header.stored_bytes));
  }
  if (header.key_bytes != 0 || header.expires_at_ms != 0 ||
      header.value_digest != base::ValueDigest{}) {
    return absl::DataLossError("end of a transaction with the fields of a change");
  }
  return absl::OkStatus();
}

// What the stored bytes decode to is for whoever reads the value to check.
absl::Status CheckCodec(const RecordHeader& header) {
  switch (header.codec) {
    case Codec::kNone:
      if (header.raw_bytes == header.stored_bytes) return absl::OkStatus();
      return absl::DataLossError(
          absl::StrFormat("record of %d raw and %d stored bytes, uncompressed", header.raw_bytes,
                          header.stored_bytes));
    case Codec::kLz4:
    case Codec::kZstd:
      if (header.type == RecordType::kPut && header.stored_bytes != 0 &&
          header.stored_bytes < header.raw_bytes) {
        return absl::OkStatus();
      }
      return absl::DataLossError(absl::StrFormat("record of %d raw and %d stored bytes, compressed",
                                                 header.raw_bytes, header.stored_bytes));
  }
  return absl::DataLossError(
      absl::StrFormat("record codec %d is unknown", static_cast<int>(header.codec)));
}

absl::Status CheckHeader(const RecordHeader& header) {
  SLIP_RETURN_IF_ERROR(CheckCodec(header));
  if ((header.flags & ~kRecordFlagStreamed) != 0) {
    return absl::DataLossError(absl::StrFormat("record flags 0x%04x are unknown", header.flags));
  }
  switch (header.type) {
    case RecordType::kPut:
    case RecordType::kDelete:
      return CheckChange(header);
    case RecordType::kCommit:
    case RecordType::kRollback:
      return CheckEndOfTransaction(header);
  }
  return absl::DataLossError(
      absl::StrFormat("record type %d is unknown", static_cast<int>(header.type)));
}

}  // namespace

uint32_t RecordCrc(const RecordHeader& header, absl::string_view key, absl::string_view value) {
  const absl::string_view header_bytes(reinterpret_cast<const char*>(&header), sizeof(header));
  uint32_t crc = base::Crc32c(header_bytes.substr(kCrcBytes));
  crc = base::ExtendCrc32c(crc, key);
  return base::ExtendCrc32c(crc, value);
}

size_t ClaimedRecordBytes(absl::string_view bytes) {
  if (bytes.size() < kRecordHeaderBytes) return 0;
  RecordHeader header;
  std::memcpy(&header, bytes.data(), sizeof(header));
  const uint64_t claimed =
      uint64_t{kRecordHeaderBytes} + header.key_bytes + uint64_t{header.stored_bytes};
  return claimed <= bytes.size() ? static_cast<size_t>(claimed) : 0;
}

absl::StatusOr<RecordView> DecodeRecord(absl::string_view bytes) {
  const size_t record_bytes = ClaimedRecordBytes(bytes);
  if (record_bytes == 0) {
    return absl::DataLossError(absl::StrFormat("record cut short at %d bytes", bytes.size()));
  }
  RecordView record;
  std::memcpy(&record.header, bytes.data(), sizeof(record.header));
  record.key = bytes.substr(kRecordHeaderBytes, record.header.key_bytes);
  record.value =
      bytes.substr(kRecordHeaderBytes + record.header.key_bytes, record.header.stored_bytes);
  const uint32_t crc = base::Crc32c(bytes.substr(kCrcBytes, record_bytes - kCrcBytes));
  if (crc != record.header.crc32c) {
    return absl::DataLossError(
        absl::StrFormat("record crc 0x%08x != 0x%08x", crc, record.header.crc32c));
  }
  if (absl::Status status = CheckHeader(record.header); !status.ok()) return status;
  return record;
}

}  // namespace slipstream::storage

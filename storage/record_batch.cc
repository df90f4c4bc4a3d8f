#include "storage/record_batch.h"

#include <algorithm>
#include <utility>

#include "base/digest.h"
#include "storage/compression.h"
#include "storage/record.h"

namespace slipstream::storage {

PendingRecord MakePending(bool deletes, absl::string_view key, absl::string_view value) {
  PendingRecord record;
  record.key = key;
  record.value = value;
  record.header.type = deletes ? RecordType::kDelete : RecordType::kPut;
  record.header.key_bytes = static_cast<uint32_t>(key.size());
  record.header.stored_bytes = record.header.raw_bytes = static_cast<uint32_t>(value.size());
  if (!deletes) record.header.value_digest = base::DigestOfValue(value);
  return record;
}

void SetCrc(PendingRecord& record) {
  record.header.crc32c = RecordCrc(record.header, record.key, record.value);
}

void RecordBatch::Compress(PendingRecord& record, Compression policy) {
  StoredValue stored = CompressValue(record.value, policy);
  if (stored.codec == Codec::kNone) return;
  compressed.push_back(std::move(stored.bytes));
  record.value = compressed.back();
  record.header.codec = stored.codec;
  record.header.stored_bytes = static_cast<uint32_t>(record.value.size());
}

void RecordBatch::Add(const PendingRecord& record, const base::KeyId& key_id) {
  records.push_back(record);
  key_ids.push_back(key_id);
  stripes |= StripeOf(key_id.shard());
  payload_bytes += record.bytes();
}

void RecordBatch::AddCommit(uint64_t tx_id) {
  PendingRecord commit;
  commit.header.type = RecordType::kCommit;
  commit.header.tx_id = tx_id;
  commit.header.sequence = records.size();
  for (PendingRecord& record : records) record.header.tx_id = tx_id;
  SetCrc(commit);
  records.push_back(commit);
  payload_bytes += commit.bytes();
}

AppendPurpose RecordBatch::purpose() const {
  const bool deletes = std::all_of(records.begin(), records.end(), [](const PendingRecord& record) {
    return record.header.type != RecordType::kPut;
  });
  return deletes ? AppendPurpose::kDelete : AppendPurpose::kWrite;
}

}  // namespace slipstream::storage

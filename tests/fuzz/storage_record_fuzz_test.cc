// A frame's payload from hostile bytes: what is decoded lies within them and encodes to the same
// bytes, and what is salvaged is a part of what a whole payload would give. The first byte is the
// record count; its highest bit asks for valid checksums, which no fuzzer would find by itself.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/check.h"
#include "base/key_id.h"
#include "storage/frame.h"
#include "storage/record.h"
#include "storage/stream_commit.h"

namespace slipstream::storage {
namespace {

constexpr uint8_t kFixChecksums = 0x80;

// Walks the records by the lengths they claim and gives each the checksum that it should have.
void FixChecksums(std::string& payload) {
  for (size_t offset = 0; offset < payload.size();) {
    const absl::string_view rest = absl::string_view(payload).substr(offset);
    const size_t claimed = ClaimedRecordBytes(rest);
    if (claimed == 0) return;
    RecordHeader header;
    std::memcpy(&header, rest.data(), sizeof(header));
    const uint32_t crc =
        RecordCrc(header, rest.substr(kRecordHeaderBytes, header.key_bytes),
                  rest.substr(kRecordHeaderBytes + header.key_bytes, header.stored_bytes));
    std::memcpy(payload.data() + offset, &crc, sizeof(crc));
    offset += claimed;
  }
}

void CheckPlaced(const PlacedRecord& placed, absl::string_view payload) {
  const absl::string_view header(reinterpret_cast<const char*>(&placed.record.header),
                                 kRecordHeaderBytes);
  SLIP_CHECK(payload.substr(placed.payload_offset, placed.record.bytes()) ==
             absl::StrCat(header, placed.record.key, placed.record.value));
}

// What a Commit says is refused, or written as it was read.
void CheckStreamCommit(const RecordView& record) {
  const absl::StatusOr<StreamCommit> commit = DecodeStreamCommit(record);
  if (!commit.ok()) return;
  SLIP_CHECK(EncodeStreamCommit(*commit) == record.value);
  RecordHeader streamed;
  streamed.flags = kRecordFlagStreamed;
  streamed.tx_id = commit->tx_id;
  streamed.actor = commit->actor;
  streamed.hlc = streamed.sequence = 1;
  for (int shard = 0; shard < base::kShardCount; ++shard) {
    const absl::StatusOr<RecordHeader> resolved =
        commit->Resolve(streamed, static_cast<uint8_t>(shard));
    SLIP_CHECK(!resolved.ok() || resolved->hlc == commit->hlc + 1);
  }
}

void CheckPayload(absl::string_view payload, uint32_t record_count) {
  const absl::StatusOr<std::vector<PlacedRecord>> whole = DecodeRecords(payload, record_count);
  const std::vector<PlacedRecord> salvaged = SalvageRecords(payload, record_count);
  for (const PlacedRecord& placed : salvaged) CheckPlaced(placed, payload);
  if (!whole.ok()) return;
  SLIP_CHECK(whole->size() == record_count);
  SLIP_CHECK(salvaged.size() == record_count);
  for (const PlacedRecord& placed : *whole) CheckPlaced(placed, payload);
  for (const PlacedRecord& placed : CommittedRecords(*whole)) {
    SLIP_CHECK(IsChange(placed.record.header) != placed.record.key.empty());
    SLIP_CHECK(IsChange(placed.record.header) || IsStreamed(placed.record.header));
    if (IsStreamCommit(placed.record.header)) CheckStreamCommit(placed.record);
  }
}

}  // namespace
}  // namespace slipstream::storage

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using slipstream::storage::kFixChecksums;
  if (size == 0) return 0;
  std::string payload(reinterpret_cast<const char*>(data) + 1, size - 1);
  if ((data[0] & kFixChecksums) != 0) slipstream::storage::FixChecksums(payload);
  slipstream::storage::CheckPayload(payload, data[0] & ~kFixChecksums);
  return 0;
}

// A segment with hostile edits: the scan ends, stays within the file, reports stretches that do not
// overlap, hands out only records that decode where it says they stand, and does so twice alike.
//
// Input: flags (1: the next segment names an end; 2: much is known to be durable), then edits of 4
// bytes: offset (16 bits), what to exclusive-or, whether to make the checksums of the frame at that
// page valid again.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/check.h"
#include "base/coding.h"
#include "base/crc32c.h"
#include "storage/frame.h"
#include "storage/record.h"
#include "storage/recovery_report.h"
#include "storage/segment_scan.h"
#include "storage/spanning_run.h"

namespace slipstream::storage {
namespace {

constexpr uint64_t kPageCount = 8;
constexpr uint64_t kFrameCount = 5;
constexpr uint64_t kIncarnation = 42;
constexpr uint32_t kChainStart = 7;
constexpr size_t kEditBytes = 4;

void FixChecksums(std::string& segment, uint64_t page) {
  char* const frame = segment.data() + page * kPageBytes;
  FrameHeader header;
  std::memcpy(&header, frame, sizeof(header));
  const absl::string_view rest = absl::string_view(segment).substr(page * kPageBytes);
  if (FrameBytes(header.payload_bytes) <= rest.size()) {
    header.payload_crc32c = base::Crc32c(rest.substr(kFrameHeaderBytes, header.payload_bytes));
  }
  header.header_crc32c = FrameHeaderCrc(header);
  std::memcpy(frame, &header, sizeof(header));
}

// Frame i, at page i, holds two Puts, but every third one is a witness.
std::string ValidSegment() {
  std::string segment(kPageCount * kPageBytes, '\0');
  Lsn next_lsn = 1;
  uint32_t chain = kChainStart;
  for (uint64_t number = 1; number <= kFrameCount; ++number) {
    const uint32_t record_count = number % 3 == 0 ? 0 : 2;
    std::string payload;
    for (uint32_t i = 0; i < record_count; ++i) {
      RecordHeader header{.type = RecordType::kPut, .hlc = next_lsn, .sequence = 1, .key_bytes = 1};
      header.crc32c = RecordCrc(header, "k", "");
      payload.append(reinterpret_cast<const char*>(&header), sizeof(header)).append("k");
    }
    const FrameHeader header{.incarnation = kIncarnation,
                             .segment_number = 1,
                             .frame_number = number,
                             .first_lsn = next_lsn,
                             .durable_lsn = next_lsn - 1,
                             .payload_bytes = static_cast<uint32_t>(payload.size()),
                             .record_count = record_count,
                             .previous_header_crc32c = chain};
    std::memcpy(segment.data() + number * kPageBytes, &header, sizeof(header));
    std::memcpy(segment.data() + number * kPageBytes + sizeof(header), payload.data(),
                payload.size());
    FixChecksums(segment, number);
    chain = base::LoadLittle<uint32_t>(segment.data() + number * kPageBytes + 4);
    next_lsn += record_count;
  }
  return segment;
}

struct Outcome {
  SegmentScan scan;
  std::vector<uint64_t> offsets;
};

Outcome Scan(absl::string_view segment, const SegmentExpectation& expectation) {
  Outcome outcome;
  const auto on_record = [&](const RecordView& record, const auto& location) {
    SLIP_CHECK_OK(DecodeRecord(segment.substr(location.offset)).status());
    SLIP_CHECK(!record.key.empty());
    outcome.offsets.push_back(location.offset);
  };
  SpanningRun run;
  outcome.scan = ScanSegment(segment, expectation, run, on_record);
  run.Commit(on_record);
  return outcome;
}

void CheckScan(absl::string_view segment, const SegmentExpectation& expectation) {
  const Outcome outcome = Scan(segment, expectation);
  const SegmentScan& scan = outcome.scan;
  SLIP_CHECK(scan.end_offset % kPageBytes == 0);
  SLIP_CHECK(scan.end_offset >= kPageBytes);
  SLIP_CHECK(scan.end_offset <= segment.size());
  SLIP_CHECK(scan.torn == !scan.torn_cause.empty());
  uint64_t reported_to = kPageBytes;
  for (const DamagedRange& range : scan.damaged) {
    SLIP_CHECK(range.first_offset >= reported_to);
    SLIP_CHECK(range.end_offset > range.first_offset);
    SLIP_CHECK(range.end_offset <= scan.end_offset);
    reported_to = range.end_offset;
  }
  const Outcome again = Scan(segment, expectation);
  SLIP_CHECK(again.offsets == outcome.offsets);
  SLIP_CHECK(again.scan.end_offset == scan.end_offset);
  SLIP_CHECK(again.scan.next_lsn == scan.next_lsn);
}

void Run(absl::string_view input) {
  std::string segment = ValidSegment();
  const uint8_t flags = static_cast<uint8_t>(input[0]);
  std::vector<uint64_t> pages_to_fix;
  for (input.remove_prefix(1); input.size() >= kEditBytes; input.remove_prefix(kEditBytes)) {
    const uint64_t offset = base::LoadLittle<uint16_t>(input.data()) % segment.size();
    segment[offset] = static_cast<char>(segment[offset] ^ input[2]);
    if (input[3] != 0) pages_to_fix.push_back(offset / kPageBytes);
  }
  for (const uint64_t page : pages_to_fix) FixChecksums(segment, page);
  SegmentExpectation expectation{.segment_number = 1,
                                 .incarnation = kIncarnation,
                                 .header_crc32c = kChainStart,
                                 .first_lsn = 1};
  if ((flags & 1) != 0) expectation.end = SegmentEnd{.offset = 5 * kPageBytes, .last_lsn = 6};
  if ((flags & 2) != 0) expectation.durable_lsn = 8;
  expectation.is_recycled = (flags & 4) != 0;
  CheckScan(segment, expectation);
}

}  // namespace
}  // namespace slipstream::storage

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  slipstream::storage::Run({reinterpret_cast<const char*>(data), size});
  return 0;
}

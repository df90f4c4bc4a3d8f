#include "storage/frame.h"

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/crc32c.h"
#include "base/digest.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/record.h"

namespace slipstream::storage {
namespace {

using base::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string Encode(RecordHeader header, absl::string_view key, absl::string_view value) {
  header.key_bytes = static_cast<uint32_t>(key.size());
  header.stored_bytes = header.raw_bytes = static_cast<uint32_t>(value.size());
  header.crc32c = RecordCrc(header, key, value);
  return absl::StrCat(absl::string_view(reinterpret_cast<const char*>(&header), sizeof(header)),
                      key, value);
}

std::string Put(absl::string_view key, absl::string_view value, uint64_t tx_id = 0) {
  return Encode({.type = RecordType::kPut, .tx_id = tx_id, .hlc = 1, .sequence = 1}, key, value);
}

std::string Commit(uint64_t tx_id, uint64_t count) {
  return Encode({.type = RecordType::kCommit, .tx_id = tx_id, .sequence = count}, "", "");
}

std::string Rollback(uint64_t tx_id) {
  return Encode({.type = RecordType::kRollback, .tx_id = tx_id}, "", "");
}

std::string Frame(absl::string_view payload, uint32_t record_count) {
  FrameHeader header{.incarnation = 5,
                     .segment_number = 1,
                     .frame_number = 1,
                     .first_lsn = 1,
                     .payload_bytes = static_cast<uint32_t>(payload.size()),
                     .record_count = record_count,
                     .payload_crc32c = base::Crc32c(payload)};
  header.header_crc32c = FrameHeaderCrc(header);
  std::string bytes(FrameBytes(payload.size()), '\0');
  std::memcpy(bytes.data(), &header, sizeof(header));
  std::memcpy(bytes.data() + sizeof(header), payload.data(), payload.size());
  return bytes;
}

std::vector<std::string> Keys(const std::vector<PlacedRecord>& records) {
  std::vector<std::string> keys;
  for (const PlacedRecord& placed : records) keys.emplace_back(placed.record.key);
  return keys;
}

TEST(FrameTest, TakesWholePages) {
  EXPECT_EQ(FrameBytes(0), 4096u);
  EXPECT_EQ(FrameBytes(4096 - 64), 4096u);
  EXPECT_EQ(FrameBytes(4096 - 63), 8192u);
}

TEST(FrameTest, DecodesWhatWasEncoded) {
  const std::string payload = Put("a", "1") + Put("b", "2");
  const std::string bytes = Frame(payload, 2);
  ASSERT_OK_AND_ASSIGN(const FrameHeader header, DecodeFrameHeader(bytes));
  EXPECT_EQ(header.record_count, 2u);
  ASSERT_OK_AND_ASSIGN(const absl::string_view decoded, DecodeFramePayload(header, bytes));
  ASSERT_OK_AND_ASSIGN(const std::vector<PlacedRecord> records, DecodeRecords(decoded, 2));
  EXPECT_THAT(Keys(records), ElementsAre("a", "b"));
  EXPECT_EQ(records[1].payload_offset, kRecordHeaderBytes + 2);
  EXPECT_EQ(records[1].index, 1u);
}

TEST(FrameTest, EveryFlippedBitIsFound) {
  const std::string good = Frame(Put("a", "1"), 1);
  const size_t used = kFrameHeaderBytes + kRecordHeaderBytes + 2;
  for (size_t bit = 0; bit < used * 8; ++bit) {
    std::string bytes = good;
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
    const absl::StatusOr<FrameHeader> header = DecodeFrameHeader(bytes);
    if (bit < kFrameHeaderBytes * 8) {
      EXPECT_THAT(header, StatusIs(absl::StatusCode::kDataLoss)) << "bit " << bit;
    } else {
      ASSERT_OK(header);
      EXPECT_THAT(DecodeFramePayload(*header, bytes),
                  StatusIs(absl::StatusCode::kDataLoss, HasSubstr("payload crc")));
    }
  }
}

TEST(FrameTest, HeaderThatClaimsMoreThanThereIsIsRefused) {
  const std::string bytes = Frame(std::string(5000, 'x'), 1);
  EXPECT_THAT(DecodeFrameHeader(absl::string_view(bytes).substr(0, 4096)),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("5000 bytes where 4096 are left")));
  EXPECT_THAT(DecodeFrameHeader("short"), StatusIs(absl::StatusCode::kDataLoss));
}

TEST(FrameTest, HeaderIsReadWithoutThePayloadThatIsKnownToFollow) {
  const std::string bytes = Frame(Put("a", std::string(8192, 'v')), 1);
  const absl::string_view front = absl::string_view(bytes).substr(0, kFrameHeaderBytes);
  ASSERT_OK_AND_ASSIGN(const FrameHeader header, DecodeFrameHeader(front, bytes.size()));
  EXPECT_EQ(header.payload_bytes, kRecordHeaderBytes + 1 + 8192);
  EXPECT_THAT(DecodeFrameHeader(front, bytes.size() - 1), StatusIs(absl::StatusCode::kDataLoss));
}

TEST(FrameTest, RecordsMustFillThePayload) {
  const std::string payload = Put("a", "1") + Put("b", "2");
  EXPECT_THAT(DecodeRecords(payload, 1), StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_THAT(DecodeRecords(payload, 3), StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_THAT(DecodeRecords(payload + "x", 2), StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_THAT(DecodeRecords("", 1), StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_OK(DecodeRecords("", 0));
}

TEST(FrameTest, TransactionsMustBeWhole) {
  const std::string two = Put("a", "1", 9) + Put("b", "2", 9);
  EXPECT_OK(DecodeRecords(two + Commit(9, 2), 3));
  EXPECT_OK(DecodeRecords(two + Rollback(9), 3));
  const auto partial = StatusIs(absl::StatusCode::kDataLoss, HasSubstr("part of a transaction"));
  EXPECT_THAT(DecodeRecords(Put("x", "1") + two, 3), partial);
  EXPECT_THAT(DecodeRecords(two + Commit(9, 1), 3), partial);
  EXPECT_THAT(DecodeRecords(two + Commit(8, 2), 3), partial);
  EXPECT_THAT(DecodeRecords(two + Put("c", "3") + Commit(9, 2), 4), partial);
  EXPECT_THAT(DecodeRecords(Rollback(9), 1), partial);
}

TEST(FrameTest, RolledBackRecordsDoNotApply) {
  const std::string payload = Put("x", "0") + Put("a", "1", 8) + Rollback(8) + Put("b", "2", 9) +
                              Commit(9, 1) + Put("y", "3");
  ASSERT_OK_AND_ASSIGN(std::vector<PlacedRecord> records, DecodeRecords(payload, 6));
  EXPECT_THAT(Keys(CommittedRecords(std::move(records))), ElementsAre("x", "b", "y"));
}

TEST(FrameTest, SalvageSavesWhatStandsAroundADamagedRecord) {
  std::string payload = Put("a", "1") + Put("b", "2") + Put("c", "3");
  payload[kRecordHeaderBytes + 2 + kRecordHeaderBytes] ^= 1;  // The key "b".
  EXPECT_THAT(Keys(SalvageRecords(payload, 3)), ElementsAre("a", "c"));
}

TEST(FrameTest, SalvageGoesNoFurtherThanLengthsAddUp) {
  std::string payload = Put("a", "1") + Put("b", "2") + Put("c", "3");
  payload[kRecordHeaderBytes + 2 + 52] ^= 4;  // stored_bytes of "b".
  EXPECT_THAT(Keys(SalvageRecords(payload, 3)), ElementsAre("a"));
}

TEST(FrameTest, SalvageIsNotFooledByARecordWithinAValue) {
  // A client stores what looks like a record; then the length of its record is damaged so that the
  // next one seems to start there.
  const std::string forged = Put("victim", "forged");
  std::string payload = Put("evil", forged) + Put("c", "3");
  const uint32_t key_bytes_only = 0;
  std::memcpy(payload.data() + 52, &key_bytes_only, sizeof(key_bytes_only));
  EXPECT_THAT(Keys(SalvageRecords(payload, 2)), IsEmpty());
}

TEST(FrameTest, SalvageLeavesOutTransactionsThatAreNotWhole) {
  const std::string head = Put("x", "0");
  std::string payload = head + Put("a", "1", 9) + Put("b", "2", 9) + Commit(9, 2) + Put("y", "3");
  payload[head.size() + kRecordHeaderBytes] ^= 1;  // The key "a".
  EXPECT_THAT(Keys(SalvageRecords(payload, 5)), ElementsAre("x", "y"));
}

// What the frame of this payload has of a transaction that spans frames.
SpanningPart PartOf(absl::string_view payload, uint32_t record_count) {
  const absl::StatusOr<std::vector<PlacedRecord>> records = DecodeRecords(payload, record_count);
  return SpanningPartOf(*records, record_count);
}

TEST(SpanningPartTest, FillsAFrameWithoutAnEndOrStartsItWithOne) {
  const std::string two = Put("a", "1", 9) + Put("b", "2", 9);
  EXPECT_EQ(PartOf(two, 2).open_tx_id, 9u);
  EXPECT_EQ(PartOf(two + Commit(9, 5), 3).ended_count, 3u);
  EXPECT_EQ(PartOf(two + Commit(9, 5) + Put("x", "1"), 4).ended_count, 3u);
  EXPECT_EQ(PartOf(two + Commit(9, 5) + Put("c", "3", 10) + Commit(10, 1), 5).ended_count, 3u);
  EXPECT_EQ(PartOf(Commit(9, 2), 1).ended_count, 1u);
  for (const auto& [payload, record_count] :
       {std::pair(std::string(), 0u), std::pair(Put("a", "1"), 1u),
        std::pair(two + Commit(9, 2), 3u), std::pair(two + Rollback(9), 3u)}) {
    EXPECT_EQ(PartOf(payload, record_count).open_tx_id, 0u);
    EXPECT_EQ(PartOf(payload, record_count).ended_count, 0u);
  }
}

TEST(SpanningPartTest, NothingElseMayBeAPart) {
  const std::string two = Put("a", "1", 9) + Put("b", "2", 9);
  for (const auto& [payload, record_count] :
       {std::pair(Put("x", "1") + two, 3u), std::pair(two + Put("x", "1"), 3u),
        std::pair(two + Put("c", "3", 10), 3u), std::pair(Put("x", "1") + Commit(9, 2), 2u),
        std::pair(two + Commit(9, 5) + two, 5u), std::pair(Commit(9, 0), 1u)}) {
    EXPECT_THAT(DecodeRecords(payload, record_count), StatusIs(absl::StatusCode::kDataLoss));
  }
}

TEST(SpanningPartTest, IsSalvagedWholeOrNotAtAll) {
  std::string part = Put("a", "1", 9) + Put("b", "2", 9);
  EXPECT_THAT(Keys(SalvageRecords(part, 2)), ElementsAre("a", "b"));
  std::string end = part + Commit(9, 5) + Put("x", "1");
  EXPECT_THAT(Keys(SalvageRecords(end, 4)), ElementsAre("a", "b", "", "x"));
  part[kRecordHeaderBytes] ^= 1;
  EXPECT_THAT(Keys(SalvageRecords(part, 2)), IsEmpty());
  end[kRecordHeaderBytes] ^= 1;
  EXPECT_THAT(Keys(SalvageRecords(end, 4)), ElementsAre("x"));
}

}  // namespace
}  // namespace slipstream::storage

#include "storage/record.h"

#include <cstring>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/digest.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/ceilings.h"

namespace slipstream::storage {
namespace {

using base::testing::StatusIs;
using ::testing::HasSubstr;

RecordHeader PutHeader(absl::string_view key, absl::string_view value) {
  return {.type = RecordType::kPut,
          .hlc = 0x0123456789abcdef,
          .actor = 0x1111,
          .sequence = 7,
          .expires_at_ms = 0x2222,
          .key_bytes = static_cast<uint32_t>(key.size()),
          .stored_bytes = static_cast<uint32_t>(value.size()),
          .raw_bytes = static_cast<uint32_t>(value.size()),
          .value_digest = base::DigestOfValue(value)};
}

// Returns the record's bytes with a valid checksum, whatever the header says.
std::string Encode(RecordHeader header, absl::string_view key, absl::string_view value) {
  header.crc32c = RecordCrc(header, key, value);
  return absl::StrCat(absl::string_view(reinterpret_cast<const char*>(&header), sizeof(header)),
                      key, value);
}

// Decodes a record made by `change` from a valid Put of "key" to "value".
template <typename Change>
absl::StatusOr<RecordView> DecodeChanged(Change change) {
  RecordHeader header = PutHeader("key", "value");
  change(header);
  static std::string bytes;
  bytes = Encode(header, "key", "value");
  return DecodeRecord(bytes);
}

TEST(RecordTest, DecodesWhatWasEncoded) {
  const std::string bytes = Encode(PutHeader("key", "value"), "key", "value") + "next record";
  ASSERT_OK_AND_ASSIGN(const RecordView record, DecodeRecord(bytes));
  EXPECT_EQ(record.key, "key");
  EXPECT_EQ(record.value, "value");
  EXPECT_EQ(record.header.sequence, 7u);
  EXPECT_EQ(record.version().hlc, 0x0123456789abcdefu);
  EXPECT_EQ(record.bytes(), kRecordHeaderBytes + 8);
}

TEST(RecordTest, BytesAreThoseOfTheDocument) {
  // docs/storage_format.md, "Record": every number little-endian, at its offset.
  const std::string bytes = Encode(PutHeader("k", "v"), "k", "v");
  EXPECT_EQ(absl::BytesToHexString(bytes.substr(4)),
            "01"                                        // type
            "00"                                        // codec
            "0000"                                      // flags
            "0000000000000000"                          // tx_id
            "efcdab8967452301"                          // hlc
            "1111000000000000"                          // actor
            "0700000000000000"                          // sequence
            "2222000000000000"                          // expires_at_ms
            "01000000"                                  // key_bytes
            "01000000"                                  // stored_bytes
            "01000000"                                  // raw_bytes
            "4c94485e0c21ae6c41ce1dfe7b6bfaceea5ab68e"  // SHA-256("v"), cut
            "6b76");                                    // key, value
}

TEST(RecordTest, EveryFlippedBitIsFound) {
  const std::string good = Encode(PutHeader("key", "value"), "key", "value");
  for (size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::string bytes = good;
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_THAT(DecodeRecord(bytes), StatusIs(absl::StatusCode::kDataLoss)) << "bit " << bit;
  }
}

TEST(RecordTest, EveryCutIsFound) {
  const std::string good = Encode(PutHeader("key", "value"), "key", "value");
  for (size_t count = 0; count < good.size(); ++count) {
    EXPECT_THAT(DecodeRecord(good.substr(0, count)),
                StatusIs(absl::StatusCode::kDataLoss, HasSubstr("cut short")));
  }
}

TEST(RecordTest, RefusesWhatNoWriterWritesThoughTheChecksumHolds) {
  const auto refused = [](const char* text) {
    return StatusIs(absl::StatusCode::kDataLoss, HasSubstr(text));
  };
  EXPECT_THAT(DecodeChanged([](RecordHeader& h) { h.type = RecordType{0}; }), refused("type 0"));
  EXPECT_THAT(DecodeChanged([](RecordHeader& h) { h.type = RecordType{5}; }), refused("type 5"));
  EXPECT_THAT(DecodeChanged([](RecordHeader& h) { h.codec = Codec{3}; }), refused("codec 3"));
  EXPECT_THAT(DecodeChanged([](RecordHeader& h) { h.flags = 2; }), refused("flags 0x0002"));
  EXPECT_THAT(DecodeChanged([](RecordHeader& h) { h.raw_bytes = 6; }), refused("6 raw"));
  EXPECT_THAT(DecodeChanged([](RecordHeader& h) { h.hlc = 0; }), refused("hlc"));
  EXPECT_THAT(DecodeChanged([](RecordHeader& h) { h.hlc = kHlcCeiling + 1; }), refused("hlc"));
  EXPECT_THAT(DecodeChanged([](RecordHeader& h) { h.sequence = 0; }), refused("dot"));
  EXPECT_OK(DecodeChanged([](RecordHeader& h) { h.sequence = kSequenceCeiling; }));
  EXPECT_THAT(DecodeChanged([](RecordHeader& h) { h.sequence = kSequenceCeiling + 1; }),
              refused("sequence 281474976710656"));
  EXPECT_THAT(DecodeChanged([](RecordHeader& h) { h.type = RecordType::kDelete; }),
              refused("delete record with a value"));
  EXPECT_THAT(DecodeChanged([](RecordHeader& h) { h.type = RecordType::kCommit; }),
              refused("without a tx_id"));
  EXPECT_THAT(DecodeChanged([](RecordHeader& h) {
                h.type = RecordType::kCommit;
                h.tx_id = 1;
              }),
              refused("end of a transaction with hlc"));
  EXPECT_THAT(DecodeChanged([](RecordHeader& h) {
                h.type = RecordType::kRollback;
                h.tx_id = 1;
                h.sequence = h.hlc = h.actor = h.stored_bytes = 0;
              }),
              refused(""));
}

TEST(RecordTest, AStreamedOneBelongsToATransactionAndItsCommitHasAVersionAndAValue) {
  const auto refused = [](const char* text) {
    return StatusIs(absl::StatusCode::kDataLoss, HasSubstr(text));
  };
  const auto change = [](uint64_t tx_id) {
    return DecodeChanged([tx_id](RecordHeader& h) {
      h.flags = kRecordFlagStreamed;
      h.tx_id = tx_id;
    });
  };
  EXPECT_OK(change(1));
  EXPECT_THAT(change(0), refused("streamed record of no transaction"));

  RecordHeader commit{.type = RecordType::kCommit,
                      .flags = kRecordFlagStreamed,
                      .tx_id = 1,
                      .hlc = 5,
                      .actor = 6,
                      .sequence = 7};
  commit.stored_bytes = commit.raw_bytes = 4;
  EXPECT_OK(DecodeRecord(Encode(commit, "", "body")));
  for (uint64_t RecordHeader::*field :
       {&RecordHeader::tx_id, &RecordHeader::hlc, &RecordHeader::actor, &RecordHeader::sequence}) {
    RecordHeader without = commit;
    without.*field = 0;
    EXPECT_THAT(DecodeRecord(Encode(without, "", "body")), refused("end of a transaction"));
  }
  EXPECT_THAT(DecodeRecord(Encode(commit, "", "")), refused(""));
  commit.flags = 0;
  EXPECT_THAT(DecodeRecord(Encode(commit, "", "body")), refused("end of a transaction"));
  const RecordHeader rollback{
      .type = RecordType::kRollback, .flags = kRecordFlagStreamed, .tx_id = 1};
  EXPECT_OK(DecodeRecord(Encode(rollback, "", "")));
}

TEST(RecordTest, ACompressedValueIsShorterThanTheRawOneAndOfAPut) {
  for (const Codec codec : {Codec::kLz4, Codec::kZstd}) {
    const auto decode = [codec](uint32_t raw_bytes) {
      return DecodeChanged([codec, raw_bytes](RecordHeader& h) {
        h.codec = codec;
        h.raw_bytes = raw_bytes;
      });
    };
    ASSERT_OK_AND_ASSIGN(const RecordView record, decode(6));
    EXPECT_EQ(record.header.codec, codec);
    EXPECT_OK(decode(kValueBytesCeiling));
    EXPECT_THAT(decode(5),
                StatusIs(absl::StatusCode::kDataLoss, HasSubstr("5 raw and 5 stored bytes")));
    EXPECT_THAT(decode(kValueBytesCeiling + 1),
                StatusIs(absl::StatusCode::kDataLoss, HasSubstr("more than 8388608")));
    RecordHeader header = PutHeader("key", "");
    header.codec = codec;
    EXPECT_THAT(DecodeRecord(Encode(header, "key", "")), StatusIs(absl::StatusCode::kDataLoss));
    header.raw_bytes = 64;
    EXPECT_THAT(DecodeRecord(Encode(header, "key", "")), StatusIs(absl::StatusCode::kDataLoss));
    header.type = RecordType::kDelete;
    header.value_digest = base::ValueDigest{};
    EXPECT_THAT(DecodeRecord(Encode(header, "key", "")), StatusIs(absl::StatusCode::kDataLoss));
  }
}

TEST(RecordTest, KeyAndValueBounds) {
  const std::string longest_key(kKeyBytesCeiling, 'k');
  EXPECT_OK(DecodeRecord(Encode(PutHeader(longest_key, ""), longest_key, "")));
  EXPECT_THAT(DecodeRecord(Encode(PutHeader(longest_key + "k", ""), longest_key + "k", "")),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("4097 bytes")));
  EXPECT_THAT(DecodeRecord(Encode(PutHeader("", "v"), "", "v")),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("0 bytes")));
  const std::string longest_value(kValueBytesCeiling, 'v');
  EXPECT_OK(DecodeRecord(Encode(PutHeader("k", longest_value), "k", longest_value)));
  EXPECT_THAT(DecodeRecord(Encode(PutHeader("k", longest_value + "v"), "k", longest_value + "v")),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("more than 8388608")));
}

TEST(RecordTest, EndsOfTransactions) {
  RecordHeader commit{.type = RecordType::kCommit, .tx_id = 9, .sequence = 3};
  EXPECT_OK(DecodeRecord(Encode(commit, "", "")));
  commit.sequence = 0;
  EXPECT_THAT(DecodeRecord(Encode(commit, "", "")), StatusIs(absl::StatusCode::kDataLoss));
  RecordHeader rollback{.type = RecordType::kRollback, .tx_id = 9};
  EXPECT_OK(DecodeRecord(Encode(rollback, "", "")));
  rollback.sequence = 1;
  EXPECT_THAT(DecodeRecord(Encode(rollback, "", "")), StatusIs(absl::StatusCode::kDataLoss));
}

}  // namespace
}  // namespace slipstream::storage

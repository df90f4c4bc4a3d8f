#include "storage/snapshot_file.h"

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/crc32c.h"
#include "base/digest.h"
#include "base/error_reason.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/memory_file_system.h"

namespace slipstream::storage {
namespace {

using base::testing::StatusIs;
using ::testing::HasSubstr;

// The example of docs/storage_format.md.
SnapshotFile Example() {
  return {.header = {.root = base::Sha256("root"),
                     .node_id = 0x0102030405060708,
                     .actor = 0x1112131415161718,
                     .key_count = 3,
                     .tombstone_count = 1,
                     .last_hlc = 0x018bcfe568000004,
                     .last_lsn = 5,
                     .created_at_ms = 1'700'000'000'000,
                     .damaged_count = 1,
                     .lost_record_count = 2},
          .node_name = "n1",
          .members = {MakeSnapshotMember("0000000000000001.log", 16384),
                      MakeSnapshotMember("identity", 128)}};
}

// Makes the checksum of an edited file right again.
void Reseal(std::string& bytes) {
  const uint32_t crc = base::Crc32c(absl::string_view(bytes).substr(12));
  for (size_t i = 0; i < 4; ++i) bytes[8 + i] = static_cast<char>(crc >> (8 * i));
}

TEST(SnapshotFileTest, DecodesWhatWasEncoded) {
  const std::string bytes = EncodeSnapshotFile(Example());
  EXPECT_EQ(bytes.substr(0, 8), "SLIPSNAP");
  ASSERT_OK_AND_ASSIGN(const SnapshotFile file, DecodeSnapshotFile(bytes));
  EXPECT_EQ(file.header.root, Example().header.root);
  EXPECT_EQ(file.header.node_id, 0x0102030405060708u);
  EXPECT_EQ(file.header.actor, 0x1112131415161718u);
  EXPECT_EQ(file.header.key_count, 3u);
  EXPECT_EQ(file.header.tombstone_count, 1u);
  EXPECT_EQ(file.header.last_hlc, 0x018bcfe568000004u);
  EXPECT_EQ(file.header.last_lsn, 5u);
  EXPECT_EQ(file.header.created_at_ms, 1'700'000'000'000u);
  EXPECT_EQ(file.header.damaged_count, 1u);
  EXPECT_EQ(file.header.lost_record_count, 2u);
  EXPECT_EQ(file.node_name, "n1");
  EXPECT_EQ(file.members, Example().members);
}

TEST(SnapshotFileTest, BytesAreThoseOfTheDocument) {
  EXPECT_EQ(absl::BytesToHexString(EncodeSnapshotFile(Example())),
            "534c4950534e41501bd5faa2010000004813494d137e1631bba301d5acab6e7b"
            "b7aa74ce1185d456565ef51d737677b208070605040302011817161514131211"
            "0300000000000000010000000000000004000068e5cf8b010500000000000000"
            "0068e5cf8b010000010000000000000002000000000000000200000002000000"
            "6e310040000000000000303030303030303030303030303030312e6c6f670000"
            "000080000000000000006964656e746974790000000000000000000000000000"
            "0000");
}

TEST(SnapshotFileTest, EveryFlippedBitIsFound) {
  const std::string good = EncodeSnapshotFile(Example());
  for (size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::string bytes = good;
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
    // A file with another magic is not ours to call damaged.
    const auto code =
        bit < 64 ? absl::StatusCode::kFailedPrecondition : absl::StatusCode::kDataLoss;
    ASSERT_THAT(DecodeSnapshotFile(bytes), StatusIs(code)) << "bit " << bit;
  }
}

TEST(SnapshotFileTest, OtherLengthsAreRefused) {
  const std::string good = EncodeSnapshotFile(Example());
  for (size_t length = 0; length < good.size(); ++length) {
    ASSERT_THAT(DecodeSnapshotFile(good.substr(0, length)), StatusIs(absl::StatusCode::kDataLoss));
  }
  std::string longer = good + "x";
  Reseal(longer);
  EXPECT_THAT(DecodeSnapshotFile(longer),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("2 files and a name of 2 bytes")));
}

TEST(SnapshotFileTest, NewerVersionIsForeign) {
  SnapshotFile file = Example();
  file.header.format_version = kSnapshotFormatVersion + 1;
  const absl::StatusOr<SnapshotFile> decoded = DecodeSnapshotFile(EncodeSnapshotFile(file));
  EXPECT_THAT(decoded, StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("version 2")));
  EXPECT_EQ(base::ReasonOf(decoded.status()), base::kReasonDirectoryForeign);
}

TEST(SnapshotFileTest, CountsBeyondTheirBoundsAreRefused) {
  for (const size_t offset : {120u, 124u}) {
    std::string bytes = EncodeSnapshotFile(Example());
    for (size_t i = 0; i < 4; ++i) bytes[offset + i] = '\xff';
    Reseal(bytes);
    EXPECT_THAT(DecodeSnapshotFile(bytes), StatusIs(absl::StatusCode::kDataLoss));
  }
}

TEST(SnapshotFileTest, NamesThatLeadElsewhereAreRefused) {
  for (const absl::string_view name : {"", "../identity", "a/b"}) {
    SnapshotFile file = Example();
    file.members = {MakeSnapshotMember(name, 1)};
    EXPECT_THAT(DecodeSnapshotFile(EncodeSnapshotFile(file)),
                StatusIs(absl::StatusCode::kDataLoss, HasSubstr("no writer writes")))
        << name;
  }
  SnapshotFile twice = Example();
  twice.members = {MakeSnapshotMember("identity", 1), MakeSnapshotMember("identity", 2)};
  EXPECT_THAT(DecodeSnapshotFile(EncodeSnapshotFile(twice)),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("do not ascend")));
}

TEST(SnapshotFileTest, ALongNodeNameIsCut) {
  SnapshotFile file = Example();
  file.node_name = std::string(300, 'n');
  ASSERT_OK_AND_ASSIGN(const SnapshotFile decoded, DecodeSnapshotFile(EncodeSnapshotFile(file)));
  EXPECT_EQ(decoded.node_name, std::string(kSnapshotNodeNameBytesMax, 'n'));
}

TEST(SnapshotFileTest, DirectoryIsNamedByTheRoot) {
  base::Digest root;
  root.bytes[0] = 0xab;
  root.bytes[7] = 0x01;
  EXPECT_EQ(SnapshotDirectoryName(root), "slip-ab00000000000001");
}

TEST(SnapshotFileTest, ReadsWhatWasWritten) {
  MemoryFileSystem fs;
  ASSERT_OK(fs.CreateDirectory("/s"));
  EXPECT_THAT(ReadSnapshotFile(&fs, "/s"), StatusIs(absl::StatusCode::kNotFound));
  ASSERT_OK(WriteSnapshotFile(&fs, "/s", Example()));
  ASSERT_OK_AND_ASSIGN(const SnapshotFile file, ReadSnapshotFile(&fs, "/s"));
  EXPECT_EQ(file.members, Example().members);
  fs.FlipBit("/s/snapshot", 100, 0);
  EXPECT_THAT(ReadSnapshotFile(&fs, "/s"),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("/s/snapshot: ")));
}

}  // namespace
}  // namespace slipstream::storage

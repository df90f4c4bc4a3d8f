#include "storage/segment.h"

#include <string>

#include "base/error_reason.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/memory_file_system.h"

namespace slipstream::storage {
namespace {

using base::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

SegmentHeader Header() {
  return {.node_id = 1,
          .segment_number = 2,
          .incarnation = 3,
          .segment_bytes = 16384,
          .first_lsn = 10,
          .previous_segment_number = 1,
          .previous_incarnation = 4,
          .previous_end_offset = 8192,
          .previous_last_lsn = 9};
}

TEST(SegmentTest, HeaderDecodesToWhatWasEncoded) {
  const std::string page = EncodeSegmentHeader(Header());
  ASSERT_EQ(page.size(), kPageBytes);
  EXPECT_EQ(page.substr(0, 8), "SLIPSEGM");
  ASSERT_OK_AND_ASSIGN(const SegmentHeader header, DecodeSegmentHeader(page));
  EXPECT_EQ(header.incarnation, 3u);
  EXPECT_EQ(header.previous_end_offset, 8192u);
  EXPECT_EQ(header.previous_last_lsn, 9u);
}

TEST(SegmentTest, EveryFlippedBitOfTheHeaderPageIsFound) {
  const std::string good = EncodeSegmentHeader(Header());
  for (size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::string page = good;
    page[bit / 8] = static_cast<char>(page[bit / 8] ^ (1 << (bit % 8)));
    ASSERT_THAT(DecodeSegmentHeader(page), StatusIs(absl::StatusCode::kDataLoss)) << "bit " << bit;
  }
}

TEST(SegmentTest, NewerVersionIsForeign) {
  SegmentHeader header = Header();
  header.format_version = kFormatVersion + 1;
  const auto decoded = DecodeSegmentHeader(EncodeSegmentHeader(header));
  EXPECT_THAT(decoded, StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_EQ(base::ReasonOf(decoded.status()), base::kReasonDirectoryForeign);
}

TEST(SegmentTest, FileNames) {
  EXPECT_EQ(SegmentFileName(0x1f), "000000000000001f.log");
  EXPECT_EQ(ParseSegmentFileName("000000000000001f.log"), 0x1fu);
  for (const char* name : {"000000000000001F.log", "00000000000001f.log", "0000000000000000.log",
                           "000000000000001f.tmp", "000000000000001f.log.tmp",
                           "+00000000000001f.log", "0x0000000000001f.log", ""}) {
    EXPECT_EQ(ParseSegmentFileName(name), absl::nullopt) << name;
  }
}

TEST(SegmentTest, CreatedSegmentIsZeroAndSurvivesACrash) {
  MemoryFileSystem fs;
  ASSERT_OK(fs.CreateDirectory("/d"));
  ASSERT_OK(CreateSegment(&fs, "/d", 1, 3 << 20));
  fs.CrashKeeping([](size_t) { return false; });
  EXPECT_EQ(fs.Contents("/d/0000000000000001.log"), std::string(3 << 20, '\0'));
}

TEST(SegmentTest, FailedCreationGivesItsSpaceBack) {
  MemoryFileSystem fs;
  ASSERT_OK(fs.CreateDirectory("/d"));
  fs.set_capacity_bytes(2 << 20);
  EXPECT_THAT(CreateSegment(&fs, "/d", 1, 3 << 20), StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_EQ(fs.used_bytes(), 0u);
  EXPECT_THAT(*fs.ListDirectory("/d"), IsEmpty());
}

}  // namespace
}  // namespace slipstream::storage

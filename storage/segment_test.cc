#include "storage/segment.h"

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "absl/types/optional.h"
#include "base/error_reason.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/aligned_buffer.h"
#include "storage/file_system.h"
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

TEST(SegmentTest, TheMarkOfARecycledFileStandsBesideTheHeader) {
  const std::string prepared = EncodeRecycledPage(/*segment_number=*/2, /*incarnation=*/3);
  const std::string in_use = EncodeSegmentHeader(Header(), /*is_recycled=*/true);
  ASSERT_OK(DecodeSegmentHeader(in_use));
  for (const std::string& page : {prepared, in_use}) {
    const absl::optional<RecycledMark> mark = ReadRecycledMark(page);
    ASSERT_TRUE(mark.has_value());
    EXPECT_EQ(mark->segment_number, 2u);
    EXPECT_EQ(mark->incarnation, 3u);
  }
  // Their sectors of 512 bytes differ in the first alone: a crash that tears it leaves the mark.
  EXPECT_EQ(prepared.substr(512), in_use.substr(512));
  EXPECT_FALSE(DecodeSegmentHeader(prepared).ok());
  EXPECT_FALSE(ReadRecycledMark(EncodeSegmentHeader(Header())).has_value());
  EXPECT_FALSE(ReadRecycledMark(std::string(kPageBytes, '\0')).has_value());
}

// Whatever is not synced when it returns is gone after the crash.
TEST(SegmentTest, ARecycledFileIsPreparedAndDurable) {
  MemoryFileSystem fs;
  ASSERT_OK(fs.CreateDirectory("/d"));
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<File> file, CreateSegment(&fs, "/d", 1, 16384));
  AlignedBuffer old_bytes(16384);
  std::memset(old_bytes.data(), 'o', old_bytes.capacity());
  ASSERT_OK(file->WriteDurably(0, old_bytes.view()));
  ASSERT_OK_AND_ASSIGN(
      const std::unique_ptr<File> recycled,
      RecycleSegment(&fs, "/d", file.get(), /*from=*/1, /*to=*/7, /*incarnation=*/3));
  EXPECT_EQ(recycled->LinkCount().value_or(0), 1u);
  fs.CrashKeeping([](size_t) { return false; });
  ASSERT_OK_AND_ASSIGN(const std::vector<std::string> names, fs.ListDirectory("/d"));
  EXPECT_THAT(names, ElementsAre("0000000000000007.log"));
  const std::string bytes = fs.Contents("/d/0000000000000007.log");
  EXPECT_EQ(bytes, EncodeRecycledPage(7, 3) + std::string(16384 - kPageBytes, 'o'));
}

TEST(SegmentTest, EveryFlippedBitOfTheMarkIsFound) {
  const std::string good = EncodeRecycledPage(2, 3);
  for (size_t bit = kRecycledMarkOffset * 8; bit < (kRecycledMarkOffset + kRecycledMarkBytes) * 8;
       ++bit) {
    std::string page = good;
    page[bit / 8] = static_cast<char>(page[bit / 8] ^ (1 << (bit % 8)));
    ASSERT_FALSE(ReadRecycledMark(page).has_value()) << "bit " << bit;
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

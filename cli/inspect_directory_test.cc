#include "cli/inspect_directory.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/optional.h"
#include "base/check.h"
#include "base/testing/status_matchers.h"
#include "cli/inspect_report.h"
#include "cli/json.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/frame.h"
#include "storage/segment.h"

namespace slipstream::cli {
namespace {

using base::testing::StatusIs;
using storage::kPageBytes;
using ::testing::Eq;
using ::testing::HasSubstr;
using ::testing::Optional;

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  SLIP_CHECK(file.good());
  return {std::istreambuf_iterator<char>(file), {}};
}

class InspectDirectoryTest : public ::testing::Test {
 protected:
  InspectDirectoryTest()
      : directory_(absl::StrCat(::testing::TempDir(), "/",
                                ::testing::UnitTest::GetInstance()->current_test_info()->name())) {
    std::filesystem::create_directories(directory_);
  }

  std::string PathOf(absl::string_view name) const { return absl::StrCat(directory_, "/", name); }

  void Write(absl::string_view name, absl::string_view bytes) const {
    std::ofstream(PathOf(name), std::ios::binary | std::ios::trunc) << bytes;
  }

  void CopyGolden(absl::string_view store) const {
    for (const auto& entry :
         std::filesystem::directory_iterator(absl::StrCat("tests/golden/", store))) {
      Write(entry.path().filename().string(), ReadFile(entry.path().string()));
    }
  }

  // A segment without frames, with `tail` behind its header.
  void WriteSegment(const storage::SegmentHeader& header, absl::string_view tail) const {
    std::string bytes = storage::EncodeSegmentHeader(header);
    absl::StrAppend(&bytes, tail);
    bytes.resize(header.segment_bytes, '\0');
    Write(storage::SegmentFileName(header.segment_number), bytes);
  }

  // Returns the line about `name`.
  Json LineOf(const InspectReport& report, absl::string_view name) const {
    const Json json = InspectJson(directory_, report);
    for (const Json& file : json["files"]) {
      if (file["name"] == std::string(name)) return file;
    }
    return Json();
  }

  const std::string directory_;
};

TEST_F(InspectDirectoryTest, GoldenDirectoriesPass) {
  for (const char* store :
       {"storage_v1", "storage_v1_codecs", "storage_v1_compacted", "storage_v1_recycled"}) {
    ASSERT_OK_AND_ASSIGN(const InspectReport report,
                         InspectDirectory(absl::StrCat("tests/golden/", store)));
    EXPECT_TRUE(report.passes) << InspectText(store, report);
    EXPECT_TRUE(report.complete);
    EXPECT_EQ(LineOf(report, "identity")["checks"], "passed");
  }
}

TEST_F(InspectDirectoryTest, NamesTheFileThatFails) {
  CopyGolden("storage_v1");
  std::string bytes = ReadFile(PathOf("0000000000000001.log"));
  bytes[8192 + 100] ^= 1;
  Write("0000000000000001.log", bytes);
  ASSERT_OK_AND_ASSIGN(const InspectReport report, InspectDirectory(directory_));
  EXPECT_FALSE(report.passes);
  const Json line = LineOf(report, "0000000000000001.log");
  EXPECT_EQ(line["checks"], "failed");
  EXPECT_THAT(line["what"].get<std::string>(), HasSubstr("offset 8192: frame payload crc"));
  EXPECT_EQ(LineOf(report, "0000000000000002.log")["checks"], "passed");
  EXPECT_THAT(InspectText(directory_, report), HasSubstr("2 files pass all checks, 1 not\n"));
}

TEST_F(InspectDirectoryTest, TellsOursFromOthers) {
  CopyGolden("storage_v1");
  Write("lock", "");
  Write("0000000000000003.log.tmp", "x");
  Write("notes.txt", "{}");
  Write("0000000000000003.log", std::string(8192, '\0'));
  Write("copy", ReadFile(PathOf("identity")));
  std::filesystem::create_directory(PathOf("lost+found"));
  ASSERT_OK_AND_ASSIGN(const InspectReport report, InspectDirectory(directory_));
  EXPECT_TRUE(report.passes);
  EXPECT_EQ(LineOf(report, "lock")["kind"], "lock");
  EXPECT_EQ(LineOf(report, "0000000000000003.log.tmp")["kind"], "unfinished");
  EXPECT_EQ(LineOf(report, "notes.txt")["kind"], "other");
  EXPECT_EQ(LineOf(report, "lost+found")["kind"], "directory");
  EXPECT_EQ(LineOf(report, "0000000000000003.log")["checks"], "passed");
  EXPECT_EQ(LineOf(report, "copy")["kind"], "identity");
  Write("index", "no index");
  ASSERT_OK_AND_ASSIGN(const InspectReport damaged, InspectDirectory(directory_));
  EXPECT_EQ(LineOf(damaged, "index")["checks"], "failed");
}

TEST_F(InspectDirectoryTest, SaysWhatItCannotRead) {
  CopyGolden("storage_v1");
  Write("0000000000000003.log",
        storage::EncodeSegmentHeader({.format_version = 2, .incarnation = 1}));
  ASSERT_OK_AND_ASSIGN(const InspectReport report, InspectDirectory(directory_));
  EXPECT_TRUE(report.passes);
  EXPECT_FALSE(report.complete);
  EXPECT_EQ(LineOf(report, "0000000000000003.log")["checks"], "unreadable");
  EXPECT_THAT(InspectDirectory(PathOf("none")), StatusIs(absl::StatusCode::kUnknown));
}

TEST_F(InspectDirectoryTest, TakesTheEndOfASegmentFromTheNextOne) {
  const std::string torn(100, 'x');
  WriteSegment(
      {.segment_number = 1, .incarnation = 11, .segment_bytes = 4 * kPageBytes, .first_lsn = 1},
      torn);
  EXPECT_THAT(FindDataEnd(directory_, 1), Eq(absl::nullopt));
  ASSERT_OK_AND_ASSIGN(const InspectReport alone, InspectDirectory(directory_));
  EXPECT_FALSE(alone.passes);
  storage::SegmentHeader next{.segment_number = 2,
                              .incarnation = 12,
                              .segment_bytes = 4 * kPageBytes,
                              .first_lsn = 1,
                              .previous_segment_number = 1,
                              .previous_incarnation = 11,
                              .previous_end_offset = kPageBytes};
  WriteSegment(next, "");
  EXPECT_THAT(FindDataEnd(directory_, 1), Optional(kPageBytes));
  ASSERT_OK_AND_ASSIGN(const InspectReport both, InspectDirectory(directory_));
  EXPECT_TRUE(both.passes) << InspectText(directory_, both);
  // What is said of another use of that file is not about this one.
  next.previous_incarnation = 10;
  WriteSegment(next, "");
  EXPECT_THAT(FindDataEnd(directory_, 1), Eq(absl::nullopt));
}

}  // namespace
}  // namespace slipstream::cli

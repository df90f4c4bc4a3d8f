#include "cli/inspect_source.h"

#include <fstream>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/crc32c.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace slipstream::cli {
namespace {

using base::testing::IsOkAndHolds;
using base::testing::StatusIs;
using ::testing::HasSubstr;

// Two pieces and a bit.
std::string LongBytes() {
  std::string bytes(2 * kInspectPieceBytes + 3, 'a');
  bytes.back() = 'z';
  return bytes;
}

TEST(InspectSourceTest, VisitsAllBytesInPieces) {
  const MemorySource source(LongBytes());
  std::string seen;
  ASSERT_OK(VisitPieces(source, 1, source.size(), [&](uint64_t offset, absl::string_view piece) {
    EXPECT_EQ(offset, 1 + seen.size());
    EXPECT_LE(piece.size(), kInspectPieceBytes);
    seen.append(piece.data(), piece.size());
    return absl::OkStatus();
  }));
  EXPECT_TRUE(seen == LongBytes().substr(1));
}

TEST(InspectSourceTest, StopsAtTheFirstError) {
  const MemorySource source(LongBytes());
  int count = 0;
  EXPECT_THAT(VisitPieces(source, 0, source.size(),
                          [&](uint64_t /*offset*/, absl::string_view /*piece*/) {
                            ++count;
                            return absl::AbortedError("enough");
                          }),
              StatusIs(absl::StatusCode::kAborted));
  EXPECT_EQ(count, 1);
}

TEST(InspectSourceTest, ChecksumsAcrossPieces) {
  const MemorySource source(LongBytes());
  EXPECT_THAT(CrcOf(source, 0, source.size()), IsOkAndHolds(base::Crc32c(LongBytes())));
  EXPECT_THAT(CrcOf(source, 5, 5), IsOkAndHolds(base::Crc32c("")));
}

TEST(InspectSourceTest, FindsTheFirstByteThatIsNotZero) {
  std::string bytes(kInspectPieceBytes + 10, '\0');
  EXPECT_THAT(FindNonZero(MemorySource(bytes), 0), IsOkAndHolds(bytes.size()));
  bytes[kInspectPieceBytes + 7] = 1;
  EXPECT_THAT(FindNonZero(MemorySource(bytes), 0), IsOkAndHolds(kInspectPieceBytes + 7));
  EXPECT_THAT(FindNonZero(MemorySource(bytes), kInspectPieceBytes + 8), IsOkAndHolds(bytes.size()));
}

TEST(InspectSourceTest, ReadsAFile) {
  const std::string path = absl::StrCat(::testing::TempDir(), "/file");
  std::ofstream(path, std::ios::binary) << "0123456789";
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<InspectSource> source, OpenInspectSource(path));
  EXPECT_EQ(source->size(), 10u);
  EXPECT_THAT(source->Read(3, 4), IsOkAndHolds(std::string("3456")));
  EXPECT_THAT(source->Read(10, 0), IsOkAndHolds(std::string()));
  EXPECT_THAT(IsDirectory(path), IsOkAndHolds(false));
}

TEST(InspectSourceTest, SaysThatAFileWasCutShortWhileItWasRead) {
  const std::string path = absl::StrCat(::testing::TempDir(), "/cut");
  std::ofstream(path, std::ios::binary) << "0123456789";
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<InspectSource> source, OpenInspectSource(path));
  std::ofstream(path, std::ios::binary | std::ios::trunc) << "0123";
  EXPECT_THAT(source->Read(2, 8),
              StatusIs(absl::StatusCode::kUnknown, HasSubstr("cut short at 4 bytes")));
}

TEST(InspectSourceTest, NamesWhatIsNotThereAndWhatIsNoFile) {
  const std::string path = absl::StrCat(::testing::TempDir(), "/none");
  EXPECT_THAT(OpenInspectSource(path), StatusIs(absl::StatusCode::kNotFound, HasSubstr("no file")));
  EXPECT_THAT(IsDirectory(path), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(OpenInspectSource(::testing::TempDir()),
              StatusIs(absl::StatusCode::kUnknown, HasSubstr("not a regular file")));
  EXPECT_THAT(IsDirectory(::testing::TempDir()), IsOkAndHolds(true));
}

}  // namespace
}  // namespace slipstream::cli

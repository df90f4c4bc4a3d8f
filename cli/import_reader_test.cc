#include "cli/import_reader.h"

#include <sstream>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "slipstream/v1/kv.pb.h"

namespace slipstream::cli {
namespace {

using base::testing::IsOkAndHolds;
using base::testing::StatusIs;
using ::testing::HasSubstr;

TEST(ImportReaderTest, TakesBytesAsTheyAre) {
  std::istringstream input("a\t1\n\\n \tb\tc\r\n\xff\t\nlast\tno newline");
  ImportReader reader(input, ImportMode::kPut);
  v1::PipelineRequest group;
  ASSERT_THAT(reader.Next(group), IsOkAndHolds(true));
  ASSERT_EQ(group.operations_size(), 4);
  EXPECT_EQ(group.id(), 1);
  EXPECT_EQ(group.operations(0).kind(), v1::OPERATION_KIND_PUT);
  EXPECT_EQ(group.operations(0).key(), "a");
  EXPECT_EQ(group.operations(0).value(), "1");
  EXPECT_EQ(group.operations(1).key(), "\\n ");
  EXPECT_EQ(group.operations(1).value(), "b\tc\r");
  EXPECT_EQ(group.operations(2).key(), "\xff");
  EXPECT_EQ(group.operations(2).value(), "");
  EXPECT_EQ(group.operations(3).value(), "no newline");
  v1::PipelineRequest rest;
  EXPECT_THAT(reader.Next(rest), IsOkAndHolds(false));
}

TEST(ImportReaderTest, TakesWholeLinesAsKeysToDelete) {
  std::istringstream input("a\tb\n\nc");
  ImportReader reader(input, ImportMode::kDelete);
  v1::PipelineRequest group;
  ASSERT_THAT(reader.Next(group), IsOkAndHolds(true));
  ASSERT_EQ(group.operations_size(), 3);
  EXPECT_EQ(group.operations(0).kind(), v1::OPERATION_KIND_DELETE);
  EXPECT_EQ(group.operations(0).key(), "a\tb");
  EXPECT_EQ(group.operations(1).key(), "");
  EXPECT_EQ(group.operations(2).key(), "c");
}

TEST(ImportReaderTest, FillsGroupsToTheirBoundAndNumbersThemByLine) {
  std::string text;
  for (int i = 0; i <= kGroupOperationsMax; ++i) absl::StrAppend(&text, "k", i, "\tv\n");
  std::istringstream input(text);
  ImportReader reader(input, ImportMode::kPut);
  v1::PipelineRequest first;
  ASSERT_THAT(reader.Next(first), IsOkAndHolds(true));
  EXPECT_EQ(first.operations_size(), kGroupOperationsMax);
  v1::PipelineRequest second;
  ASSERT_THAT(reader.Next(second), IsOkAndHolds(true));
  EXPECT_EQ(second.operations_size(), 1);
  EXPECT_EQ(second.id(), kGroupOperationsMax + 1);
}

TEST(ImportReaderTest, ClosesAGroupThatHasEnoughBytes) {
  const std::string line = "k\t" + std::string(kGroupBytesMax, 'v') + "\n";
  std::istringstream input(line + line);
  ImportReader reader(input, ImportMode::kPut);
  v1::PipelineRequest group;
  ASSERT_THAT(reader.Next(group), IsOkAndHolds(true));
  EXPECT_EQ(group.operations_size(), 1);
}

TEST(ImportReaderTest, HandsOverAllLinesBeforeTheOneThatIsWrong) {
  std::istringstream input("a\t1\nb\t2\nno tab\nc\t3\n");
  ImportReader reader(input, ImportMode::kPut);
  v1::PipelineRequest group;
  ASSERT_THAT(reader.Next(group), IsOkAndHolds(true));
  EXPECT_EQ(group.operations_size(), 2);
  v1::PipelineRequest rest;
  EXPECT_THAT(reader.Next(rest), StatusIs(absl::StatusCode::kInvalidArgument,
                                          "line 3 has no TAB between key and value: \"no tab\""));
}

TEST(ImportReaderTest, RefusesALineBeyondTheBound) {
  std::istringstream good("k\t" + std::string(kLineBytesMax - 2, 'v') + "\n");
  v1::PipelineRequest group;
  EXPECT_THAT(ImportReader(good, ImportMode::kPut).Next(group), IsOkAndHolds(true));
  std::istringstream bad("k\t" + std::string(kLineBytesMax - 1, 'v') + "\n");
  v1::PipelineRequest none;
  EXPECT_THAT(ImportReader(bad, ImportMode::kPut).Next(none),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("line 1 is longer than")));
}

TEST(ImportReaderTest, FindsNothingInAnEmptyInput) {
  std::istringstream input("");
  v1::PipelineRequest group;
  EXPECT_THAT(ImportReader(input, ImportMode::kPut).Next(group), IsOkAndHolds(false));
}

}  // namespace
}  // namespace slipstream::cli

#include "cli/input.h"

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

#include "absl/status/status.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace slipstream::cli {
namespace {

using base::testing::IsOkAndHolds;
using base::testing::StatusIs;
using ::testing::HasSubstr;

std::string WriteFile(const std::string& name, const std::string& bytes) {
  const std::string path = std::string(std::getenv("TEST_TMPDIR")) + "/" + name;
  std::ofstream(path, std::ios::binary) << bytes;
  return path;
}

TEST(InputTest, ReadsStandardInputForADash) {
  std::istringstream standard_input("from stdin");
  Input input(standard_input);
  ASSERT_OK(input.Open("-"));
  EXPECT_THAT(input.ReadAll("-", 100), IsOkAndHolds("from stdin"));
}

TEST(InputTest, ReadsTheBytesOfAFile) {
  const std::string bytes("a\0\n\r\n\xff", 6);
  const std::string path = WriteFile("bytes", bytes);
  std::istringstream standard_input;
  Input input(standard_input);
  ASSERT_OK(input.Open(path));
  EXPECT_THAT(input.ReadAll(path, bytes.size()), IsOkAndHolds(bytes));
}

TEST(InputTest, ReadsAnEmptyFile) {
  const std::string path = WriteFile("empty", "");
  std::istringstream standard_input("not this");
  Input input(standard_input);
  ASSERT_OK(input.Open(path));
  EXPECT_THAT(input.ReadAll(path, 10), IsOkAndHolds(""));
}

TEST(InputTest, RefusesMoreThanTheBound) {
  const std::string path = WriteFile("long", "12345");
  std::istringstream standard_input;
  Input input(standard_input);
  ASSERT_OK(input.Open(path));
  EXPECT_THAT(input.ReadAll(path, 4),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("is longer than 4 B")));
}

TEST(InputTest, SaysWhyAFileCannotBeRead) {
  std::istringstream standard_input;
  EXPECT_THAT(Input(standard_input).Open("/nonexistent/file"),
              StatusIs(absl::StatusCode::kUnknown,
                       "cannot read \"/nonexistent/file\": No such file or directory"));
  EXPECT_THAT(Input(standard_input).Open("/"),
              StatusIs(absl::StatusCode::kUnknown, HasSubstr("Is a directory")));
}

}  // namespace
}  // namespace slipstream::cli

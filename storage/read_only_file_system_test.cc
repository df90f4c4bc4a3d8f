#include "storage/read_only_file_system.h"

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/file_system.h"
#include "storage/memory_file_system.h"

namespace slipstream::storage {
namespace {

using base::testing::StatusIs;
using ::testing::ElementsAre;

class ReadOnlyFileSystemTest : public ::testing::Test {
 protected:
  void SetUp() override {
    target_.Install("/d/f", "hello");
    ASSERT_OK(target_.CreateDirectory("/empty"));
  }

  MemoryFileSystem target_;
  ReadOnlyFileSystem fs_{&target_};
};

TEST_F(ReadOnlyFileSystemTest, ReadsWhatIsThere) {
  for (const OpenMode mode : {OpenMode::kRead, OpenMode::kReadWrite}) {
    ASSERT_OK_AND_ASSIGN(const std::unique_ptr<File> file, fs_.Open("/d/f", mode));
    EXPECT_THAT(file->Size(), base::testing::IsOkAndHolds(5u));
    std::string bytes(5, 'x');
    ASSERT_OK(file->Read(0, 5, bytes.data()));
    EXPECT_EQ(bytes, "hello");
  }
  EXPECT_THAT(fs_.ListDirectory("/d"), base::testing::IsOkAndHolds(ElementsAre("f")));
  EXPECT_THAT(fs_.Open("/d/g", OpenMode::kRead), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(ReadOnlyFileSystemTest, ChangesNothing) {
  const auto refused = StatusIs(absl::StatusCode::kFailedPrecondition);
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<File> file, fs_.Open("/d/f", OpenMode::kReadWrite));
  EXPECT_THAT(file->Write(0, "J"), refused);
  EXPECT_OK(file->SyncData());
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<File> direct,
                       fs_.OpenDirect("/d/f", OpenMode::kReadWrite));
  EXPECT_THAT(direct->Write(0, "J"), refused);
  EXPECT_THAT(fs_.Open("/d/g", OpenMode::kCreate), refused);
  EXPECT_THAT(fs_.OpenDirect("/d/g", OpenMode::kCreate), refused);
  EXPECT_THAT(fs_.CreateDirectory("/e"), refused);
  EXPECT_THAT(fs_.Rename("/d/f", "/d/g"), refused);
  EXPECT_THAT(fs_.Remove("/d/f"), refused);
  EXPECT_THAT(fs_.Link("/d/f", "/d/g"), refused);
  EXPECT_THAT(fs_.RenameDirectory("/d", "/e"), refused);
  EXPECT_THAT(fs_.RemoveDirectory("/empty"), refused);
  EXPECT_THAT(fs_.LockDirectory("/d"), refused);
  EXPECT_OK(fs_.SyncDirectory("/d"));
  EXPECT_THAT(target_.ListDirectory("/d"), base::testing::IsOkAndHolds(ElementsAre("f")));
  EXPECT_EQ(target_.Contents("/d/f"), "hello");
  EXPECT_OK(target_.ListDirectory("/empty"));
}

}  // namespace
}  // namespace slipstream::storage

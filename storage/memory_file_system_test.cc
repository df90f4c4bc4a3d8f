#include "storage/memory_file_system.h"

#include <memory>
#include <set>
#include <string>

#include "absl/strings/string_view.h"
#include "base/error_reason.h"
#include "base/random.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/file_system.h"

namespace slipstream::storage {
namespace {

using base::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

class MemoryFileSystemTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_OK(fs_.CreateDirectory("/d")); }

  std::unique_ptr<File> Create(absl::string_view path) {
    return *fs_.Open(path, OpenMode::kCreate);
  }

  MemoryFileSystem fs_;
};

std::string Sector(char byte) { return std::string(MemoryFileSystem::kSectorBytes, byte); }

TEST_F(MemoryFileSystemTest, OpenModes) {
  EXPECT_THAT(fs_.Open("/d/f", OpenMode::kRead), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(fs_.Open("/x/f", OpenMode::kCreate), StatusIs(absl::StatusCode::kNotFound));
  Create("/d/f");
  EXPECT_THAT(fs_.Open("/d/f", OpenMode::kCreate), StatusIs(absl::StatusCode::kAlreadyExists));
  EXPECT_OK(fs_.Open("/d/f", OpenMode::kReadWrite));
}

TEST_F(MemoryFileSystemTest, ReadsWhatWasWritten) {
  const std::unique_ptr<File> file = Create("/d/f");
  ASSERT_OK(file->Write(1000, "hello"));
  EXPECT_THAT(file->Size(), base::testing::IsOkAndHolds(1005u));
  std::string bytes(7, 'x');
  ASSERT_OK(file->Read(998, 7, bytes.data()));
  EXPECT_EQ(bytes, std::string("\0\0hello", 7));
  EXPECT_THAT(file->Read(1000, 6, bytes.data()), StatusIs(absl::StatusCode::kOutOfRange));
}

TEST_F(MemoryFileSystemTest, CrashKeepsWhatWasSyncedAndChoosesAmongTheRest) {
  const std::unique_ptr<File> file = Create("/d/f");
  ASSERT_OK(fs_.SyncDirectory("/d"));
  ASSERT_OK(file->Write(0, Sector('a') + Sector('b')));
  ASSERT_OK(file->SyncData());
  ASSERT_OK(file->Write(0, Sector('A') + Sector('B')));
  ASSERT_EQ(fs_.UnsyncedUnitCount(), 2u);
  std::set<std::string> outcomes;
  for (int mask = 0; mask < 4; ++mask) {
    const std::unique_ptr<MemoryFileSystem> crashed = fs_.Clone();
    crashed->CrashKeeping([mask](size_t unit) { return (mask >> unit & 1) != 0; });
    const std::string contents = crashed->Contents("/d/f");
    outcomes.insert({contents[0], contents[600]});
  }
  EXPECT_THAT(outcomes, UnorderedElementsAre("ab", "Ab", "aB", "AB"));
  // The clones crashed, the original did not.
  EXPECT_EQ(fs_.Contents("/d/f")[0], 'A');
}

TEST_F(MemoryFileSystemTest, DurableWriteSyncsItsOwnBytesAndNoOthers) {
  const std::unique_ptr<File> file = Create("/d/f");
  ASSERT_OK(fs_.SyncDirectory("/d"));
  ASSERT_OK(file->Write(0, Sector('a') + Sector('b') + Sector('c')));
  ASSERT_OK(file->SyncData());
  ASSERT_OK(file->Write(0, Sector('A') + Sector('B') + Sector('C')));
  ASSERT_OK(file->WriteDurably(512, Sector('D')));
  EXPECT_EQ(fs_.Contents("/d/f"), Sector('A') + Sector('D') + Sector('C'));
  fs_.CrashKeeping([](size_t) { return false; });
  EXPECT_EQ(fs_.Contents("/d/f"), Sector('a') + Sector('D') + Sector('c'));
}

TEST_F(MemoryFileSystemTest, DurableWriteFailsAsAWriteOrASync) {
  const std::unique_ptr<File> file = Create("/d/f");
  ASSERT_OK(fs_.SyncDirectory("/d"));
  ASSERT_OK(file->Write(0, Sector('a')));
  ASSERT_OK(file->SyncData());
  for (const auto operation :
       {MemoryFileSystem::Operation::kWrite, MemoryFileSystem::Operation::kSyncData}) {
    fs_.InjectFault({.operation = operation});
    EXPECT_FALSE(file->WriteDurably(0, Sector('b')).ok());
    const std::unique_ptr<MemoryFileSystem> crashed = fs_.Clone();
    crashed->CrashKeeping([](size_t) { return false; });
    EXPECT_EQ(crashed->Contents("/d/f"), Sector('a'));
  }
}

TEST_F(MemoryFileSystemTest, LengthIsAUnitOfItsOwn) {
  const std::unique_ptr<File> file = Create("/d/f");
  ASSERT_OK(fs_.SyncDirectory("/d"));
  ASSERT_OK(file->Write(0, Sector('\0') + Sector('b')));
  ASSERT_EQ(fs_.UnsyncedUnitCount(), 2u);
  const auto size_after = [this](bool length, bool sector) {
    const std::unique_ptr<MemoryFileSystem> crashed = fs_.Clone();
    crashed->CrashKeeping([&](size_t unit) { return unit == 0 ? length : sector; });
    return crashed->Contents("/d/f").size();
  };
  EXPECT_EQ(size_after(false, false), 0u);
  EXPECT_EQ(size_after(true, false), 1024u);
  EXPECT_EQ(size_after(false, true), 1024u);
}

TEST_F(MemoryFileSystemTest, UnsyncedNamesMayBeLost) {
  Create("/d/kept");
  ASSERT_OK(fs_.SyncDirectory("/d"));
  Create("/d/made");
  ASSERT_OK(fs_.Rename("/d/kept", "/d/renamed"));
  EXPECT_THAT(*fs_.ListDirectory("/d"), ElementsAre("made", "renamed"));
  ASSERT_EQ(fs_.UnsyncedUnitCount(), 2u);
  const std::unique_ptr<MemoryFileSystem> lost = fs_.Clone();
  lost->CrashKeeping([](size_t) { return false; });
  EXPECT_THAT(*lost->ListDirectory("/d"), ElementsAre("kept"));
  ASSERT_OK(fs_.SyncDirectory("/d"));
  fs_.CrashKeeping([](size_t) { return false; });
  EXPECT_THAT(*fs_.ListDirectory("/d"), ElementsAre("made", "renamed"));
}

TEST_F(MemoryFileSystemTest, RandomCrashTearsSectors) {
  bool torn = false;
  for (uint64_t seed = 1; seed < 50; ++seed) {
    MemoryFileSystem fs;
    ASSERT_OK(fs.CreateDirectory("/d"));
    ASSERT_OK_AND_ASSIGN(const std::unique_ptr<File> file, fs.Open("/d/f", OpenMode::kCreate));
    ASSERT_OK(fs.SyncDirectory("/d"));
    ASSERT_OK(file->Write(0, Sector('a')));
    ASSERT_OK(file->SyncData());
    ASSERT_OK(file->Write(0, Sector('b')));
    base::Random rng(seed);
    fs.Crash(&rng);
    const std::string contents = fs.Contents("/d/f");
    const size_t new_count = contents.find_last_of('b') + 1;
    EXPECT_EQ(contents, std::string(new_count, 'b') + std::string(512 - new_count, 'a'));
    torn = torn || (new_count != 0 && new_count != 512);
  }
  EXPECT_TRUE(torn);
}

TEST_F(MemoryFileSystemTest, CrashAndKillEndHandlesAndLocks) {
  const std::unique_ptr<File> file = Create("/d/f");
  ASSERT_OK_AND_ASSIGN(const auto lock, fs_.LockDirectory("/d"));
  EXPECT_THAT(fs_.LockDirectory("/d"), StatusIs(absl::StatusCode::kFailedPrecondition));
  fs_.Kill();
  EXPECT_THAT(file->Write(0, "x"), StatusIs(absl::StatusCode::kUnavailable));
  ASSERT_OK_AND_ASSIGN(auto next, fs_.LockDirectory("/d"));
  next.reset();
  EXPECT_OK(fs_.LockDirectory("/d"));
}

TEST_F(MemoryFileSystemTest, DeadLockDoesNotFreeTheNextLifesLock) {
  ASSERT_OK_AND_ASSIGN(auto dead, fs_.LockDirectory("/d"));
  fs_.Kill();
  ASSERT_OK_AND_ASSIGN(const auto alive, fs_.LockDirectory("/d"));
  dead.reset();
  EXPECT_THAT(fs_.LockDirectory("/d"), StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST_F(MemoryFileSystemTest, FaultsStrikeTheCallTheyAreToldTo) {
  const std::unique_ptr<File> file = Create("/d/f");
  fs_.InjectFault({.operation = MemoryFileSystem::Operation::kWrite, .call = 2});
  EXPECT_OK(file->Write(0, "a"));
  EXPECT_OK(file->SyncData());
  EXPECT_THAT(file->Write(0, "bb"), StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_EQ(fs_.Contents("/d/f"), "b");
  EXPECT_OK(file->Write(0, "c"));
  fs_.InjectFault({.call = 1, .lasting = true, .error = MemoryFileSystem::Fault::Error::kDiskFull});
  for (int i = 0; i < 3; ++i) {
    const absl::Status status = file->Write(0, "d");
    EXPECT_THAT(status, StatusIs(absl::StatusCode::kResourceExhausted));
    EXPECT_EQ(base::ReasonOf(status), base::kReasonDiskFull);
  }
  fs_.ClearFaults();
  EXPECT_OK(file->Write(0, "e"));
}

TEST_F(MemoryFileSystemTest, WhatAFailedSyncDroppedIsGoneThoughTheNextSucceeds) {
  std::unique_ptr<File> file = Create("/d/f");
  ASSERT_OK(fs_.SyncDirectory("/d"));
  ASSERT_OK(file->Write(0, Sector('a')));
  ASSERT_OK(file->SyncData());
  ASSERT_OK(file->Write(0, Sector('b')));
  fs_.InjectFault({.operation = MemoryFileSystem::Operation::kSyncData});
  ASSERT_FALSE(file->SyncData().ok());
  ASSERT_OK(file->SyncData());
  EXPECT_EQ(fs_.Contents("/d/f"), Sector('b'));
  const std::unique_ptr<MemoryFileSystem> crashed = fs_.Clone();
  crashed->CrashKeeping([](size_t) { return true; });
  EXPECT_EQ(crashed->Contents("/d/f"), Sector('a'));
  ASSERT_OK_AND_ASSIGN(file, fs_.Open("/d/f", OpenMode::kRead));
  EXPECT_EQ(fs_.Contents("/d/f"), Sector('a'));
}

TEST_F(MemoryFileSystemTest, CapacityIsKept) {
  const std::unique_ptr<File> file = Create("/d/f");
  fs_.set_capacity_bytes(1000);
  EXPECT_OK(file->Write(0, std::string(1000, 'x')));
  EXPECT_THAT(file->Write(1000, "x"), StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_OK(file->Write(500, "still fits"));
  ASSERT_OK(fs_.Remove("/d/f"));
  EXPECT_EQ(fs_.used_bytes(), 0u);
}

TEST_F(MemoryFileSystemTest, ALinkIsTheSameFile) {
  const std::unique_ptr<File> file = Create("/d/a");
  ASSERT_OK(fs_.CreateDirectory("/e"));
  ASSERT_OK(fs_.Link("/d/a", "/e/b"));
  ASSERT_OK(file->Write(0, "hello"));
  EXPECT_EQ(fs_.used_bytes(), 5u);
  ASSERT_OK(fs_.Remove("/d/a"));
  EXPECT_EQ(fs_.Contents("/e/b"), "hello");
  EXPECT_EQ(fs_.used_bytes(), 5u);
  EXPECT_EQ(fs_.Clone()->Contents("/e/b"), "hello");
  EXPECT_THAT(fs_.Link("/d/a", "/e/c"), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(fs_.Link("/e/b", "/x/c"), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(fs_.Link("/e/b", "/e/b"), StatusIs(absl::StatusCode::kAlreadyExists));
  fs_.RefuseLinks();
  EXPECT_THAT(fs_.Link("/e/b", "/e/c"), StatusIs(absl::StatusCode::kFailedPrecondition));
  // Its name was never synced.
  fs_.CrashKeeping([](size_t) { return false; });
  EXPECT_THAT(fs_.ListDirectory("/e"), base::testing::IsOkAndHolds(IsEmpty()));
}

TEST_F(MemoryFileSystemTest, RenamesAndRemovesDirectories) {
  Create("/d/f");
  ASSERT_OK(fs_.CreateDirectory("/empty"));
  EXPECT_THAT(fs_.RenameDirectory("/empty", "/d"), StatusIs(absl::StatusCode::kAlreadyExists));
  ASSERT_OK(fs_.RenameDirectory("/d", "/empty"));
  EXPECT_THAT(fs_.ListDirectory("/empty"), base::testing::IsOkAndHolds(ElementsAre("f")));
  EXPECT_THAT(fs_.RenameDirectory("/d", "/c"), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(fs_.RemoveDirectory("/empty"), StatusIs(absl::StatusCode::kFailedPrecondition));
  ASSERT_OK(fs_.Remove("/empty/f"));
  ASSERT_OK(fs_.RemoveDirectory("/empty"));
  EXPECT_THAT(fs_.RemoveDirectory("/empty"), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(MemoryFileSystemTest, FlipsTheBitInBothViews) {
  fs_.Install("/d/f", "abc");
  fs_.FlipBit("/d/f", 1, 0);
  EXPECT_EQ(fs_.Contents("/d/f"), "acc");
  fs_.CrashKeeping([](size_t) { return false; });
  EXPECT_EQ(fs_.Contents("/d/f"), "acc");
}

TEST_F(MemoryFileSystemTest, CountsCalls) {
  const uint64_t before = fs_.call_count();
  const std::unique_ptr<File> file = Create("/d/f");
  ASSERT_OK(file->Write(0, "x"));
  EXPECT_EQ(fs_.call_count(), before + 2);
  EXPECT_EQ(fs_.call_count(MemoryFileSystem::Operation::kWrite), 1u);
}

TEST_F(MemoryFileSystemTest, DirectFilesRefuseWhatIsNotAligned) {
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<File> file, fs_.OpenDirect("/d/f", OpenMode::kCreate));
  EXPECT_EQ(DescribeIoPath(file->io_path()), "direct");
  alignas(kDirectAlignment) char memory[2 * kDirectAlignment] = {};
  const auto bytes = [&memory](size_t start, size_t count) {
    return absl::string_view(memory + start, count);
  };
  const auto refused = StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("not aligned"));
  ASSERT_OK(file->Write(kDirectAlignment, bytes(0, kDirectAlignment)));
  EXPECT_THAT(file->Write(512, bytes(0, kDirectAlignment)), refused);
  EXPECT_THAT(file->Write(0, bytes(512, kDirectAlignment)), refused);
  EXPECT_THAT(file->Write(0, bytes(0, 512)), refused);
  ASSERT_OK(file->Read(0, 2 * kDirectAlignment, memory));
  EXPECT_THAT(file->Read(512, kDirectAlignment, memory), refused);
  EXPECT_THAT(file->Read(0, kDirectAlignment, memory + 512), refused);
  EXPECT_THAT(file->Read(0, 512, memory), refused);
}

TEST_F(MemoryFileSystemTest, OtherFilesTakeAnyAlignment) {
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<File> file, fs_.Open("/d/f", OpenMode::kCreate));
  EXPECT_EQ(DescribeIoPath(file->io_path()), "buffered (not asked for)");
  EXPECT_OK(file->Write(3, "abc"));
}

}  // namespace
}  // namespace slipstream::storage

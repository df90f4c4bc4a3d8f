#include "storage/posix_file_system.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/error_reason.h"
#include "base/random.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/engine.h"
#include "storage/entry.h"
#include "storage/file_system.h"
#include "storage/options.h"
#include "storage/testing/small_store.h"

namespace slipstream::storage {
namespace {

using base::testing::StatusIs;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class PosixFileSystemTest : public ::testing::Test {
 protected:
  PosixFileSystemTest() {
    const char* const parent = std::getenv("TEST_TMPDIR");
    root_ = absl::StrCat(parent == nullptr ? "/tmp" : parent, "/posix.XXXXXX");
    if (::mkdtemp(root_.data()) == nullptr) std::abort();
  }

  std::string Path(absl::string_view name) const { return JoinPath(root_, name); }

  // Where the file system of the tests has no direct I/O, it says why, and the rest of a test about
  // it has no object.
  static bool IsDirect(const File& file) {
    const IoPath io_path = file.io_path();
    EXPECT_EQ(io_path.direct, io_path.why_buffered.empty());
    return io_path.direct;
  }

  PosixFileSystem fs_;
  std::string root_;
};

TEST_F(PosixFileSystemTest, ReadsWhatWasWritten) {
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<File> file, fs_.Open(Path("f"), OpenMode::kCreate));
  ASSERT_OK(file->Write(4096, "hello"));
  ASSERT_OK(file->SyncData());
  EXPECT_THAT(file->Size(), base::testing::IsOkAndHolds(4101u));
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<File> again, fs_.Open(Path("f"), OpenMode::kRead));
  std::string bytes(6, 'x');
  ASSERT_OK(again->Read(4095, 6, bytes.data()));
  EXPECT_EQ(bytes, std::string("\0hello", 6));
  EXPECT_THAT(
      again->Read(4096, 6, bytes.data()),
      StatusIs(absl::StatusCode::kOutOfRange, HasSubstr("6 bytes at 4096, but it ends at 4101")));
}

TEST_F(PosixFileSystemTest, OpenModes) {
  EXPECT_THAT(fs_.Open(Path("f"), OpenMode::kRead),
              StatusIs(absl::StatusCode::kNotFound,
                       AllOf(HasSubstr("open "), HasSubstr(Path("f")), HasSubstr("No such file"))));
  ASSERT_OK(fs_.Open(Path("f"), OpenMode::kCreate));
  EXPECT_THAT(fs_.Open(Path("f"), OpenMode::kCreate), StatusIs(absl::StatusCode::kAlreadyExists));
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<File> file, fs_.Open(Path("f"), OpenMode::kRead));
  EXPECT_FALSE(file->Write(0, "x").ok());
}

TEST_F(PosixFileSystemTest, CreatesDirectoriesWithTheirParents) {
  ASSERT_OK(fs_.CreateDirectory(Path("a/b/c")));
  ASSERT_OK(fs_.CreateDirectory(Path("a/b/c")));
  EXPECT_THAT(fs_.ListDirectory(Path("a/b")), base::testing::IsOkAndHolds(ElementsAre("c")));
  ASSERT_OK(fs_.Open(Path("file"), OpenMode::kCreate));
  EXPECT_THAT(fs_.CreateDirectory(Path("file/sub")),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("Not a directory")));
}

TEST_F(PosixFileSystemTest, RenamesRemovesAndLists) {
  ASSERT_OK(fs_.Open(Path("b"), OpenMode::kCreate));
  ASSERT_OK(fs_.Open(Path("a"), OpenMode::kCreate));
  EXPECT_THAT(fs_.ListDirectory(root_), base::testing::IsOkAndHolds(ElementsAre("a", "b")));
  ASSERT_OK(fs_.Rename(Path("a"), Path("b")));
  EXPECT_THAT(fs_.ListDirectory(root_), base::testing::IsOkAndHolds(ElementsAre("b")));
  ASSERT_OK(fs_.SyncDirectory(root_));
  ASSERT_OK(fs_.Remove(Path("b")));
  EXPECT_THAT(fs_.Remove(Path("b")), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(fs_.ListDirectory(Path("none")), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(PosixFileSystemTest, ALinkIsTheSameFile) {
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<File> file, fs_.Open(Path("a"), OpenMode::kCreate));
  ASSERT_OK(fs_.Link(Path("a"), Path("b")));
  ASSERT_OK(fs_.Remove(Path("a")));
  ASSERT_OK(file->Write(0, "hello"));
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<File> link, fs_.Open(Path("b"), OpenMode::kRead));
  EXPECT_THAT(link->Size(), base::testing::IsOkAndHolds(5u));
  EXPECT_THAT(fs_.Link(Path("a"), Path("c")), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(fs_.Link(Path("b"), Path("b")), StatusIs(absl::StatusCode::kAlreadyExists));
}

TEST_F(PosixFileSystemTest, ALinkToAnotherFileSystemIsRefused) {
  if (!std::filesystem::is_directory("/dev/shm")) return;
  ASSERT_OK(fs_.Open(Path("a"), OpenMode::kCreate));
  struct stat here;
  struct stat there;
  ASSERT_EQ(::stat(root_.c_str(), &here), 0);
  ASSERT_EQ(::stat("/dev/shm", &there), 0);
  if (here.st_dev == there.st_dev) return;
  const std::string target = absl::StrCat("/dev/shm/slipstream-link-", ::getpid());
  EXPECT_THAT(fs_.Link(Path("a"), target), StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST_F(PosixFileSystemTest, RenamesAndRemovesDirectories) {
  ASSERT_OK(fs_.CreateDirectory(Path("a")));
  ASSERT_OK(fs_.Open(Path("a/f"), OpenMode::kCreate));
  ASSERT_OK(fs_.CreateDirectory(Path("empty")));
  ASSERT_OK(fs_.RenameDirectory(Path("a"), Path("empty")));
  EXPECT_THAT(fs_.ListDirectory(root_), base::testing::IsOkAndHolds(ElementsAre("empty")));
  ASSERT_OK(fs_.CreateDirectory(Path("b")));
  EXPECT_THAT(fs_.RenameDirectory(Path("b"), Path("empty")),
              StatusIs(absl::StatusCode::kAlreadyExists));
  EXPECT_THAT(fs_.RenameDirectory(Path("none"), Path("c")), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(fs_.RemoveDirectory(Path("empty")), StatusIs(absl::StatusCode::kFailedPrecondition));
  ASSERT_OK(fs_.RemoveDirectory(Path("b")));
  EXPECT_THAT(fs_.RemoveDirectory(Path("b")), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(PosixFileSystemTest, DirectoryHasOneOwner) {
  ASSERT_OK_AND_ASSIGN(std::unique_ptr<DirectoryLock> lock, fs_.LockDirectory(root_));
  const auto second = fs_.LockDirectory(root_);
  EXPECT_THAT(second, StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr(root_)));
  EXPECT_EQ(base::ReasonOf(second.status()), base::kReasonDirectoryInUse);
  lock.reset();
  EXPECT_OK(fs_.LockDirectory(root_));
}

TEST_F(PosixFileSystemTest, RefusedPermissionNamesWhoAndWhose) {
  ASSERT_OK(fs_.CreateDirectory(Path("closed")));
  ASSERT_EQ(::chmod(Path("closed").c_str(), 0), 0);
  if (::geteuid() == 0) {  // Root is refused nothing.
    EXPECT_OK(fs_.Open(Path("closed/f"), OpenMode::kCreate));
    return;
  }
  EXPECT_THAT(fs_.Open(Path("closed/f"), OpenMode::kCreate),
              StatusIs(absl::StatusCode::kPermissionDenied,
                       AllOf(HasSubstr("this process has uid"), HasSubstr("mode 0000"))));
}

TEST_F(PosixFileSystemTest, FullDeviceSaysSo) {
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<File> full,
                       fs_.Open("/dev/full", OpenMode::kReadWrite));
  const absl::Status status = full->Write(0, "x");
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("/dev/full")));
  EXPECT_EQ(base::ReasonOf(status), base::kReasonDiskFull);
}

// A page of 'p' to write, and room to read into.
struct Page {
  alignas(kDirectAlignment) char bytes[kDirectAlignment];
  Page() { std::fill(std::begin(bytes), std::end(bytes), 'p'); }
  absl::string_view view() const { return {bytes, sizeof(bytes)}; }
};

TEST_F(PosixFileSystemTest, DirectFilesHoldWhatWasWritten) {
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<File> file,
                       fs_.OpenDirect(Path("f"), OpenMode::kCreate));
  if (!IsDirect(*file)) return;
  Page page;
  ASSERT_OK(file->Write(kDirectAlignment, page.view()));
  ASSERT_OK(file->SyncData());
  Page read;
  ASSERT_OK(file->Read(0, kDirectAlignment, read.bytes));
  EXPECT_EQ(read.view(), std::string(kDirectAlignment, '\0'));
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<File> again,
                       fs_.OpenDirect(Path("f"), OpenMode::kRead));
  EXPECT_TRUE(again->io_path().direct);
  ASSERT_OK(again->Read(kDirectAlignment, kDirectAlignment, read.bytes));
  EXPECT_EQ(read.view(), page.view());
}

TEST_F(PosixFileSystemTest, DurableWritesHoldWhatWasWritten) {
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<File> file,
                       fs_.OpenDirect(Path("f"), OpenMode::kCreate));
  Page page;
  ASSERT_OK(file->Write(0, page.view()));
  std::fill(std::begin(page.bytes), std::end(page.bytes), 'q');
  ASSERT_OK(file->WriteDurably(0, page.view()));
  Page read;
  ASSERT_OK(file->Read(0, kDirectAlignment, read.bytes));
  EXPECT_EQ(read.view(), page.view());
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<File> closed, fs_.Open(Path("f"), OpenMode::kRead));
  EXPECT_THAT(closed->WriteDurably(0, page.view()),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("write and sync ")));
}

TEST_F(PosixFileSystemTest, ManyReadsAreAsEachByItself) {
  constexpr size_t kPages = 200;
  for (const UseIoUring io_uring : {UseIoUring::kWherePossible, UseIoUring::kNever}) {
    PosixFileSystem fs(DirectIo::kWherePossible, io_uring);
    SCOPED_TRACE(fs.DescribeReadMany());
    const std::string name = absl::StrCat("many", static_cast<int>(io_uring));
    ASSERT_OK_AND_ASSIGN(const std::unique_ptr<File> file,
                         fs.OpenDirect(Path(name), OpenMode::kCreate));
    std::vector<Page> pages(kPages);
    for (size_t i = 0; i < kPages; ++i) {
      std::memcpy(pages[i].bytes, &i, sizeof(i));
      ASSERT_OK(file->Write(i * kDirectAlignment, pages[i].view()));
    }
    std::vector<Page> read(kPages + 1);
    std::vector<FileRead> reads;
    // The last one begins where the file ends.
    for (size_t i = 0; i <= kPages; ++i) {
      reads.push_back({.file = file.get(),
                       .offset = i * kDirectAlignment,
                       .count = kDirectAlignment,
                       .destination = read[i].bytes,
                       .status = absl::UnknownError("not read")});
    }
    fs.ReadMany(absl::MakeSpan(reads));
    for (size_t i = 0; i < kPages; ++i) {
      EXPECT_OK(reads[i].status);
      EXPECT_EQ(read[i].view(), pages[i].view());
    }
    EXPECT_THAT(reads[kPages].status,
                StatusIs(absl::StatusCode::kOutOfRange, HasSubstr("but it ends at")));
  }
}

TEST_F(PosixFileSystemTest, ManyReadsOfManyThreadsDoNotMix) {
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<File> file,
                       fs_.OpenDirect(Path("f"), OpenMode::kCreate));
  std::vector<Page> pages(2);
  std::fill(std::begin(pages[1].bytes), std::end(pages[1].bytes), 'q');
  for (size_t i = 0; i < 2; ++i) ASSERT_OK(file->Write(i * kDirectAlignment, pages[i].view()));
  std::vector<std::thread> threads;
  for (size_t i = 0; i < 8; ++i) {
    threads.emplace_back([this, &file, &pages, wanted = i % 2] {
      for (int round = 0; round < 50; ++round) {
        std::vector<Page> read(4);
        std::vector<FileRead> reads;
        for (Page& page : read) {
          reads.push_back({.file = file.get(),
                           .offset = wanted * kDirectAlignment,
                           .count = kDirectAlignment,
                           .destination = page.bytes,
                           .status = {}});
        }
        fs_.ReadMany(absl::MakeSpan(reads));
        for (const Page& page : read) EXPECT_EQ(page.view(), pages[wanted].view());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_F(PosixFileSystemTest, DirectReadsAreRefusedWithoutAlignment) {
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<File> file,
                       fs_.OpenDirect(Path("f"), OpenMode::kCreate));
  if (!IsDirect(*file)) return;
  Page page;
  ASSERT_OK(file->Write(0, page.view()));
  EXPECT_THAT(file->Read(1, 100, page.bytes), StatusIs(absl::StatusCode::kUnavailable));
}

TEST_F(PosixFileSystemTest, DirectReadsBeyondAnEndWithinAPageSaySo) {
  ASSERT_OK_AND_ASSIGN(std::unique_ptr<File> file, fs_.Open(Path("f"), OpenMode::kCreate));
  ASSERT_OK(file->Write(0, std::string(5000, 'x')));
  ASSERT_OK_AND_ASSIGN(file, fs_.OpenDirect(Path("f"), OpenMode::kRead));
  Page pages[2];
  ASSERT_OK(file->Read(0, kDirectAlignment, pages[0].bytes));
  EXPECT_THAT(file->Read(0, 2 * kDirectAlignment, pages[0].bytes),
              StatusIs(absl::StatusCode::kOutOfRange, HasSubstr("it ends at 5000")));
}

TEST_F(PosixFileSystemTest, FilesAreBufferedUnlessAskedFor) {
  ASSERT_OK_AND_ASSIGN(std::unique_ptr<File> file, fs_.Open(Path("f"), OpenMode::kCreate));
  EXPECT_EQ(DescribeIoPath(file->io_path()), "buffered (not asked for)");
  PosixFileSystem never(DirectIo::kNever);
  ASSERT_OK_AND_ASSIGN(file, never.OpenDirect(Path("f"), OpenMode::kReadWrite));
  EXPECT_EQ(DescribeIoPath(file->io_path()), "buffered (switched off)");
}

// The engine on each path, the way it went in its figures.
class EnginePathTest : public PosixFileSystemTest {
 protected:
  void KeepsItsAccount(PosixFileSystem& fs, const std::string& directory,
                       absl::string_view io_path) {
    base::Random rng(1);
    const Options options = testing::SmallOptions();
    for (int life = 0; life < 3; ++life) {
      ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Engine> engine,
                           Engine::Open(&fs, directory, options, &rng, nullptr));
      EXPECT_EQ(engine->appended_lsn(), static_cast<Lsn>(life) * 30);
      EXPECT_EQ(engine->recovery_report().clean, life == 2);
      // The same before the first segment is made and after.
      EXPECT_EQ(DescribeIoPath(engine->stats().io_path), io_path);
      for (int i = 0; i < 30; ++i) {
        const std::string key = absl::StrCat("key", i);
        const std::string value = absl::StrCat(std::string(500, 'v'), life);
        const Mutation put{.key = key, .value = value};
        ASSERT_OK(engine->Write({put}, Atomicity::kEach, testing::Noon()));
      }
      ASSERT_OK(engine->Flush(Engine::FlushMode::kSync));
      ASSERT_OK(engine->Maintain());
      EXPECT_EQ(DescribeIoPath(engine->stats().io_path), io_path);
      ASSERT_OK_AND_ASSIGN(const ReadResult read, engine->Get("key7", testing::Noon()));
      EXPECT_EQ(read.value, absl::StrCat(std::string(500, 'v'), life));
      if (life == 1) ASSERT_OK(engine->Close());
    }
  }
};

TEST_F(EnginePathTest, Direct) {
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<File> probe,
                       fs_.OpenDirect(Path("probe"), OpenMode::kCreate));
  if (!IsDirect(*probe)) return;
  KeepsItsAccount(fs_, Path("store"), "direct");
}

TEST_F(EnginePathTest, BufferedWhenSwitchedOff) {
  PosixFileSystem never(DirectIo::kNever);
  KeepsItsAccount(never, Path("store"), "buffered (switched off)");
}

TEST_F(EnginePathTest, BufferedOnTmpfs) {
  std::string root = "/dev/shm/posix.XXXXXX";
  ASSERT_NE(::mkdtemp(root.data()), nullptr);
  KeepsItsAccount(fs_, root, "buffered (tmpfs is memory)");
  std::filesystem::remove_all(root);
}

}  // namespace
}  // namespace slipstream::storage

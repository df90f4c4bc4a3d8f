#include "storage/run_writer.h"

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "base/random.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/memory_file_system.h"
#include "storage/run_reader.h"
#include "storage/testing/small_runs.h"

namespace slipstream::storage {
namespace {

using base::testing::StatusIs;
using testing::BuildRun;
using testing::DrawRunContent;
using testing::DrawRunEntry;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::kRunDirectory;
using testing::kRunNodeId;
using testing::NumberedKeyId;
using testing::RunContent;
using testing::WriteRun;

const std::string kName = "0000000000000001.run";
// Enough for a write of full data pages before Finish.
constexpr uint64_t kEntryCount = 17 * kRunEntriesPerPage;

class RunWriterTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_OK(fs_.CreateDirectory(kRunDirectory)); }

  absl::StatusOr<std::unique_ptr<RunWriter>> Create(uint64_t entry_count_max = kRunEntriesMax) {
    return RunWriter::Create(
        &fs_, kRunDirectory,
        {.node_id = kRunNodeId, .run_number = 1, .entry_count_max = entry_count_max});
  }

  MemoryFileSystem fs_;
  base::Random rng_{1};
};

absl::Status OpenRun(MemoryFileSystem& fs) {
  return SortedRun::Open(&fs, kRunDirectory, {.node_id = kRunNodeId, .run_number = 1}).status();
}

// Expects that the run is there whole or not at all.
void ExpectWholeOrAbsent(MemoryFileSystem& fs, const RunContent& content) {
  const auto run = SortedRun::Open(&fs, kRunDirectory, {.node_id = kRunNodeId, .run_number = 1});
  if (!run.ok()) {
    EXPECT_THAT(run, StatusIs(absl::StatusCode::kNotFound));
    return;
  }
  for (const auto& [key_id, entry] : content) {
    ASSERT_OK_AND_ASSIGN(const absl::optional<RunEntry> found, (*run)->Find(key_id));
    EXPECT_EQ(found, entry);
  }
}

TEST_F(RunWriterTest, RefusesKeysThatDoNotAscendAndGoesOn) {
  RunContent content = DrawRunContent(rng_, 2);
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<RunWriter> writer, Create());
  ASSERT_OK(writer->Add(content.rbegin()->second));
  EXPECT_THAT(writer->Add(content.rbegin()->second),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("is not after")));
  EXPECT_THAT(writer->Add(content.begin()->second), StatusIs(absl::StatusCode::kInvalidArgument));
  ASSERT_OK_AND_ASSIGN(const RunSummary summary, writer->Finish());
  EXPECT_EQ(summary.entry_count, 1u);
  EXPECT_EQ(summary.file_bytes, fs_.Contents(JoinPath(kRunDirectory, kName)).size());
}

TEST_F(RunWriterTest, EntryCountAtTheBoundAndBeyond) {
  const RunContent content = DrawRunContent(rng_, 3);
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<RunWriter> writer, Create(2));
  auto next = content.begin();
  ASSERT_OK(writer->Add((next++)->second));
  ASSERT_OK(writer->Add((next++)->second));
  EXPECT_THAT(writer->Add(next->second), StatusIs(absl::StatusCode::kResourceExhausted));
  ASSERT_OK(writer->Finish());
  EXPECT_OK(OpenRun(fs_));
}

TEST_F(RunWriterTest, FinishesInSteps) {
  // Two chunks of the filter: its first one has the blocks of 2048 pages.
  const RunContent content = DrawRunContent(rng_, 2049 * kRunEntriesPerPage);
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<RunWriter> writer, Create());
  for (const auto& [key_id, entry] : content) ASSERT_OK(writer->Add(entry));
  for (int step = 0; step < 2; ++step) {
    ASSERT_OK_AND_ASSIGN(const bool more, writer->FinishSome(1));
    EXPECT_TRUE(more);
    EXPECT_THAT(OpenRun(fs_), StatusIs(absl::StatusCode::kNotFound));
  }
  ASSERT_OK_AND_ASSIGN(const bool more, writer->FinishSome(1));
  EXPECT_FALSE(more);
  ExpectWholeOrAbsent(fs_, content);
  EXPECT_OK(OpenRun(fs_));
}

TEST_F(RunWriterTest, MemoryIsThatOfFencesAndFilter) {
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<RunWriter> writer, Create());
  const RunContent content = DrawRunContent(rng_, 100'000);
  for (const auto& [key_id, entry] : content) ASSERT_OK(writer->Add(entry));
  const uint64_t pages = 100'000 / kRunEntriesPerPage + 1;
  EXPECT_LE(writer->memory_bytes(), sizeof(RunWriter) + pages * 72 + 3 * kRunBytesPerWrite);
  ASSERT_OK(writer->Finish());
  // Who opens the run has them then.
  EXPECT_LE(writer->memory_bytes(), sizeof(RunWriter) + kRunBytesPerWrite);
}

TEST_F(RunWriterTest, TakesThePlaceOfAnUnfinishedFile) {
  fs_.Install(JoinPath(kRunDirectory, kName + ".tmp"), std::string(100'000, 'x'));
  const RunContent content = DrawRunContent(rng_, 10);
  ASSERT_OK(BuildRun(&fs_, content, 1));
  ExpectWholeOrAbsent(fs_, content);
}

TEST_F(RunWriterTest, AbandonGivesTheSpaceBack) {
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<RunWriter> writer, Create());
  const RunContent content = DrawRunContent(rng_, kEntryCount);
  for (const auto& [key_id, entry] : content) ASSERT_OK(writer->Add(entry));
  writer->Abandon();
  EXPECT_THAT(fs_.ListDirectory(kRunDirectory), base::testing::IsOkAndHolds(IsEmpty()));
  EXPECT_THAT(writer->Finish(), StatusIs(absl::StatusCode::kCancelled));
}

TEST_F(RunWriterTest, EveryFailedCallLeavesNoHalfRunAndIsReported) {
  const RunContent content = DrawRunContent(rng_, kEntryCount);
  const uint64_t calls_before = fs_.call_count();
  ASSERT_OK(WriteRun(&fs_, content, 1));
  const uint64_t call_count = fs_.call_count() - calls_before;
  ASSERT_GT(call_count, 8u);
  for (uint64_t call = 1; call <= call_count; ++call) {
    for (const bool lasting : {false, true}) {
      for (const auto error :
           {MemoryFileSystem::Fault::Error::kDevice, MemoryFileSystem::Fault::Error::kDiskFull}) {
        MemoryFileSystem fs;
        fs.InjectFault({.call = call, .lasting = lasting, .error = error});
        EXPECT_FALSE(WriteRun(&fs, content, 1).ok()) << call;
        fs.ClearFaults();
        ExpectWholeOrAbsent(fs, content);
        // What the failure left is no obstacle.
        ASSERT_OK(WriteRun(&fs, content, 1)) << call;
        EXPECT_OK(OpenRun(fs));
      }
    }
  }
}

TEST_F(RunWriterTest, ErrorIsLastingAndRemovesTheFile) {
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<RunWriter> writer, Create());
  ASSERT_OK(writer->Add(DrawRunEntry(rng_, NumberedKeyId(1), 1)));
  fs_.InjectFault({.operation = MemoryFileSystem::Operation::kSyncData});
  EXPECT_THAT(writer->Finish(), StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_THAT(writer->FinishSome(1), StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_THAT(fs_.ListDirectory(kRunDirectory), base::testing::IsOkAndHolds(IsEmpty()));
}

TEST_F(RunWriterTest, CrashAtEveryCallLeavesTheRunWholeOrAbsent) {
  const RunContent content = DrawRunContent(rng_, kEntryCount);
  MemoryFileSystem counted;
  ASSERT_OK(counted.CreateDirectory(kRunDirectory));
  ASSERT_OK(WriteRun(&counted, content, 1));
  for (uint64_t call = 1; call <= counted.call_count(); ++call) {
    for (uint64_t seed = 1; seed <= 12; ++seed) {
      MemoryFileSystem fs;
      ASSERT_OK(fs.CreateDirectory(kRunDirectory));
      fs.InjectFault({.call = call, .lasting = true});
      WriteRun(&fs, content, 1).IgnoreError();
      fs.ClearFaults();
      base::Random fate(seed);
      fs.Crash(&fate);
      ExpectWholeOrAbsent(fs, content);
    }
  }
}

TEST_F(RunWriterTest, FinishedRunSurvivesACrash) {
  const RunContent content = DrawRunContent(rng_, kEntryCount);
  ASSERT_OK(WriteRun(&fs_, content, 1));
  EXPECT_EQ(fs_.UnsyncedUnitCount(), 0u);
  fs_.CrashKeeping([](size_t) { return false; });
  EXPECT_OK(OpenRun(fs_));
  ExpectWholeOrAbsent(fs_, content);
}

}  // namespace
}  // namespace slipstream::storage

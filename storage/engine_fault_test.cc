// Makes every single call to the file system fail, once or for good, and expects that nothing that
// was acknowledged is lost, that nothing crashes, and that errors say what they are.

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/error_reason.h"
#include "base/random.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/engine.h"
#include "storage/file_system.h"
#include "storage/frame.h"
#include "storage/memory_file_system.h"
#include "storage/options.h"
#include "storage/segment.h"
#include "storage/testing/small_store.h"

namespace slipstream::storage {
namespace {

using base::testing::StatusIs;
using testing::ColdOptions;
using ::testing::HasSubstr;
using testing::kDirectory;
using testing::Noon;
using testing::Script;
using testing::SmallOptions;
using Error = MemoryFileSystem::Fault::Error;
using Operation = MemoryFileSystem::Operation;

class EngineFaultTest : public ::testing::Test {
 protected:
  void Open() {
    engine_.reset();
    ASSERT_OK_AND_ASSIGN(engine_, Engine::Open(&fs_, kDirectory, SmallOptions(), &rng_, nullptr));
  }

  absl::Status Put(absl::string_view key, absl::string_view value) {
    const Mutation put{.key = key, .value = value};
    return engine_->Write({put}, Atomicity::kEach, Noon()).status();
  }

  absl::Status Sync() { return engine_->Flush(Engine::FlushMode::kSync).status(); }

  // Puts and syncs until there is no room for another segment.
  absl::Status Fill() {
    const std::string value(1000, 'v');
    absl::Status status;
    for (int i = 0; status.ok(); ++i) {
      status = Put(absl::StrCat("key", i), value);
      if (status.ok()) status = Sync();
    }
    return status;
  }

  MemoryFileSystem fs_;
  base::Random rng_{1};
  std::unique_ptr<Engine> engine_;
};

enum class Writes { kAtOnce, kStreamedToo };

// Fails the `call`-th call of a script; returns false if the script makes no such call.
bool FailOneCall(const Options& options, Writes writes, uint64_t seed,
                 const MemoryFileSystem::Fault& fault) {
  constexpr int kStepCount = 50;
  MemoryFileSystem fs;
  fs.InjectFault(fault);
  Script script(&fs, options, seed);
  if (writes == Writes::kStreamedToo) script.set_streams();
  const absl::Status status = script.Run(kStepCount, Script::OnError::kGoOn);
  EXPECT_FALSE(absl::IsInternal(status)) << status;
  const bool reached = fs.call_count() >= fault.call;
  script.DropEngine();
  fs.ClearFaults();
  base::Random power(seed + fault.call);
  fs.Crash(&power);
  base::Random rng(3);
  const auto engine = Engine::Open(&fs, kDirectory, options, &rng, nullptr);
  EXPECT_OK(engine);
  if (engine.ok()) EXPECT_OK(script.account().CheckReopened(**engine));
  return reached;
}

void FailEveryCall(const Options& options, Writes writes = Writes::kAtOnce) {
  for (const Error error : {Error::kDevice, Error::kDiskFull}) {
    for (const bool lasting : {false, true}) {
      for (uint64_t call = 1;; ++call) {
        SCOPED_TRACE(
            absl::StrCat("call ", call, " lasting ", lasting, " error ", static_cast<int>(error)));
        const MemoryFileSystem::Fault fault{.call = call, .lasting = lasting, .error = error};
        if (!FailOneCall(options, writes, /*seed=*/5, fault)) break;
        ASSERT_FALSE(::testing::Test::HasFailure());
      }
    }
  }
}

TEST_F(EngineFaultTest, EveryCallMayFailWithoutLosingWhatWasAcknowledged) {
  FailEveryCall(SmallOptions());
}

TEST_F(EngineFaultTest, SoMayEveryCallWhileEntriesLeaveMemory) { FailEveryCall(ColdOptions()); }

TEST_F(EngineFaultTest, SoMayEveryCallWhileTransactionsAreStreamed) {
  FailEveryCall(SmallOptions(), Writes::kStreamedToo);
  FailEveryCall(ColdOptions(), Writes::kStreamedToo);
}

TEST_F(EngineFaultTest, FailedSyncStopsTheEngineForGood) {
  Open();
  ASSERT_OK(Put("a", "1"));
  ASSERT_OK(Sync());
  ASSERT_OK(Put("a", "2"));
  fs_.InjectFault({.operation = Operation::kSyncData});
  const absl::Status failed = Sync();
  EXPECT_THAT(failed, StatusIs(absl::StatusCode::kUnavailable, HasSubstr("storage stopped")));
  EXPECT_EQ(base::ReasonOf(failed), base::kReasonEngineFailed);
  // The fault is over, but a second sync would prove nothing.
  EXPECT_THAT(Sync(), StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_THAT(Put("a", "3"), StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_THAT(engine_->Maintain(), StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_THAT(engine_->status(), StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_THAT(engine_->Close(), StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_EQ(engine_->durable_lsn(), 1u);
  // Reads go on.
  ASSERT_OK_AND_ASSIGN(const ReadResult read, engine_->Get("a", Noon()));
  EXPECT_EQ(read.value, "2");
  EXPECT_EQ(read.lsn, 2u);
  // What the failed sync lost is lost; what was durable is not.
  base::Random power(1);
  fs_.Crash(&power);
  Open();
  ASSERT_OK_AND_ASSIGN(const ReadResult again, engine_->Get("a", Noon()));
  EXPECT_EQ(again.value, "1");
  EXPECT_FALSE(engine_->recovery_report().clean);
}

TEST_F(EngineFaultTest, FailedWriteStopsTheEngineForGood) {
  Open();
  ASSERT_OK(Put("a", "1"));
  ASSERT_OK(Sync());
  ASSERT_OK(Put("a", "2"));
  fs_.InjectFault({.operation = Operation::kWrite});
  EXPECT_THAT(Sync(), StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_THAT(Put("a", "3"), StatusIs(absl::StatusCode::kUnavailable));
}

TEST_F(EngineFaultTest, FullDiskRefusesWritesAndGoesOnReadingUntilThereIsSpace) {
  Open();
  fs_.set_capacity_bytes(fs_.used_bytes() + 2 * SmallOptions().segment_bytes + 1000);
  const absl::Status full = Fill();
  EXPECT_THAT(full, StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("no space")));
  EXPECT_EQ(base::ReasonOf(full), base::kReasonDiskFull);
  EXPECT_OK(engine_->status());
  const Lsn last_lsn = engine_->appended_lsn();
  EXPECT_EQ(engine_->durable_lsn(), last_lsn);
  EXPECT_THAT(engine_->Maintain(), StatusIs(absl::StatusCode::kResourceExhausted));
  ASSERT_OK_AND_ASSIGN(const ReadResult read, engine_->Get("key0", Noon()));
  EXPECT_TRUE(read.found);
  fs_.set_capacity_bytes(UINT64_MAX);
  ASSERT_OK(engine_->Maintain());
  EXPECT_OK(Put("after", "space is back"));
  EXPECT_EQ(engine_->appended_lsn(), last_lsn + 1);
}

TEST_F(EngineFaultTest, IdleLogBearsWitnessThoughTheDiskIsFull) {
  Open();
  ASSERT_OK(Put("key", "value"));
  ASSERT_OK(Sync());
  fs_.set_capacity_bytes(fs_.used_bytes());
  for (int i = 0; i < 3; ++i) {
    EXPECT_THAT(engine_->Maintain(), StatusIs(absl::StatusCode::kResourceExhausted));
  }
  engine_.reset();
  fs_.FlipBit(JoinPath(kDirectory, SegmentFileName(1)), kPageBytes, 0);
  EXPECT_THAT(Engine::Open(&fs_, kDirectory, SmallOptions(), &rng_, nullptr),
              StatusIs(absl::StatusCode::kDataLoss));
}

TEST_F(EngineFaultTest, WritesGoOnAfterAFullDiskWithoutMaintenance) {
  Open();
  fs_.set_capacity_bytes(fs_.used_bytes() + SmallOptions().segment_bytes + 1000);
  ASSERT_THAT(Fill(), StatusIs(absl::StatusCode::kResourceExhausted));
  fs_.set_capacity_bytes(UINT64_MAX);
  absl::Status status;
  int refused_count = 0;
  while (!(status = Put("key", std::string(1000, 'v'))).ok()) {
    ASSERT_THAT(status, StatusIs(absl::StatusCode::kResourceExhausted));
    ASSERT_LT(++refused_count, 64);
  }
}

TEST_F(EngineFaultTest, RefusedWritesLeaveNoGapInTheDots) {
  Open();
  fs_.set_capacity_bytes(fs_.used_bytes() + SmallOptions().segment_bytes + 1000);
  const std::string value(1000, 'v');
  uint64_t last_sequence = 0;
  const Mutation put{.key = "key", .value = value};
  for (int i = 0; i < 100; ++i) {
    if (i == 50) fs_.set_capacity_bytes(UINT64_MAX);
    const absl::StatusOr<WriteResult> result = engine_->Write({put}, Atomicity::kEach, Noon());
    if (!result.ok()) continue;
    ASSERT_EQ(result->sequences[0], ++last_sequence);
    ASSERT_OK(Sync());
  }
  EXPECT_GT(last_sequence, 10u);
  EXPECT_LT(last_sequence, 100u);
}

TEST_F(EngineFaultTest, ReadErrorIsNotTakenForDamage) {
  Open();
  ASSERT_OK(Put("a", "1"));
  ASSERT_OK(Sync());
  fs_.InjectFault({.operation = Operation::kRead});
  EXPECT_THAT(engine_->Get("a", Noon()), StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_EQ(engine_->stats().damaged_key_count, 0u);
  EXPECT_OK(engine_->Get("a", Noon()));
}

TEST_F(EngineFaultTest, OpenReportsAReadErrorAndSucceedsWhenItIsOver) {
  Open();
  ASSERT_OK(Put("a", "1"));
  ASSERT_OK(Sync());
  engine_.reset();
  fs_.InjectFault({.operation = Operation::kRead, .call = 2});
  EXPECT_THAT(Engine::Open(&fs_, kDirectory, SmallOptions(), &rng_, nullptr),
              StatusIs(absl::StatusCode::kUnavailable));
  Open();
  EXPECT_OK(engine_->Get("a", Noon()));
}

}  // namespace
}  // namespace slipstream::storage

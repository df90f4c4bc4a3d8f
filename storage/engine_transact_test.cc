// Engine::Transact and Snapshot: what preconditions let through, what they refuse, what either
// leaves behind.

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/error_reason.h"
#include "base/random.h"
#include "base/testing/status_matchers.h"
#include "base/version.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/engine.h"
#include "storage/entry.h"
#include "storage/memory_file_system.h"
#include "storage/options.h"
#include "storage/precondition.h"
#include "storage/testing/small_store.h"

namespace slipstream::storage {
namespace {

using base::testing::StatusIs;
using testing::CheckEntriesAgainstLog;
using ::testing::HasSubstr;
using testing::kDirectory;
using testing::Noon;
using testing::SmallOptions;
using Kind = Precondition::Kind;

class EngineTransactTest : public ::testing::Test {
 protected:
  void SetUp() override { Open(); }

  void Open() {
    engine_.reset();
    ASSERT_OK_AND_ASSIGN(engine_, Engine::Open(&fs_, kDirectory, SmallOptions(), &rng_, nullptr));
  }

  base::Version Put(absl::string_view key, absl::string_view value) {
    const Mutation put{.key = key, .value = value};
    const absl::StatusOr<WriteResult> result = engine_->Write({put}, Atomicity::kEach, Noon());
    EXPECT_OK(result);
    return result->versions[0];
  }

  base::Version Delete(absl::string_view key) {
    const Mutation remove{.kind = Mutation::Kind::kDelete, .key = key};
    const absl::StatusOr<WriteResult> result = engine_->Write({remove}, Atomicity::kEach, Noon());
    EXPECT_OK(result);
    return result->versions[0];
  }

  // Takes over a record of another node.
  void Apply(absl::string_view key, base::Hlc hlc, uint64_t expires_at_ms = 0) {
    const Record record{.key = std::string(key),
                        .value = "applied",
                        .version = {.hlc = hlc, .actor = base::ActorId{77}},
                        .sequence = ++sequence_,
                        .expires_at_ms = expires_at_ms};
    ASSERT_OK(engine_->Apply({record}, Atomicity::kEach, Noon()));
  }

  absl::Status Check(const Precondition& precondition, absl::Time now = Noon()) {
    return engine_->Transact({precondition}, {}, now).status();
  }

  std::string Value(absl::string_view key) {
    const absl::StatusOr<ReadResult> read = engine_->Get(key, Noon());
    if (!read.ok()) return read.status().ToString();
    return read->found ? read->value : "absent";
  }

  MemoryFileSystem fs_;
  base::Random rng_{1};
  uint64_t sequence_ = 0;
  std::unique_ptr<Engine> engine_;
};

void ExpectConflict(const absl::Status& status, absl::string_view found) {
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kAborted, HasSubstr(std::string(found))));
  EXPECT_EQ(base::ReasonOf(status), base::kReasonTransactionConflict);
}

TEST_F(EngineTransactTest, AbsentHoldsForWhatNoReadWouldFind) {
  const Precondition absent{.kind = Kind::kAbsent, .key = "key"};
  EXPECT_OK(Check(absent));
  const base::Version version = Put("key", "value");
  ExpectConflict(Check(absent), absl::StrCat("key \"key\" is present, its version ",
                                             base::ToString(version), ": not absent"));
  Delete("key");
  EXPECT_OK(Check(absent));
}

TEST_F(EngineTransactTest, PresentHoldsForWhatAReadWouldFind) {
  const Precondition present{.kind = Kind::kPresent, .key = "key"};
  ExpectConflict(Check(present), "key \"key\" is absent: not present");
  Put("key", "");
  EXPECT_OK(Check(present));
  const base::Version version = Delete("key");
  ExpectConflict(Check(present), absl::StrCat("is absent, its version ", base::ToString(version)));
}

TEST_F(EngineTransactTest, VersionHoldsForTheCurrentRecordAlone) {
  const base::Version first = Put("key", "value");
  Precondition precondition{.kind = Kind::kVersion, .key = "key", .version = first};
  EXPECT_OK(Check(precondition));
  const base::Version second = Put("key", "value");
  ExpectConflict(Check(precondition), base::ToString(second));
  ExpectConflict(Check(precondition), base::ToString(first));
  const base::Version deleted = Delete("key");
  precondition.version = deleted;
  EXPECT_OK(Check(precondition));
  // The version of nothing is no version.
  ExpectConflict(Check({.kind = Kind::kVersion, .key = "never"}), "is absent");
}

TEST_F(EngineTransactTest, ValueHoldsForTheSameBytes) {
  Precondition precondition{.kind = Kind::kValue, .key = "key", .value = ""};
  ExpectConflict(Check(precondition), "is absent: not of the value given");
  Put("key", "");
  EXPECT_OK(Check(precondition));
  Put("key", "value");
  ExpectConflict(Check(precondition), "is present");
  precondition.value = "value";
  EXPECT_OK(Check(precondition));
  Delete("key");
  ExpectConflict(Check(precondition), "is absent");
}

TEST_F(EngineTransactTest, WhatHasExpiredIsAbsent) {
  const absl::Time expiry = Noon() + absl::Seconds(1);
  const base::Version version{.hlc = base::HlcFromTime(Noon()), .actor = base::ActorId{77}};
  Apply("key", version.hlc, static_cast<uint64_t>(absl::ToUnixMillis(expiry)));
  const std::vector<Precondition> present = {
      {.kind = Kind::kPresent, .key = "key"},
      {.kind = Kind::kVersion, .key = "key", .version = version},
      {.kind = Kind::kValue, .key = "key", .value = "applied"}};
  for (const Precondition& precondition : present) {
    EXPECT_OK(Check(precondition, expiry - absl::Milliseconds(1)));
    ExpectConflict(Check(precondition, expiry), "is absent");
  }
  const Precondition absent{.kind = Kind::kAbsent, .key = "key"};
  ExpectConflict(Check(absent, expiry - absl::Milliseconds(1)), "is present");
  EXPECT_OK(Check(absent, expiry));
}

TEST_F(EngineTransactTest, OnePreconditionThatFailsKeepsEverythingFromBeingWritten) {
  Put("guard", "1");
  const Lsn before = engine_->appended_lsn();
  const std::vector<Mutation> mutations = {{.key = "a", .value = "1"}, {.key = "b", .value = "2"}};
  const std::vector<Precondition> holding = {{.kind = Kind::kPresent, .key = "guard"},
                                             {.kind = Kind::kAbsent, .key = "a"}};
  std::vector<Precondition> failing = holding;
  failing.push_back({.kind = Kind::kAbsent, .key = "guard"});
  ExpectConflict(engine_->Transact(failing, mutations, Noon()).status(), "\"guard\"");
  EXPECT_EQ(engine_->appended_lsn(), before);
  EXPECT_EQ(Value("a"), "absent");
  ASSERT_OK_AND_ASSIGN(const WriteResult result, engine_->Transact(holding, mutations, Noon()));
  EXPECT_EQ(result.lsn, before + 3);  // Two puts and their Commit.
  ASSERT_EQ(result.versions.size(), 2u);
  EXPECT_EQ(Value("a"), "1");
  EXPECT_EQ(Value("b"), "2");
  ASSERT_OK(engine_->Flush(Engine::FlushMode::kSync));
  EXPECT_OK(CheckEntriesAgainstLog(*engine_, &fs_));
}

TEST_F(EngineTransactTest, ARefusalLeavesNoGapInTheDots) {
  Put("key", "1");
  const Precondition absent{.kind = Kind::kAbsent, .key = "key"};
  const Mutation put{.key = "key", .value = "2"};
  ExpectConflict(engine_->Transact({absent}, {put}, Noon()).status(), "is present");
  ASSERT_OK_AND_ASSIGN(const WriteResult result, engine_->Transact({}, {put}, Noon()));
  EXPECT_EQ(result.sequences[0], 2u);
}

TEST_F(EngineTransactTest, ComparingAloneWaitsForWhatItComparedToBeDurable) {
  const Precondition present{.kind = Kind::kPresent, .key = "key"};
  Put("key", "value");
  ASSERT_OK_AND_ASSIGN(WriteResult result, engine_->Transact({present}, {}, Noon()));
  EXPECT_EQ(result.lsn, 1u);
  ASSERT_OK(engine_->Flush(Engine::FlushMode::kSync));
  ASSERT_OK_AND_ASSIGN(result, engine_->Transact({present}, {}, Noon()));
  EXPECT_EQ(result.lsn, 0u);
  EXPECT_EQ(engine_->appended_lsn(), 1u);
}

TEST_F(EngineTransactTest, PreconditionsAreBounded) {
  const Limits limits = SmallOptions().limits;
  std::vector<Precondition> many(limits.batch_operations_max,
                                 {.kind = Kind::kAbsent, .key = "key"});
  EXPECT_OK(engine_->Transact(many, {}, Noon()));
  many.push_back(many[0]);
  EXPECT_EQ(base::ReasonOf(engine_->Transact(many, {}, Noon()).status()), base::kReasonBatchSize);
  const std::string value(limits.batch_bytes_max, 'v');
  Precondition large{.kind = Kind::kValue, .key = "k", .value = absl::string_view(value).substr(1)};
  ExpectConflict(Check(large), "is absent");
  large.value = value;
  EXPECT_THAT(Check(large), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("2049")));
  for (const std::string& key : {std::string(), std::string(4097, 'k')}) {
    EXPECT_EQ(base::ReasonOf(Check({.kind = Kind::kAbsent, .key = key})), base::kReasonKeySize);
  }
  const Mutation put{.key = "key", .value = "value"};
  const std::vector<Mutation> twice = {put, put};
  EXPECT_EQ(base::ReasonOf(engine_->Transact({}, twice, Noon()).status()),
            base::kReasonMessageInvalid);
}

TEST_F(EngineTransactTest, ADamagedKeyIsNotComparedWith) {
  Put("key", "value");
  ASSERT_OK(engine_->Flush(Engine::FlushMode::kSync));
  // The last byte of the first frame's only record: header page, frame header, record.
  fs_.FlipBit(absl::StrCat(kDirectory, "/0000000000000001.log"), 4096 + 64 + 87, 1);
  ASSERT_THAT(engine_->Get("key", Noon()), StatusIs(absl::StatusCode::kDataLoss));
  for (const Kind kind : {Kind::kAbsent, Kind::kPresent, Kind::kVersion, Kind::kValue}) {
    const absl::Status status = Check({.kind = kind, .key = "key"});
    EXPECT_THAT(status, StatusIs(absl::StatusCode::kDataLoss, HasSubstr("segment 1")));
    EXPECT_EQ(base::ReasonOf(status), base::kReasonRecordDamaged);
  }
}

TEST_F(EngineTransactTest, ConflictNamesTheStartOfALongKeyInPrintableBytes) {
  const std::string key = absl::StrCat("\n", std::string(100, 'k'));
  const absl::Status status = Check({.kind = Kind::kPresent, .key = key});
  EXPECT_THAT(status.message(),
              HasSubstr(absl::StrCat("key \"\\n", std::string(63, 'k'), "...\" is absent")));
}

TEST_F(EngineTransactTest, SnapshotPartsEarlierWritesFromLaterOnes) {
  const base::Version before = Put("key", "1");
  const base::Hlc snapshot = engine_->Snapshot();
  EXPECT_LE(before.hlc, snapshot);
  EXPECT_GT(Put("key", "2").hlc, snapshot);
  Apply("other", snapshot + 1000);
  EXPECT_GE(engine_->Snapshot(), snapshot + 1000);
}

TEST_F(EngineTransactTest, ApplyCountCountsWhatApplyStoresAndNothingElse) {
  EXPECT_EQ(engine_->apply_count(), 0u);
  Put("key", "1");
  EXPECT_EQ(engine_->apply_count(), 0u);
  Apply("key", 1);  // Older than what is there.
  EXPECT_EQ(engine_->apply_count(), 0u);
  Apply("other", 1);
  EXPECT_EQ(engine_->apply_count(), 1u);
}

}  // namespace
}  // namespace slipstream::storage

// Each checker must see the breach that it is there for.
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "base/random.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "node/replica.h"
#include "storage/engine.h"
#include "storage/entry.h"
#include "storage/memory_file_system.h"
#include "tests/sim/checkers/batch_checker.h"
#include "tests/sim/checkers/checker.h"
#include "tests/sim/checkers/convergence_checker.h"
#include "tests/sim/checkers/final_state_checker.h"
#include "tests/sim/checkers/log_checker.h"
#include "tests/sim/checkers/output_rule_checker.h"
#include "tests/sim/checkers/promise_checker.h"
#include "tests/sim/checkers/version_checker.h"
#include "tests/sim/failure.h"
#include "tests/sim/history.h"
#include "tests/sim/value.h"

namespace slipstream::sim {
namespace {

class CheckersTest : public testing::Test {
 protected:
  void SetUp() override {
    for (size_t index = 0; index < 2; ++index) {
      node::ReplicaOptions options;
      options.storage.limits = {.value_bytes_max = 4096, .batch_bytes_max = 64 << 10};
      options.storage.segment_bytes = 1 << 20;
      disks_.push_back(std::make_unique<storage::MemoryFileSystem>());
      rngs_.push_back(std::make_unique<base::Random>(index));
      auto replica = node::Replica::Open(disks_[index].get(), "data", options, rngs_[index].get());
      ASSERT_OK(replica);
      replicas_.push_back(*std::move(replica));
    }
  }

  // A put of a new operation, as it would be executed by `actor`.
  ExecutedWrite MakePut(const std::string& key, base::Hlc hlc, uint64_t actor = 1) {
    const uint64_t id = history_.Begin(storage::Mutation::Kind::kPut, key);
    ExecutedWrite write{.operation_ids = {id}, .lsn = ++lsn_};
    write.records.push_back({.key = key,
                             .value = MakeValue(id, key, 10),
                             .version = {.hlc = hlc, .actor = base::ActorId{actor}},
                             .sequence = hlc});
    return write;
  }

  void Store(size_t node, const std::vector<storage::Record>& records) {
    EXPECT_OK(replicas_[node]->engine().Apply(records, storage::Atomicity::kEach, now_));
  }

  std::vector<RestingNode> Resting() {
    std::vector<RestingNode> nodes;
    for (size_t index = 0; index < replicas_.size(); ++index) {
      nodes.push_back(
          {.replica = replicas_[index].get(), .disk = disks_[index].get(), .directory = "data"});
    }
    return nodes;
  }

  // The name of the promise that was broken; empty if none was.
  std::string Broken() const {
    return failures_.first().has_value() ? failures_.first()->invariant : "";
  }

  const absl::Time now_ = absl::FromUnixSeconds(1'700'000'000);
  std::vector<std::unique_ptr<storage::MemoryFileSystem>> disks_;
  std::vector<std::unique_ptr<base::Random>> rngs_;
  std::vector<std::unique_ptr<node::Replica>> replicas_;
  History history_;
  FailureLog failures_;
  storage::Lsn lsn_ = 0;
};

TEST_F(CheckersTest, PromiseCheckerSeesAReadGoBack) {
  PromiseChecker checker(&history_, CrashesCost::kNothing, &failures_);
  const ExecutedWrite write = MakePut("a", 100);
  const storage::ReadResult result{
      .found = true, .value = write.records[0].value, .version = write.records[0].version};
  checker.OnRead(0, "a", result);
  checker.OnAcknowledged(0, write);
  checker.OnRead(0, "a", result);
  checker.OnRead(1, "a", {});  // Another node may not have it yet.
  EXPECT_EQ(Broken(), "");
  checker.OnRead(0, "a", {});
  EXPECT_EQ(Broken(), "P4 no way back");
}

TEST_F(CheckersTest, PromiseCheckerSeesAnInventedValue) {
  PromiseChecker checker(&history_, CrashesCost::kNothing, &failures_);
  checker.OnRead(0, "a", {.found = true, .value = "invented", .version = {.hlc = 1}});
  EXPECT_EQ(Broken(), "P2 integrity");
}

TEST_F(CheckersTest, PromiseCheckerSeesAValueThatNobodyAskedToWrite) {
  PromiseChecker checker(&history_, CrashesCost::kNothing, &failures_);
  checker.OnRead(0, "a", {.found = true, .value = MakeValue(77, "a", 5), .version = {.hlc = 1}});
  EXPECT_EQ(Broken(), "P2 integrity");
}

TEST_F(CheckersTest, PromiseCheckerSeesARestartLoseAnAcknowledgedWrite) {
  PromiseChecker checker(&history_, CrashesCost::kNothing, &failures_);
  const ExecutedWrite write = MakePut("a", 100);
  checker.OnAcknowledged(0, write);
  Store(0, write.records);
  checker.OnStarted(0, *replicas_[0]);
  EXPECT_EQ(Broken(), "");
  checker.OnAcknowledged(0, MakePut("a", 101));
  checker.OnStarted(0, *replicas_[0]);
  EXPECT_EQ(Broken(), "P1 durability");
}

TEST_F(CheckersTest, PromiseCheckerExcusesACrashUnderAWeakPolicy) {
  PromiseChecker checker(&history_, CrashesCost::kUnsynced, &failures_);
  checker.OnAcknowledged(0, MakePut("a", 100));
  checker.OnCrashed(0);
  checker.OnStarted(0, *replicas_[0]);
  EXPECT_EQ(Broken(), "");
}

class VersionCheckerTest : public CheckersTest {
 protected:
  VersionChecker checker_{[this] { return now_; }, &failures_};
};

TEST_F(VersionCheckerTest, SeesAVersionThatDoesNotRise) {
  checker_.OnExecuted(0, MakePut("a", 100));
  checker_.OnExecuted(0, MakePut("b", 101));
  EXPECT_EQ(Broken(), "");
  checker_.OnExecuted(0, MakePut("c", 101));
  EXPECT_EQ(Broken(), "P3 versions");
}

TEST_F(VersionCheckerTest, LetsWhatACrashErasedBeGivenAgain) {
  checker_.OnExecuted(0, MakePut("a", 100));
  checker_.OnCrashed(0);
  checker_.OnExecuted(0, MakePut("b", 100));
  EXPECT_EQ(Broken(), "");
  checker_.OnRecordSent(0, MakePut("c", 100).records[0]);
  checker_.OnCrashed(0);
  checker_.OnExecuted(0, MakePut("d", 100));
  EXPECT_EQ(Broken(), "P3 versions");
}

TEST_F(VersionCheckerTest, SeesOneVersionOfTwoRecords) {
  checker_.OnRecordSent(0, MakePut("a", 100).records[0]);
  checker_.OnRecordSent(1, MakePut("b", 100).records[0]);
  EXPECT_EQ(Broken(), "P3 versions");
}

TEST_F(VersionCheckerTest, SeesOneDotOfTwoVersions) {
  storage::Record record = MakePut("a", 100).records[0];
  checker_.OnRecordSent(0, record);
  record.version.hlc = 101;
  checker_.OnRecordSent(0, record);
  EXPECT_EQ(Broken(), "P3 versions");
}

TEST_F(VersionCheckerTest, SeesAVersionFromTheFuture) {
  checker_.OnExecuted(0, MakePut("a", base::HlcFromTime(now_)));
  EXPECT_EQ(Broken(), "");
  checker_.OnExecuted(0, MakePut("a", base::HlcFromTime(now_ + absl::Seconds(1))));
  EXPECT_EQ(Broken(), "P3 versions");
}

TEST_F(CheckersTest, BatchCheckerSeesHalfABatch) {
  BatchChecker checker(&failures_);
  ExecutedWrite batch = MakePut("a", 100);
  batch.records.push_back(MakePut("b", 101).records[0]);
  checker.OnExecuted(0, batch);
  checker.OnStarted(0, *replicas_[0]);
  EXPECT_EQ(Broken(), "") << "none of it is there";
  Store(0, batch.records);
  checker.OnExecuted(0, batch);
  checker.OnStarted(0, *replicas_[0]);
  EXPECT_EQ(Broken(), "") << "all of it is there";
  checker.OnExecuted(1, batch);
  Store(1, {batch.records[1]});
  BatchChecker excused = checker;
  excused.OnDamaged(1);
  excused.OnStarted(1, *replicas_[1]);
  EXPECT_EQ(Broken(), "") << "damage may take a part";
  checker.OnStarted(1, *replicas_[1]);
  EXPECT_EQ(Broken(), "P6 atomicity");
}

class FinalStateCheckerTest : public CheckersTest {
 protected:
  FinalStateChecker checker_{&history_, CrashesCost::kNothing, &failures_};
};

TEST_F(FinalStateCheckerTest, SeesALostWrite) {
  const ExecutedWrite write = MakePut("a", 100);
  checker_.OnAcknowledged(0, write);
  Store(1, write.records);
  checker_.OnQuiesced(Resting());
  EXPECT_EQ(Broken(), "") << "it is somewhere";
  checker_.OnAcknowledged(0, MakePut("b", 101));
  checker_.OnQuiesced(Resting());
  EXPECT_EQ(Broken(), "P1 durability");
}

TEST_F(FinalStateCheckerTest, SeesAReadThatDidNotLast) {
  checker_.OnReadReleased(0, "a", {.version = {.hlc = 5}});
  checker_.OnQuiesced(Resting());
  EXPECT_EQ(Broken(), "P1 durability");
}

TEST_F(FinalStateCheckerTest, SeesTheGreatestSurvivorLose) {
  Store(0, MakePut("a", 100).records);
  checker_.OnHealed(Resting());
  replicas_.clear();  // Whatever happened:
  disks_.clear();
  rngs_.clear();
  SetUp();
  checker_.OnQuiesced(Resting());
  EXPECT_EQ(Broken(), "P1 durability");
}

TEST_F(FinalStateCheckerTest, SeesAResurrection) {
  Store(0, MakePut("a", 100).records);
  ExecutedWrite deletion = MakePut("a", 101);
  deletion.records[0].value.clear();
  deletion.records[0].tombstone = true;
  checker_.OnAcknowledged(1, deletion);
  Store(1, deletion.records);
  checker_.OnQuiesced(Resting());
  EXPECT_EQ(Broken(), "P4 no resurrection");
}

TEST_F(FinalStateCheckerTest, SeesAnInventedRecord) {
  storage::Record record = MakePut("a", 100).records[0];
  record.value = "invented";
  Store(0, {record});
  checker_.OnQuiesced(Resting());
  EXPECT_EQ(Broken(), "P2 integrity");
}

TEST_F(CheckersTest, ConvergenceCheckerSeesADifference) {
  ConvergenceChecker checker(&failures_);
  const ExecutedWrite write = MakePut("a", 100);
  Store(0, write.records);
  Store(1, write.records);
  checker.OnQuiesced(Resting());
  EXPECT_EQ(Broken(), "");
  Store(1, MakePut("b", 101).records);
  checker.OnQuiesced(Resting());
  EXPECT_EQ(Broken(), "P5 convergence");
}

TEST_F(CheckersTest, LogCheckerAcceptsAndFlushesASoundLog) {
  LogChecker checker(&failures_);
  Store(0, MakePut("a", 100).records);
  checker.OnQuiesced(Resting());
  EXPECT_EQ(Broken(), "");
}

TEST_F(CheckersTest, OutputRuleCheckerSeesWhatLeavesTooEarly) {
  storage::Lsn durable = 0;
  OutputRuleChecker checker([&durable](size_t) { return durable; }, &failures_);
  const ExecutedWrite write = MakePut("a", 100);
  checker.OnExecuted(0, write);
  checker.OnRecordSent(1, write.records[0]);
  durable = write.lsn;
  checker.OnAcknowledged(0, write);
  EXPECT_EQ(Broken(), "");
  durable = write.lsn - 1;
  checker.OnRecordSent(0, write.records[0]);
  EXPECT_EQ(Broken(), "P1 output rule");
}

TEST_F(CheckersTest, OutputRuleCheckerSeesAReadThatLeavesTooEarly) {
  OutputRuleChecker checker([](size_t) { return storage::Lsn{0}; }, &failures_);
  const ExecutedWrite write = MakePut("a", 100);
  checker.OnExecuted(0, write);
  checker.OnReadReleased(0, "a", {.found = true, .version = write.records[0].version});
  EXPECT_EQ(Broken(), "P1 output rule");
}

}  // namespace
}  // namespace slipstream::sim

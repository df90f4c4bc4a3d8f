#include "storage/transaction.h"

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
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
using ::testing::HasSubstr;
using testing::kDirectory;
using testing::Noon;
using testing::SmallOptions;

class TransactionTest : public ::testing::Test {
 protected:
  void SetUp() override { Open(); }

  void Open() {
    ASSERT_OK_AND_ASSIGN(engine_, Engine::Open(&fs_, kDirectory, options_, &rng_, nullptr));
  }

  Transaction Begin() { return Transaction::Begin(engine_.get(), Noon()); }

  void Write(const std::vector<Mutation>& mutations) {
    ASSERT_OK(engine_->Write(mutations, Atomicity::kAll, Noon()));
  }
  void Put(absl::string_view key, absl::string_view value) {
    Write({{.key = key, .value = value}});
  }
  void Delete(absl::string_view key) { Write({{.kind = Mutation::Kind::kDelete, .key = key}}); }

  // Takes over what another node wrote at `hlc`, all of it together.
  void Apply(const std::vector<std::string>& keys, absl::string_view value, base::Hlc hlc,
             uint64_t expires_at_ms = 0) {
    std::vector<Record> records;
    for (const std::string& key : keys) {
      records.push_back({.key = key,
                         .value = std::string(value),
                         .version = {.hlc = hlc, .actor = base::ActorId{77}},
                         .sequence = ++sequence_,
                         .expires_at_ms = expires_at_ms});
    }
    ASSERT_OK(engine_->Apply(records, Atomicity::kAll, Noon()));
  }

  // What `transaction`, or the engine, reads.
  static std::string Value(const absl::StatusOr<ReadResult>& read) {
    if (!read.ok()) return read.status().ToString();
    return read->found ? read->value : "absent";
  }
  std::string Value(absl::string_view key) { return Value(engine_->Get(key, Noon())); }

  MemoryFileSystem fs_;
  base::Random rng_{1};
  Options options_ = SmallOptions();
  uint64_t sequence_ = 0;
  std::unique_ptr<Engine> engine_;
};

void ExpectConflict(const absl::Status& status, absl::string_view key) {
  EXPECT_THAT(status,
              StatusIs(absl::StatusCode::kAborted, HasSubstr(absl::StrCat("\"", key, "\""))));
  EXPECT_EQ(base::ReasonOf(status), base::kReasonTransactionConflict);
}

void ExpectTooLarge(const absl::Status& status, absl::string_view what) {
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr(what)));
  EXPECT_EQ(base::ReasonOf(status), base::kReasonTransactionSize);
}

void ExpectOver(Transaction& transaction) {
  EXPECT_THAT(transaction.Get("key"), StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(transaction.Put("key", ""), StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(transaction.Delete("key"), StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(transaction.Commit(Noon()), StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST_F(TransactionTest, CommitsWhatItReadAndWrote) {
  Put("from", "10");
  Put("to", "1");
  Transaction transaction = Begin();
  EXPECT_EQ(Value(transaction.Get("from")), "10");
  EXPECT_EQ(Value(transaction.Get("to")), "1");
  ASSERT_OK(transaction.Put("from", "7"));
  ASSERT_OK(transaction.Put("to", "4"));
  ASSERT_OK(transaction.Delete("lock"));
  ASSERT_OK_AND_ASSIGN(const WriteResult result, transaction.Commit(Noon()));
  EXPECT_EQ(result.versions.size(), 3u);
  EXPECT_EQ(result.lsn, 2u + 3u + 1u);  // The writes before, its own, its Commit.
  EXPECT_EQ(Value("from"), "7");
  EXPECT_EQ(Value("to"), "4");
  ExpectOver(transaction);
}

TEST_F(TransactionTest, APutExpiresAndTheLastOneOfAKeyCounts) {
  const auto noon_ms = static_cast<uint64_t>(absl::ToUnixMillis(Noon()));
  Transaction transaction = Begin();
  ASSERT_OK(transaction.Put("later", "1", noon_ms + 1));
  ASSERT_OK(transaction.Put("over", "2", noon_ms));
  ASSERT_OK(transaction.Put("kept", "3", noon_ms + 1));
  ASSERT_OK(transaction.Put("kept", "4"));
  // As of Begin, like all that it reads.
  ASSERT_OK_AND_ASSIGN(const ReadResult own, transaction.Get("later"));
  EXPECT_EQ(own.value, "1");
  EXPECT_EQ(own.expires_at_ms, noon_ms + 1);
  ASSERT_OK_AND_ASSIGN(const ReadResult over, transaction.Get("over"));
  EXPECT_FALSE(over.found);
  EXPECT_EQ(over.value, "");
  EXPECT_EQ(transaction.Get("kept")->expires_at_ms, 0u);
  ASSERT_OK(transaction.Commit(Noon()));
  EXPECT_EQ(engine_->Get("later", Noon())->expires_at_ms, noon_ms + 1);
  EXPECT_FALSE(engine_->Get("later", Noon() + absl::Milliseconds(1))->found);
  EXPECT_EQ(Value("over"), "absent");
  EXPECT_TRUE(engine_->Get("kept", absl::InfiniteFuture())->found);
}

TEST_F(TransactionTest, SeesItsOwnWritesAndNobodyElseDoes) {
  Put("key", "old");
  Transaction transaction = Begin();
  ASSERT_OK(transaction.Put("key", "mine"));
  EXPECT_EQ(Value(transaction.Get("key")), "mine");
  EXPECT_EQ(Value("key"), "old");
  ASSERT_OK(transaction.Delete("key"));
  EXPECT_EQ(Value(transaction.Get("key")), "absent");
  ASSERT_OK(transaction.Put("key", "last"));
  ASSERT_OK(transaction.Commit(Noon()));
  EXPECT_EQ(Value("key"), "last");
}

TEST_F(TransactionTest, RollbackLeavesNothing) {
  {
    Transaction transaction = Begin();
    ASSERT_OK(transaction.Put("key", "value"));
    transaction.Rollback();
    ExpectOver(transaction);
    transaction.Rollback();
    Transaction forgotten = Begin();
    ASSERT_OK(forgotten.Put("key", "value"));
  }
  EXPECT_EQ(Value("key"), "absent");
  EXPECT_EQ(engine_->appended_lsn(), 0u);
}

TEST_F(TransactionTest, WriteThatWasReadConflictsAtCommit) {
  for (const bool deletes : {false, true}) {
    Put("key", "1");
    Transaction transaction = Begin();
    EXPECT_EQ(Value(transaction.Get("key")), "1");
    ASSERT_OK(transaction.Put("other", "mine"));
    if (deletes) {
      Delete("key");
    } else {
      Put("key", "1");  // The same value is another version all the same.
    }
    ExpectConflict(transaction.Commit(Noon()).status(), "key");
    EXPECT_EQ(Value("other"), "absent");
    ExpectOver(transaction);
  }
}

TEST_F(TransactionTest, KeyThatWasReadAsAbsentConflictsWhenItAppears) {
  Transaction transaction = Begin();
  EXPECT_EQ(Value(transaction.Get("key")), "absent");
  ASSERT_OK(transaction.Put("key", "mine"));
  Put("key", "theirs");
  ExpectConflict(transaction.Commit(Noon()).status(), "key");
  EXPECT_EQ(Value("key"), "theirs");
}

TEST_F(TransactionTest, BlindWritesConflictWithNobody) {
  Transaction transaction = Begin();
  ASSERT_OK(transaction.Put("key", "mine"));
  Put("key", "theirs");
  ASSERT_OK(transaction.Commit(Noon()));
  EXPECT_EQ(Value("key"), "mine");
}

TEST_F(TransactionTest, WriteSkewIsNotSerializableAndRefused) {
  Put("a", "on call");
  Put("b", "on call");
  Transaction left = Begin();
  Transaction right = Begin();
  for (Transaction* transaction : {&left, &right}) {
    EXPECT_EQ(Value(transaction->Get("a")), "on call");
    EXPECT_EQ(Value(transaction->Get("b")), "on call");
  }
  ASSERT_OK(left.Delete("a"));
  ASSERT_OK(right.Delete("b"));
  ASSERT_OK(left.Commit(Noon()));
  ExpectConflict(right.Commit(Noon()).status(), "a");
}

TEST_F(TransactionTest, ReadingWhatIsNewerThanTheBeginningIsAConflictAtOnce) {
  Put("a", "1");
  Put("b", "1");
  Transaction transaction = Begin();
  EXPECT_EQ(Value(transaction.Get("a")), "1");
  Write({{.key = "a", .value = "2"}, {.key = "b", .value = "2"}});
  ExpectConflict(transaction.Get("b").status(), "b");
  ExpectOver(transaction);
}

TEST_F(TransactionTest, DeletionAfterTheBeginningIsSeenAsOne) {
  Put("key", "1");
  Transaction transaction = Begin();
  Delete("key");
  ExpectConflict(transaction.Get("key").status(), "key");
}

TEST_F(TransactionTest, ReadOnlyOnesAreValidatedToo) {
  Put("a", "1");
  Transaction transaction = Begin();
  EXPECT_EQ(Value(transaction.Get("a")), "1");
  Put("a", "2");
  ExpectConflict(transaction.Commit(Noon()).status(), "a");
  Transaction undisturbed = Begin();
  EXPECT_EQ(Value(undisturbed.Get("a")), "2");
  ASSERT_OK_AND_ASSIGN(const WriteResult result, undisturbed.Commit(Noon()));
  EXPECT_EQ(result.lsn, 2u);  // Of what it read, which is not durable.
}

// Records of other nodes arrive with versions below the snapshot: the HLC does not tell them.
TEST_F(TransactionTest, RecordsAppliedBelowTheSnapshotAreNotMixedWithOlderReads) {
  Apply({"later"}, "", 300);
  Apply({"a", "b"}, "1", 100);
  Transaction transaction = Begin();
  EXPECT_EQ(Value(transaction.Get("a")), "1");
  Apply({"a", "b"}, "2", 200);
  ExpectConflict(transaction.Get("b").status(), "a");
  ExpectOver(transaction);
}

TEST_F(TransactionTest, RecordsAppliedBelowTheSnapshotAreSeenIfNothingReadContradictsThem) {
  Apply({"later"}, "", 300);
  Apply({"a", "b"}, "1", 100);
  Transaction transaction = Begin();
  EXPECT_EQ(Value(transaction.Get("c")), "absent");
  Apply({"a", "b"}, "2", 200);
  EXPECT_EQ(Value(transaction.Get("a")), "2");
  EXPECT_EQ(Value(transaction.Get("b")), "2");
  EXPECT_OK(transaction.Commit(Noon()));
}

TEST_F(TransactionTest, RecordAppliedToWhatWasReadConflictsAtCommit) {
  Apply({"later"}, "", 300);
  Transaction transaction = Begin();
  EXPECT_EQ(Value(transaction.Get("a")), "absent");
  Apply({"a"}, "1", 200);
  ExpectConflict(transaction.Commit(Noon()).status(), "a");
}

TEST_F(TransactionTest, WhatWasReadAndExpiredMeanwhileConflicts) {
  const absl::Time expiry = Noon() + absl::Seconds(1);
  Apply({"key"}, "lease", 100, static_cast<uint64_t>(absl::ToUnixMillis(expiry)));
  for (const bool expired : {false, true}) {
    Transaction transaction = Begin();
    EXPECT_EQ(Value(transaction.Get("key")), "lease");
    ASSERT_OK(transaction.Put("owner", "me"));
    const absl::Status status =
        transaction.Commit(expired ? expiry : expiry - absl::Milliseconds(1)).status();
    if (expired) {
      ExpectConflict(status, "key");
    } else {
      EXPECT_OK(status);
    }
  }
}

TEST_F(TransactionTest, OperationsAreBounded) {
  const Limits limits = SmallOptions().limits;
  Transaction transaction = Begin();
  for (size_t i = 0; i < limits.batch_operations_max; ++i) {
    EXPECT_EQ(Value(transaction.Get(absl::StrCat("key", i))), "absent");
  }
  for (size_t i = 0; i < limits.transaction_operations_max; ++i) {
    ASSERT_OK(transaction.Put(absl::StrCat("key", i), ""));
  }
  EXPECT_EQ(transaction.operation_count(),
            limits.batch_operations_max + limits.transaction_operations_max);
  ExpectTooLarge(transaction.Put("one more", ""), "101 writes, more than 100");
  ExpectTooLarge(transaction.Delete("one more"), "101 writes, more than 100");
  ExpectTooLarge(transaction.Get("one more").status(), "9 keys read, more than 8");
  // What is there already costs no more, and the refusals had no effect.
  EXPECT_OK(transaction.Put("key0", "v"));
  EXPECT_OK(transaction.Get("key0"));
  EXPECT_OK(transaction.Commit(Noon()));
}

TEST_F(TransactionTest, BytesAreBounded) {
  const Limits limits = SmallOptions().limits;
  const std::string value(limits.value_bytes_max - 1, 'v');
  Transaction transaction = Begin();
  for (char key = 'a'; key <= 'p'; ++key) ASSERT_OK(transaction.Put(std::string(1, key), value));
  EXPECT_EQ(transaction.byte_count(), limits.transaction_bytes_max);
  ExpectTooLarge(transaction.Put("a", value + "v"), "16385 bytes of keys and values written");
  ASSERT_OK(transaction.Put("a", ""));
  EXPECT_OK(transaction.Put("b", value + "v"));
  EXPECT_OK(transaction.Commit(Noon()));
  EXPECT_EQ(Value("a"), "");
  EXPECT_EQ(Value("b"), value + "v");
}

TEST_F(TransactionTest, BytesOfKeysReadAreBounded) {
  Transaction transaction = Begin();
  const std::string key(1000, 'k');
  ASSERT_OK(transaction.Get(key + "1"));
  ASSERT_OK(transaction.Get(key + "2"));
  ExpectTooLarge(transaction.Get(key + "3").status(), "3003 bytes of keys read, more than 2048");
  EXPECT_OK(transaction.Get(key + "1"));
  EXPECT_OK(transaction.Commit(Noon()));
}

TEST_F(TransactionTest, RefusedKeysAndValuesHaveNoEffect) {
  const Limits limits = SmallOptions().limits;
  Transaction transaction = Begin();
  for (const std::string& key : {std::string(), std::string(limits.key_bytes_max + 1, 'k')}) {
    EXPECT_EQ(base::ReasonOf(transaction.Put(key, "")), base::kReasonKeySize);
    EXPECT_EQ(base::ReasonOf(transaction.Delete(key)), base::kReasonKeySize);
  }
  EXPECT_EQ(base::ReasonOf(transaction.Get("").status()), base::kReasonKeySize);
  EXPECT_EQ(base::ReasonOf(transaction.Put("key", std::string(limits.value_bytes_max + 1, 'v'))),
            base::kReasonValueSize);
  EXPECT_OK(transaction.Put(std::string(limits.key_bytes_max, 'k'),
                            std::string(limits.value_bytes_max, 'v')));
  ASSERT_OK_AND_ASSIGN(const WriteResult result, transaction.Commit(Noon()));
  EXPECT_EQ(result.versions.size(), 1u);
}

TEST_F(TransactionTest, CommitWithHandsOverWhatWasReadAndWritten) {
  Put("read", "1");
  Transaction transaction = Begin();
  ASSERT_OK(transaction.Get("read"));
  ASSERT_OK(transaction.Get("absent"));
  ASSERT_OK(transaction.Put("b", "2"));
  ASSERT_OK(transaction.Delete("a"));
  int call_count = 0;
  const absl::StatusOr<WriteResult> result =
      transaction.CommitWith([&](absl::Span<const Precondition> preconditions,
                                 absl::Span<const Mutation> mutations, WriteStream*) {
        ++call_count;
        EXPECT_EQ(preconditions.size(), 2u);
        EXPECT_EQ(preconditions[0].kind, Precondition::Kind::kAbsent);
        EXPECT_EQ(preconditions[1].kind, Precondition::Kind::kVersion);
        EXPECT_EQ(mutations.size(), 2u);
        EXPECT_EQ(mutations[0].kind, Mutation::Kind::kDelete);
        EXPECT_EQ(mutations[1].value, "2");
        return absl::StatusOr<WriteResult>(absl::UnavailableError("disk"));
      });
  EXPECT_THAT(result, StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_EQ(call_count, 1);
  ExpectOver(transaction);
}

// Small enough that three writes are more than it holds.
class StreamedTransactionTest : public TransactionTest {
 protected:
  StreamedTransactionTest() { options_.limits.transaction_buffer_bytes = 2048; }
};

TEST_F(StreamedTransactionTest, WhatOutgrowsTheBufferGoesToTheLogAndIsReadFromThere) {
  const std::string value(900, 'v');
  const Lsn lsn_before = engine_->appended_lsn();
  Transaction transaction = Begin();
  ASSERT_OK(transaction.Put("a", value));
  ASSERT_OK(transaction.Put("b", value));
  EXPECT_EQ(engine_->appended_lsn(), lsn_before);
  ASSERT_OK(transaction.Put("c", value));
  EXPECT_EQ(engine_->appended_lsn(), lsn_before + 3);
  EXPECT_LT(transaction.byte_count(), 3 * 200u);
  EXPECT_EQ(Value("a"), "absent");
  EXPECT_EQ(Value(transaction.Get("a")), value);
  // The last write of a key counts, wherever the others are.
  ASSERT_OK(transaction.Put("a", "again"));
  ASSERT_OK(transaction.Delete("b"));
  EXPECT_EQ(Value(transaction.Get("a")), "again");
  EXPECT_EQ(Value(transaction.Get("b")), "absent");
  EXPECT_EQ(Value(transaction.Get("c")), value);
  ASSERT_OK_AND_ASSIGN(const WriteResult result, transaction.Commit(Noon()));
  ASSERT_EQ(result.versions.size(), 3u);
  EXPECT_EQ(result.applied_count, 3u);
  EXPECT_EQ(Value("a"), "again");
  EXPECT_EQ(Value("b"), "absent");
  EXPECT_EQ(Value("c"), value);
  int index = 0;
  for (const char* const key : {"a", "b", "c"}) {
    ASSERT_OK_AND_ASSIGN(const ReadResult read, engine_->Get(key, Noon()));
    EXPECT_EQ(read.version, result.versions[static_cast<size_t>(index++)]) << key;
  }
  ExpectOver(transaction);
}

TEST_F(StreamedTransactionTest, ItIsBoundedByWhatItStreamedAndByWhatItHolds) {
  const std::string value(1000, 'v');
  Transaction transaction = Begin();
  for (int i = 0; i < 16; ++i) ASSERT_OK(transaction.Put("k", value));  // One key in memory.
  for (char key = 'a'; key <= 'o'; ++key) ASSERT_OK(transaction.Put(std::string(1, key), value));
  ExpectTooLarge(transaction.Put("p", value),
                 "17017 bytes of keys and values written, more than 16384");
  // What was streamed stays in the log, whatever takes its place.
  ExpectTooLarge(transaction.Put("a", value.substr(0, 400)), "16417 bytes");
  EXPECT_OK(transaction.Put("a", ""));
  EXPECT_OK(transaction.Commit(Noon()));
  EXPECT_EQ(Value("o"), value);
  EXPECT_EQ(Value("a"), "");
}

TEST_F(StreamedTransactionTest, AConflictOrARollbackLeavesNothing) {
  const std::string value(1000, 'v');
  {
    Transaction transaction = Begin();
    ASSERT_OK(transaction.Get("read"));
    for (char key = 'a'; key <= 'e'; ++key) ASSERT_OK(transaction.Put(std::string(1, key), value));
    Put("read", "by another");
    EXPECT_THAT(transaction.Commit(Noon()), StatusIs(absl::StatusCode::kAborted));
    ExpectOver(transaction);
  }
  {
    Transaction transaction = Begin();
    for (char key = 'a'; key <= 'e'; ++key) ASSERT_OK(transaction.Put(std::string(1, key), value));
  }
  for (char key = 'a'; key <= 'e'; ++key) EXPECT_EQ(Value(std::string(1, key)), "absent");
}

TEST_F(StreamedTransactionTest, CommitWithHandsOverTheStream) {
  Transaction transaction = Begin();
  for (char key = 'a'; key <= 'c'; ++key) {
    ASSERT_OK(transaction.Put(std::string(1, key), std::string(1000, 'v')));
  }
  ASSERT_OK(transaction.Put("d", "small"));
  const absl::StatusOr<WriteResult> result =
      transaction.CommitWith([&](absl::Span<const Precondition> preconditions,
                                 absl::Span<const Mutation> mutations, WriteStream* stream) {
        EXPECT_TRUE(preconditions.empty());
        EXPECT_TRUE(mutations.empty());
        EXPECT_NE(stream, nullptr);
        EXPECT_EQ(stream->records.size(), 4u);
        return absl::StatusOr<WriteResult>(absl::UnavailableError("disk"));
      });
  EXPECT_THAT(result, StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_EQ(Value("a"), "absent");
  ExpectOver(transaction);
}

}  // namespace
}  // namespace slipstream::storage

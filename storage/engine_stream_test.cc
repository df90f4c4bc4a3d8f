// Streamed transactions: nobody sees a write before its Commit, a crash leaves all or none of them,
// and what keeps it so when checkpoints, compaction, damage and a full disk come between.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/key_id.h"
#include "base/random.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/engine.h"
#include "storage/entry.h"
#include "storage/file_system.h"
#include "storage/frame.h"
#include "storage/index_file.h"
#include "storage/memory_file_system.h"
#include "storage/options.h"
#include "storage/precondition.h"
#include "storage/run_format.h"
#include "storage/scrub_progress.h"
#include "storage/segment.h"
#include "storage/testing/small_store.h"
#include "storage/write_stream.h"

namespace slipstream::storage {
namespace {

using base::testing::StatusIs;
using testing::AllEntries;
using testing::CheckEntriesAgainstLog;
using ::testing::HasSubstr;
using testing::kDirectory;
using testing::Noon;
using testing::SmallOptions;

Options UncompressedColdOptions() {
  Options options = testing::ColdOptions();
  options.compression = Compression::kNone;
  return options;
}

// Values of 1,000 bytes, three to a frame, nine to a segment.
class EngineStreamTest : public ::testing::Test {
 protected:
  EngineStreamTest() { options_.compression = Compression::kNone; }

  void SetUp() override { Open(); }

  void Open() {
    stream_.reset();
    engine_.reset();
    ASSERT_OK_AND_ASSIGN(engine_, Engine::Open(&fs_, kDirectory, options_, &rng_, nullptr));
  }

  // Dies and starts anew, all that was written out still there.
  void Restart() {
    stream_.reset();
    engine_.reset();
    fs_.Kill();
    Open();
  }

  // Streams key<first> to key<end - 1>.
  absl::Status Stream(int first, int end, char letter) {
    if (stream_ == nullptr) stream_ = std::make_unique<WriteStream>(engine_.get());
    const std::string value(1000, letter);
    std::vector<std::string> keys;
    for (int i = first; i < end; ++i) keys.push_back(absl::StrCat("key", i));
    std::vector<Mutation> mutations;
    for (const std::string& key : keys) mutations.push_back({.key = key, .value = value});
    return engine_->Stream(mutations, *stream_);
  }

  absl::StatusOr<WriteResult> Commit(absl::Span<const Precondition> preconditions = {}) {
    absl::StatusOr<WriteResult> result = engine_->CommitStream(preconditions, *stream_, Noon());
    if (result.ok()) stream_.reset();
    return result;
  }

  absl::StatusOr<WriteResult> Put(absl::string_view key, absl::string_view value) {
    return engine_->Write({Mutation{.key = key, .value = value}}, Atomicity::kEach, Noon());
  }

  void Sync() { ASSERT_OK(engine_->Flush(Engine::FlushMode::kSync)); }

  // Fills a segment with records of no interest, which replace each other, a page each.
  void FillSegment() {
    for (int i = 0; i < 3; ++i) {
      ASSERT_OK(Put("filler", std::string(900, 'f')));
      Sync();
      ASSERT_OK(engine_->Maintain());
    }
  }

  void Settle() {
    for (int step = 0; step < 10'000; ++step) {
      const absl::StatusOr<bool> more = engine_->Maintain();
      ASSERT_OK(more);
      if (!*more) return;
    }
    FAIL() << "maintenance does not come to rest";
  }

  // The first letters of the values of key0 to key<count - 1>; '-': absent, '!': an error.
  std::string Letters(int count) {
    std::string letters;
    for (int i = 0; i < count; ++i) {
      const absl::StatusOr<ReadResult> read = engine_->Get(absl::StrCat("key", i), Noon());
      letters += !read.ok() ? '!' : read->found ? read->value[0] : '-';
    }
    return letters;
  }

  bool HasSegment(uint64_t number) {
    return fs_.Open(JoinPath(kDirectory, SegmentFileName(number)), OpenMode::kRead).ok();
  }

  void RemoveDerivedFiles() {
    ASSERT_OK_AND_ASSIGN(const std::vector<std::string> names, fs_.ListDirectory(kDirectory));
    for (const std::string& name : names) {
      const bool is_derived = name == kIndexFileName || ParseRunFileName(name).has_value();
      if (is_derived) ASSERT_OK(fs_.Remove(JoinPath(kDirectory, name)));
    }
  }

  MemoryFileSystem fs_;
  base::Random rng_{1};
  Options options_ = SmallOptions();
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<WriteStream> stream_;
};

TEST_F(EngineStreamTest, NobodySeesItBeforeItsCommitAndThenAllOfIt) {
  ASSERT_OK(Put("key1", "old"));
  ASSERT_OK(Stream(0, 12, 'a'));
  EXPECT_EQ(Letters(12), "-o----------");
  Sync();
  EXPECT_EQ(Letters(12), "-o----------");
  EXPECT_EQ(AllEntries(*engine_).size(), 1u);
  ASSERT_OK_AND_ASSIGN(const ReadResult own, engine_->ReadStreamed(stream_->records[1]));
  EXPECT_EQ(own.value, std::string(1000, 'a'));
  ASSERT_OK_AND_ASSIGN(const WriteResult result, Commit());
  EXPECT_EQ(result.applied_count, 12u);
  EXPECT_EQ(Letters(12), "aaaaaaaaaaaa");
  Sync();
  EXPECT_EQ(engine_->durable_lsn(), result.lsn);
  Restart();
  EXPECT_EQ(Letters(12), "aaaaaaaaaaaa");
  EXPECT_OK(CheckEntriesAgainstLog(*engine_, &fs_));
}

TEST_F(EngineStreamTest, OthersMayWriteBetweenItsWrites) {
  ASSERT_OK(Stream(0, 3, 'a'));
  ASSERT_OK(Put("key1", "between"));
  ASSERT_OK(Put("key7", "between"));
  ASSERT_OK(Stream(3, 6, 'a'));
  ASSERT_OK(Commit());
  EXPECT_EQ(Letters(8), "aaaaaa-b");  // Its versions are those of its Commit.
  ASSERT_OK(Put("key2", "later"));
  EXPECT_EQ(Letters(8), "aalaaa-b");
  Sync();
  Restart();
  EXPECT_EQ(Letters(8), "aalaaa-b");
  EXPECT_OK(CheckEntriesAgainstLog(*engine_, &fs_));
}

TEST_F(EngineStreamTest, TheLastWriteOfAKeyCounts) {
  ASSERT_OK(Stream(0, 2, 'a'));
  ASSERT_OK(Stream(0, 1, 'b'));
  const Mutation remove{.kind = Mutation::Kind::kDelete, .key = "key1"};
  ASSERT_OK(engine_->Stream({remove}, *stream_));
  ASSERT_OK_AND_ASSIGN(const WriteResult result, Commit());
  ASSERT_EQ(result.versions.size(), 4u);
  for (size_t i = 1; i < 4; ++i) EXPECT_LT(result.versions[i - 1], result.versions[i]);
  EXPECT_EQ(Letters(2), "b-");
  Sync();
  Restart();
  EXPECT_EQ(Letters(2), "b-");
  ASSERT_OK_AND_ASSIGN(const Record record,
                       engine_->GetRecord(base::KeyIdOf("key0"), /*lsn=*/nullptr));
  EXPECT_EQ(record.version, result.versions[2]);
  EXPECT_EQ(record.sequence, result.sequences[2]);
}

TEST_F(EngineStreamTest, WithoutACommitNothingOfItIsLeftAndNoDotIsMissing) {
  ASSERT_OK(Stream(0, 3, 'a'));
  stream_.reset();
  ASSERT_OK(Stream(0, 12, 'b'));
  Sync();
  Restart();
  EXPECT_EQ(Letters(12), "------------");
  EXPECT_FALSE(engine_->recovery_report().tail_cut);
  ASSERT_OK_AND_ASSIGN(const WriteResult result, Put("key0", "c"));
  EXPECT_EQ(result.sequences[0], 1u);
  // A new stream may not take up what an old one has left.
  ASSERT_OK(Stream(1, 2, 'd'));
  ASSERT_OK(Commit());
  EXPECT_EQ(Letters(12), "cd----------");
  Sync();
  Restart();
  EXPECT_EQ(Letters(12), "cd----------");
  EXPECT_OK(CheckEntriesAgainstLog(*engine_, &fs_));
}

TEST_F(EngineStreamTest, ACrashBeforeItsCommitIsDurableLeavesNothing) {
  ASSERT_OK(Put("key0", "old"));
  ASSERT_OK(Stream(0, 12, 'a'));
  Sync();
  ASSERT_OK(Commit());
  EXPECT_EQ(Letters(2), "aa");
  Restart();
  EXPECT_EQ(Letters(3), "o--");
}

// Its records are durable long before.
TEST_F(EngineStreamTest, ReadsOfItWaitForItsCommitToBeDurable) {
  ASSERT_OK(Stream(0, 12, 'a'));
  Sync();
  ASSERT_OK_AND_ASSIGN(const WriteResult result, Commit());
  const absl::string_view key = "key0";
  ASSERT_OK_AND_ASSIGN(ReadResult read, engine_->Get(key, Noon()));
  EXPECT_EQ(read.lsn, result.lsn);
  EXPECT_EQ(engine_->GetMany({key}, Noon(), 1 << 20)[0]->lsn, result.lsn);
  Lsn lsn = 0;
  ASSERT_OK(engine_->GetRecord(base::KeyIdOf(key), &lsn));
  EXPECT_EQ(lsn, result.lsn);
  const Precondition present{.kind = Precondition::Kind::kPresent, .key = key};
  ASSERT_OK_AND_ASSIGN(const WriteResult compared, engine_->Transact({present}, {}, Noon()));
  EXPECT_EQ(compared.lsn, result.lsn);
  Sync();
  ASSERT_OK_AND_ASSIGN(read, engine_->Get(key, Noon()));
  EXPECT_EQ(read.lsn, 0u);
}

TEST_F(EngineStreamTest, AConflictLeavesItOpen) {
  ASSERT_OK(Put("read", "1"));
  ASSERT_OK(Stream(0, 2, 'a'));
  const Precondition absent{.kind = Precondition::Kind::kAbsent, .key = "read"};
  EXPECT_THAT(Commit({absent}), StatusIs(absl::StatusCode::kAborted));
  EXPECT_EQ(Letters(2), "--");
  ASSERT_OK(Commit());
  EXPECT_EQ(Letters(2), "aa");
}

TEST_F(EngineStreamTest, IsBoundedAndWhatIsOverStaysSo) {
  options_.limits.transaction_operations_max = 10;
  Open();
  ASSERT_OK(Stream(0, 10, 'a'));
  EXPECT_THAT(Stream(10, 11, 'a'), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("1 op")));
  ASSERT_OK(engine_->CommitStream({}, *stream_, Noon()));
  EXPECT_THAT(Stream(10, 11, 'a'), StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(engine_->CommitStream({}, *stream_, Noon()),
              StatusIs(absl::StatusCode::kFailedPrecondition));
  engine_->RollBackStream(*stream_);
  EXPECT_EQ(Letters(11), "aaaaaaaaaa-");
  stream_.reset();
  ASSERT_OK(Stream(0, 0, 'a'));  // Nothing.
  EXPECT_OK(Commit());
}

TEST_F(EngineStreamTest, ACheckpointBeforeItsCommitKnowsNothingOfIt) {
  options_ = UncompressedColdOptions();
  Open();
  ASSERT_OK(Stream(0, 12, 'a'));
  FillSegment();
  FillSegment();
  Settle();
  ASSERT_GT(engine_->stats().checkpoint_count, 0u);
  const uint64_t dead_bytes = engine_->stats().dead_bytes;
  EXPECT_GT(dead_bytes, 12u * 1000u);
  ASSERT_OK(Commit());
  EXPECT_LE(engine_->stats().dead_bytes + 9u * 1000u, dead_bytes);
  Sync();
  Restart();
  EXPECT_EQ(Letters(12), "aaaaaaaaaaaa");
  EXPECT_OK(CheckEntriesAgainstLog(*engine_, &fs_));
  RemoveDerivedFiles();
  Restart();
  EXPECT_EQ(Letters(12), "aaaaaaaaaaaa");
}

TEST_F(EngineStreamTest, CompactionLeavesItAloneUntilItIsOver) {
  ASSERT_OK(Stream(0, 12, 'a'));
  Sync();
  for (int i = 0; i < 5; ++i) FillSegment();
  Settle();
  EXPECT_GT(engine_->stats().compacted_segment_count, 0u);
  EXPECT_TRUE(HasSegment(1));  // All that stands there counts as dead.
  ASSERT_OK(Commit());
  EXPECT_EQ(Letters(12), "aaaaaaaaaaaa");
  Sync();
  Restart();
  EXPECT_EQ(Letters(12), "aaaaaaaaaaaa");

  ASSERT_OK(Stream(0, 12, 'b'));
  stream_.reset();
  for (int i = 0; i < 5; ++i) FillSegment();
  Settle();
  EXPECT_EQ(Letters(12), "aaaaaaaaaaaa");
  // What was rolled back takes no space for long.
  EXPECT_LE(engine_->stats().dead_bytes, 3 * options_.segment_bytes);
}

// A start without a checkpoint needs the Commit as long as a record stands where it was streamed.
TEST_F(EngineStreamTest, CompactionTakesTheCommitAlongBeforeItsRecords) {
  options_.compaction_dead_share = 0.5;
  Open();
  ASSERT_OK(Stream(0, 9, 'a'));  // Segment 1, whole: the page of its header is a quarter of it.
  Sync();
  FillSegment();
  ASSERT_OK(Commit());
  Sync();
  for (int i = 0; i < 8; ++i) FillSegment();
  Settle();
  ASSERT_TRUE(HasSegment(1));
  for (uint64_t number = 2; number < 6; ++number) ASSERT_FALSE(HasSegment(number)) << number;
  EXPECT_OK(CheckEntriesAgainstLog(*engine_, &fs_));
  Sync();
  RemoveDerivedFiles();
  Restart();
  EXPECT_EQ(Letters(9), "aaaaaaaaa");
  // And the other way around: the records go first, the Commit is then nobody's.
  for (int i = 0; i < 8; ++i) ASSERT_OK(Put(absl::StrCat("key", i), std::string(1000, 'b')));
  for (int i = 0; i < 4; ++i) FillSegment();
  Settle();
  EXPECT_FALSE(HasSegment(1));
  EXPECT_EQ(Letters(9), "bbbbbbbba");
  RemoveDerivedFiles();
  Restart();
  EXPECT_EQ(Letters(9), "bbbbbbbba");
  EXPECT_OK(CheckEntriesAgainstLog(*engine_, &fs_));
}

// The copy stands behind a checkpoint that has what superseded its records, which memory has not.
TEST_F(EngineStreamTest, ACopiedCommitBringsNothingBack) {
  options_ = UncompressedColdOptions();
  options_.memory_limit_bytes = 1 << 20;
  options_.compaction_dead_share = 0.7;
  Open();
  ASSERT_OK(Stream(0, 9, 'a'));  // Segment 1.
  Sync();
  FillSegment();
  ASSERT_OK(Commit());
  Sync();
  for (int i = 0; i < 2; ++i) {
    ASSERT_OK(Put("filler", std::string(900, 'f')));
    Sync();
  }
  // Segment 4, which stays as it is.
  for (const char* const key : {"key0", "key1", "key2", "x", "y", "z", "u", "v"}) {
    ASSERT_OK(Put(key, std::string(1000, 'l')));
  }
  const Mutation remove{.kind = Mutation::Kind::kDelete, .key = "key3"};
  ASSERT_OK(engine_->Write({remove}, Atomicity::kEach, Noon()));
  Sync();
  ASSERT_TRUE(HasSegment(3));
  ASSERT_OK(engine_->Close());
  options_.checkpoint_bytes = 1 << 30;  // No other than the one that Close has made.
  Open();
  for (int i = 0; i < 8; ++i) FillSegment();
  Settle();
  ASSERT_TRUE(HasSegment(1));
  ASSERT_FALSE(HasSegment(3));  // Where the Commit stood.
  ASSERT_TRUE(HasSegment(4));
  Sync();
  Restart();
  ASSERT_GT(engine_->stats().run_entry_count, 0u);
  EXPECT_EQ(Letters(9), "lll-aaaaa");
  EXPECT_OK(CheckEntriesAgainstLog(*engine_, &fs_));
}

TEST_F(EngineStreamTest, TwoMayBeOpenAtOnce) {
  WriteStream other(engine_.get());
  for (int i = 0; i < 9; ++i) {
    const std::string key = absl::StrCat("key", i);
    ASSERT_OK(Stream(i, i + 1, 'a'));
    ASSERT_OK(engine_->Stream({Mutation{.key = key, .value = "other"}}, other));
  }
  ASSERT_OK(Commit());
  engine_->RollBackStream(other);
  EXPECT_EQ(Letters(9), "aaaaaaaaa");
  Sync();
  Restart();
  EXPECT_EQ(Letters(9), "aaaaaaaaa");
  EXPECT_OK(CheckEntriesAgainstLog(*engine_, &fs_));
}

TEST_F(EngineStreamTest, ADamagedSegmentWithACommitIsKept) {
  options_.compaction_dead_share = 0.5;
  Open();
  ASSERT_OK(Stream(0, 9, 'a'));
  Sync();
  ASSERT_OK(Commit());
  Sync();
  ASSERT_TRUE(HasSegment(2));
  fs_.FlipBit(JoinPath(kDirectory, SegmentFileName(2)), kPageBytes + 100, 1);
  for (int i = 0; i < 6; ++i) FillSegment();
  Settle();
  EXPECT_GT(engine_->stats().compacted_segment_count, 0u);
  EXPECT_EQ(engine_->stats().failed_segment_count, 1u);
  EXPECT_TRUE(HasSegment(2));  // Nothing in it is current, but the Commit may have to be read.
}

TEST_F(EngineStreamTest, DamageOfARecordThatOnlyItsCommitNeedsIsFound) {
  options_ = UncompressedColdOptions();
  Open();
  ASSERT_OK(Stream(0, 9, 'a'));
  const Location place = stream_->records[4].location;
  for (int i = 0; i < 2; ++i) FillSegment();
  Settle();  // The checkpoint needs segment 1 no more.
  ASSERT_OK(Commit());
  Sync();
  stream_.reset();
  engine_.reset();
  fs_.Kill();
  fs_.FlipBit(JoinPath(kDirectory, SegmentFileName(place.segment_number)), place.offset + 200, 3);
  EXPECT_THAT(Engine::Open(&fs_, kDirectory, options_, &rng_, nullptr),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("1 of the records")));
  options_.on_damage = OnDamage::kServeRest;
  Open();
  EXPECT_EQ(Letters(9), "aaaa-aaaa");
}

// Which one is read first is of no matter.
TEST_F(EngineStreamTest, DamageThatConcernsTheSecondCommitOfASegmentIsFound) {
  options_ = UncompressedColdOptions();
  Open();
  ASSERT_OK(Stream(0, 3, 'a'));
  Location place;
  {
    WriteStream other(engine_.get());
    const std::string value(1000, 'b');
    std::vector<std::string> keys;
    for (int i = 3; i < 9; ++i) keys.push_back(absl::StrCat("key", i));
    std::vector<Mutation> mutations;
    for (const std::string& key : keys) mutations.push_back({.key = key, .value = value});
    ASSERT_OK(engine_->Stream(mutations, other));
    place = other.records[1].location;
    ASSERT_EQ(place.segment_number, stream_->records[0].location.segment_number);
    for (int i = 0; i < 2; ++i) FillSegment();
    Settle();
    ASSERT_OK(Commit());
    ASSERT_OK(engine_->CommitStream({}, other, Noon()));
  }
  Sync();
  engine_.reset();
  fs_.Kill();
  fs_.FlipBit(JoinPath(kDirectory, SegmentFileName(place.segment_number)), place.offset + 200, 3);
  EXPECT_THAT(Engine::Open(&fs_, kDirectory, options_, &rng_, nullptr),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("1 of the records")));
  options_.on_damage = OnDamage::kServeRest;
  Open();
  EXPECT_EQ(Letters(9), "aaab-bbbb");
  EXPECT_TRUE(engine_->recovery_report().new_actor);
}

// Compaction has no debt over what it must leave alone.
TEST_F(EngineStreamTest, AnOpenOneIsNoDebt) {
  options_.limits.transaction_bytes_max = 1 << 20;
  Open();
  for (int i = 0; i < 5; ++i) ASSERT_OK(Stream(0, 9, 'a'));
  FillSegment();
  EXPECT_GT(engine_->stats().dead_bytes, 4 * options_.segment_bytes);
  EXPECT_EQ(engine_->stats().compaction_debt_bytes, 0u);
  stream_.reset();
  EXPECT_GT(engine_->stats().compaction_debt_bytes, 3 * options_.segment_bytes);
}

TEST_F(EngineStreamTest, AFullDiskEndsItAndNothingElse) {
  options_.limits.transaction_bytes_max = 1 << 20;
  Open();
  ASSERT_OK(Put("key0", "old"));
  Sync();
  ASSERT_OK(Stream(0, 3, 'a'));
  fs_.set_capacity_bytes(fs_.used_bytes() + 6 * options_.segment_bytes + 5000);
  absl::Status status;
  for (int i = 0; status.ok() && i < 100; ++i) status = Stream(i % 12, i % 12 + 1, 'b');
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_THAT(Commit(), StatusIs(absl::StatusCode::kFailedPrecondition));
  stream_.reset();
  EXPECT_EQ(Letters(2), "o-");
  // Compaction frees what the stream held.
  for (int step = 0; step < 100; ++step) engine_->Maintain().IgnoreError();
  EXPECT_OK(Put("key1", "goes on"));
  Sync();
  Restart();
  EXPECT_EQ(Letters(2), "og");
}

TEST_F(EngineStreamTest, ScrubbingFindsNothingWrongWithIt) {
  ASSERT_OK(Stream(0, 12, 'a'));
  FillSegment();
  ASSERT_OK(Commit());
  ASSERT_OK(Stream(0, 3, 'b'));
  stream_.reset();
  FillSegment();
  for (bool ended = false; !ended;) {
    ASSERT_OK_AND_ASSIGN(const ScrubProgress progress, engine_->Scrub());
    EXPECT_FALSE(progress.finding.has_value());
    ended = progress.ended_pass;
  }
}

}  // namespace
}  // namespace slipstream::storage

#include "storage/engine.h"

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/digest.h"
#include "base/error_reason.h"
#include "base/key_id.h"
#include "base/random.h"
#include "base/testing/status_matchers.h"
#include "base/version.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/ceilings.h"
#include "storage/entry.h"
#include "storage/file_system.h"
#include "storage/memory_file_system.h"
#include "storage/options.h"
#include "storage/testing/small_store.h"

namespace slipstream::storage {
namespace {

using base::testing::StatusIs;
using testing::AllEntries;
using testing::CheckEntriesAgainstLog;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::kDirectory;
using testing::Noon;
using testing::SmallOptions;

// Counts, per key, how often it heard of a change.
class Listener : public ChangeObserver {
 public:
  void OnChange(const base::KeyId& key_id) override { heard.push_back(key_id); }
  std::vector<base::KeyId> heard;
};

class EngineTest : public ::testing::Test {
 protected:
  void SetUp() override {
    // These tests count bytes of records; engine_compression_test.cc has the others.
    options_.compression = Compression::kNone;
    Open();
  }

  void Open() {
    engine_.reset();
    ASSERT_OK_AND_ASSIGN(engine_, Engine::Open(&fs_, kDirectory, options_, &rng_, &listener_));
  }

  absl::StatusOr<WriteResult> Put(absl::string_view key, absl::string_view value) {
    const Mutation put{.key = key, .value = value};
    return engine_->Write({put}, Atomicity::kEach, Noon());
  }

  absl::StatusOr<WriteResult> Delete(absl::string_view key) {
    const Mutation remove{.kind = Mutation::Kind::kDelete, .key = key};
    return engine_->Write({remove}, Atomicity::kEach, Noon());
  }

  void Sync() { ASSERT_OK(engine_->Flush(Engine::FlushMode::kSync)); }

  std::string Value(absl::string_view key, absl::Time now = Noon()) {
    const absl::StatusOr<ReadResult> read = engine_->Get(key, now);
    if (!read.ok()) return read.status().ToString();
    return read->found ? read->value : "absent";
  }

  MemoryFileSystem fs_;
  base::Random rng_{1};
  Options options_ = SmallOptions();
  Listener listener_;
  std::unique_ptr<Engine> engine_;
};

Record RecordOf(absl::string_view key, absl::string_view value, base::Hlc hlc,
                uint64_t actor = 77) {
  return {.key = std::string(key),
          .value = std::string(value),
          .version = {.hlc = hlc, .actor = base::ActorId{actor}},
          .sequence = 1};
}

TEST_F(EngineTest, GetReturnsWhatWasPutBeforeAndAfterItIsOnDisk) {
  ASSERT_OK_AND_ASSIGN(const WriteResult put, Put("key", "value"));
  EXPECT_EQ(put.lsn, 1u);
  EXPECT_EQ(put.applied_count, 1u);
  EXPECT_THAT(put.sequences, ElementsAre(1));
  ASSERT_OK_AND_ASSIGN(ReadResult read, engine_->Get("key", Noon()));
  EXPECT_TRUE(read.found);
  EXPECT_EQ(read.value, "value");
  EXPECT_EQ(read.version, put.versions[0]);
  EXPECT_EQ(read.lsn, 1u);
  ASSERT_OK(engine_->Flush(Engine::FlushMode::kWrite));
  ASSERT_OK_AND_ASSIGN(read, engine_->Get("key", Noon()));
  EXPECT_EQ(read.value, "value");
  EXPECT_EQ(read.lsn, 1u);
  ASSERT_OK_AND_ASSIGN(const Lsn durable_lsn, engine_->Flush(Engine::FlushMode::kSync));
  EXPECT_EQ(durable_lsn, 1u);
  ASSERT_OK_AND_ASSIGN(read, engine_->Get("key", Noon()));
  EXPECT_EQ(read.value, "value");
  EXPECT_EQ(read.lsn, 0u);
}

TEST_F(EngineTest, AbsentKeyHasNoVersion) {
  ASSERT_OK_AND_ASSIGN(const ReadResult read, engine_->Get("nothing", Noon()));
  EXPECT_FALSE(read.found);
  EXPECT_EQ(read.version, base::Version{});
  EXPECT_EQ(read.lsn, 0u);
}

TEST_F(EngineTest, DeleteLeavesATombstoneWithAVersion) {
  ASSERT_OK(Put("key", "value"));
  ASSERT_OK_AND_ASSIGN(const WriteResult deleted, Delete("key"));
  ASSERT_OK_AND_ASSIGN(const ReadResult read, engine_->Get("key", Noon()));
  EXPECT_FALSE(read.found);
  EXPECT_EQ(read.version, deleted.versions[0]);
  EXPECT_EQ(read.lsn, 2u);
  EXPECT_EQ(engine_->stats().live_key_count, 0u);
  EXPECT_EQ(engine_->stats().tombstone_count, 1u);
  ASSERT_OK_AND_ASSIGN(const Record record, engine_->GetRecord(base::KeyIdOf("key"), nullptr));
  EXPECT_TRUE(record.tombstone);
  EXPECT_EQ(record.key, "key");
  EXPECT_EQ(record.sequence, 2u);
  ASSERT_OK(Put("key", "again"));
  EXPECT_EQ(Value("key"), "again");
}

TEST_F(EngineTest, VersionsGrowThoughTheClockGoesBack) {
  base::Version last;
  for (int i = 0; i < 10; ++i) {
    const Mutation put{.key = "key", .value = "v"};
    ASSERT_OK_AND_ASSIGN(const WriteResult result,
                         engine_->Write({put}, Atomicity::kEach, Noon() - absl::Hours(i)));
    EXPECT_GT(result.versions[0], last);
    last = result.versions[0];
  }
  engine_.reset();
  fs_.Kill();
  Open();
  ASSERT_OK_AND_ASSIGN(const WriteResult first, Put("key", "v"));
  Sync();
  Open();
  const Mutation put{.key = "other", .value = "v"};
  ASSERT_OK_AND_ASSIGN(const WriteResult result,
                       engine_->Write({put}, Atomicity::kEach, absl::UnixEpoch()));
  EXPECT_GT(result.versions[0], first.versions[0]);
}

TEST_F(EngineTest, EachWriteOfABatchStandsForItselfInOrder) {
  const std::vector<Mutation> batch = {{.key = "a", .value = "1"},
                                       {.key = "a", .value = "2"},
                                       {.kind = Mutation::Kind::kDelete, .key = "b"},
                                       {.key = "a", .value = "3"}};
  ASSERT_OK_AND_ASSIGN(const WriteResult result, engine_->Write(batch, Atomicity::kEach, Noon()));
  EXPECT_EQ(result.lsn, 4u);
  EXPECT_TRUE(std::is_sorted(result.versions.begin(), result.versions.end()));
  EXPECT_EQ(Value("a"), "3");
  Sync();
  Open();
  EXPECT_EQ(Value("a"), "3");
}

TEST_F(EngineTest, AtomicBatchTakesOneMoreLsnForItsCommit) {
  const std::vector<Mutation> batch = {{.key = "a", .value = "1"}, {.key = "b", .value = "2"}};
  ASSERT_OK_AND_ASSIGN(const WriteResult result, engine_->Write(batch, Atomicity::kAll, Noon()));
  EXPECT_EQ(result.lsn, 3u);
  EXPECT_EQ(result.applied_count, 2u);
  ASSERT_OK_AND_ASSIGN(const WriteResult single,
                       engine_->Write({batch[0]}, Atomicity::kAll, Noon()));
  EXPECT_EQ(single.lsn, 4u);
  Sync();
  Open();
  EXPECT_EQ(engine_->recovery_report().record_count, 4u);
  EXPECT_EQ(Value("b"), "2");
}

TEST_F(EngineTest, AtomicBatchMayNotNameAKeyTwice) {
  const std::vector<Mutation> batch = {{.key = "a", .value = "1"}, {.key = "a", .value = "2"}};
  EXPECT_THAT(engine_->Write(batch, Atomicity::kAll, Noon()),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("occurs twice")));
  EXPECT_EQ(engine_->appended_lsn(), 0u);
}

TEST_F(EngineTest, EmptyBatchDoesNothing) {
  ASSERT_OK_AND_ASSIGN(const WriteResult result, engine_->Write({}, Atomicity::kAll, Noon()));
  EXPECT_EQ(result.lsn, 0u);
  EXPECT_EQ(engine_->appended_lsn(), 0u);
}

TEST_F(EngineTest, LimitsAtTheBoundAndBeyond) {
  const std::string key(64, 'k');
  const std::string value(1024, 'v');
  EXPECT_OK(Put(key, value));
  const auto refused = [this](const absl::Status& status, absl::string_view reason,
                              absl::string_view text) {
    EXPECT_THAT(status, StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(std::string(text))));
    EXPECT_EQ(base::ReasonOf(status), reason);
    EXPECT_EQ(engine_->appended_lsn(), 1u);
  };
  refused(Put("", value).status(), base::kReasonKeySize, "key of 0 bytes, not 1 to 64");
  refused(Put(key + "k", value).status(), base::kReasonKeySize, "key of 65 bytes, not 1 to 64");
  refused(Put(key, value + "v").status(), base::kReasonValueSize,
          "value of 1025 bytes, more than 1024");
  const Mutation delete_with_value{.kind = Mutation::Kind::kDelete, .key = "k", .value = "v"};
  refused(engine_->Write({delete_with_value}, Atomicity::kEach, Noon()).status(),
          base::kReasonValueSize, "delete with a value of 1 bytes");
  const std::vector<Mutation> nine(9, {.key = "k", .value = "v"});
  refused(engine_->Write(nine, Atomicity::kEach, Noon()).status(), base::kReasonBatchSize,
          "batch of 9 operations, more than 8");
  std::vector<Mutation> large = {{.key = "a", .value = value}, {.key = "b", .value = value}};
  refused(engine_->Write(large, Atomicity::kEach, Noon()).status(), base::kReasonBatchSize,
          "batch of 2050 bytes, more than 2048");
  large[1].value.remove_suffix(2);
  EXPECT_OK(engine_->Write(large, Atomicity::kAll, Noon()));
  EXPECT_OK(engine_->Write(absl::MakeSpan(nine).subspan(1), Atomicity::kEach, Noon()));
  EXPECT_THAT(engine_->Get("", Noon()), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(engine_->Get(std::string(4097, 'k'), Noon()),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_OK(engine_->Get(std::string(4096, 'k'), Noon()));
}

TEST_F(EngineTest, ApplyKeepsTheNewerVersionWhateverTheOrder) {
  ASSERT_OK_AND_ASSIGN(WriteResult result,
                       engine_->Apply({RecordOf("key", "new", 200)}, Atomicity::kEach, Noon()));
  EXPECT_EQ(result.applied_count, 1u);
  for (const base::Hlc hlc : {100, 200}) {
    ASSERT_OK_AND_ASSIGN(result,
                         engine_->Apply({RecordOf("key", "old", hlc)}, Atomicity::kEach, Noon()));
    EXPECT_EQ(result.applied_count, 0u);
    EXPECT_EQ(result.lsn, 0u);
  }
  // At the same HLC the greater actor wins.
  ASSERT_OK_AND_ASSIGN(
      result, engine_->Apply({RecordOf("key", "greater", 200, 78)}, Atomicity::kEach, Noon()));
  EXPECT_EQ(result.applied_count, 1u);
  EXPECT_EQ(Value("key"), "greater");
  EXPECT_EQ(engine_->appended_lsn(), 2u);
}

TEST_F(EngineTest, ApplyKeepsEveryFieldAndAdvancesTheClock) {
  Record record = RecordOf("key", "value", base::HlcFromTime(Noon()) + (uint64_t{5000} << 16));
  record.sequence = 99;
  record.expires_at_ms = absl::ToUnixMillis(Noon() + absl::Hours(1));
  ASSERT_OK(engine_->Apply({record}, Atomicity::kEach, Noon()));
  Lsn lsn = 0;
  EXPECT_THAT(engine_->GetRecord(base::KeyIdOf("key"), &lsn), base::testing::IsOkAndHolds(record));
  EXPECT_EQ(lsn, 1u);
  ASSERT_OK_AND_ASSIGN(const WriteResult put, Put("other", "value"));
  EXPECT_GT(put.versions[0].hlc, record.version.hlc);
  Sync();
  Open();
  EXPECT_THAT(engine_->GetRecord(base::KeyIdOf("key"), &lsn), base::testing::IsOkAndHolds(record));
  EXPECT_EQ(lsn, 0u);
  EXPECT_GE(engine_->last_hlc(), put.versions[0].hlc);
}

TEST_F(EngineTest, ApplyOfABatchStoresOnlyWhatIsNewerAndThatTogether) {
  ASSERT_OK(engine_->Apply({RecordOf("b", "mine", 300)}, Atomicity::kEach, Noon()));
  const std::vector<Record> batch = {RecordOf("a", "1", 200), RecordOf("b", "2", 200),
                                     RecordOf("c", "3", 200)};
  ASSERT_OK_AND_ASSIGN(const WriteResult result, engine_->Apply(batch, Atomicity::kAll, Noon()));
  EXPECT_EQ(result.applied_count, 2u);
  EXPECT_EQ(result.lsn, 4u);
  Sync();
  Open();
  EXPECT_EQ(Value("a"), "1");
  EXPECT_EQ(Value("b"), "mine");
  EXPECT_EQ(Value("c"), "3");
}

TEST_F(EngineTest, ApplyTakesMoreThanAFrameWhenEachStandsForItself) {
  std::vector<Record> many;
  for (int i = 0; i < 100; ++i) {
    many.push_back(RecordOf(absl::StrCat("key", i), std::string(300, 'v'), 200));
  }
  ASSERT_OK_AND_ASSIGN(const WriteResult result, engine_->Apply(many, Atomicity::kEach, Noon()));
  EXPECT_EQ(result.applied_count, 100u);
  EXPECT_EQ(result.lsn, 100u);
  EXPECT_THAT(engine_->Apply(many, Atomicity::kAll, Noon()),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(EngineTest, ApplyRefusesWhatNoNodeWrites) {
  const auto apply = [this](const std::function<void(Record&)>& change) {
    Record record = RecordOf("key", "value", 200);
    change(record);
    return engine_->Apply({record}, Atomicity::kEach, Noon()).status();
  };
  const auto refused = StatusIs(absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(apply([](Record& r) { r.key.clear(); }), refused);
  EXPECT_THAT(apply([](Record& r) { r.key.resize(kKeyBytesCeiling + 1); }), refused);
  EXPECT_THAT(apply([](Record& r) { r.value.resize(kValueBytesCeiling + 1); }), refused);
  EXPECT_THAT(apply([](Record& r) { r.value.resize(20'000); }), refused);
  EXPECT_THAT(apply([](Record& r) { r.version.hlc = 0; }), refused);
  EXPECT_THAT(apply([](Record& r) { r.version.hlc = kHlcCeiling + 1; }), refused);
  EXPECT_THAT(apply([](Record& r) { r.sequence = 0; }), refused);
  EXPECT_THAT(apply([](Record& r) { r.sequence = kSequenceCeiling + 1; }), refused);
  EXPECT_THAT(apply([](Record& r) { r.tombstone = true; }), refused);
  EXPECT_EQ(engine_->appended_lsn(), 0u);
  // Beyond this node's settings but below the ceilings: another node's settings may be larger.
  EXPECT_OK(apply([](Record& r) { r.key.resize(kKeyBytesCeiling, 'k'); }));
}

TEST_F(EngineTest, WriteIsRefusedWhereVersionsEndAndNotTakenAndThenUnreadable) {
  const Mutation put{.key = "key", .value = "value"};
  for (const absl::Time now : {absl::InfiniteFuture(), base::TimeFromHlc(kHlcCeiling)}) {
    EXPECT_THAT(engine_->Write({put}, Atomicity::kEach, now),
                StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("clock")));
  }
  // What was refused has not moved the clock.
  ASSERT_OK(Put("key", "value"));
  EXPECT_EQ(Value("key"), "value");
  ASSERT_OK(engine_->Apply({RecordOf("other", "value", kHlcCeiling)}, Atomicity::kEach, Noon()));
  EXPECT_THAT(Put("key", "later"), StatusIs(absl::StatusCode::kFailedPrecondition));
  Sync();
  Open();
  EXPECT_EQ(Value("key"), "value");
  EXPECT_EQ(Value("other"), "value");
}

TEST_F(EngineTest, WriteIsRefusedWhereDotsEnd) {
  ASSERT_OK(Put("key", "first"));
  Record record = RecordOf("key", "second", base::HlcFromTime(Noon()) + 100);
  record.version.actor = engine_->actor();
  record.sequence = kSequenceCeiling - 1;
  ASSERT_OK(engine_->Apply({record}, Atomicity::kEach, Noon()));
  ASSERT_OK(Put("key", "last"));
  EXPECT_THAT(Put("key", "beyond"),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("no dots left")));
  Sync();
  Open();
  EXPECT_EQ(Value("key"), "last");
  EXPECT_THAT(Put("key", "beyond"), StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST_F(EngineTest, ExpiryBeyondWhatASignedNumberHoldsIsFarAway) {
  Record record = RecordOf("key", "value", 200);
  record.expires_at_ms = UINT64_MAX;
  ASSERT_OK(engine_->Apply({record}, Atomicity::kEach, Noon()));
  EXPECT_EQ(Value("key"), "value");
}

TEST_F(EngineTest, OwnDotsThatComeBackAreNotGivenAgain) {
  const base::KeyId id = base::KeyIdOf("key");
  Record own = RecordOf("key", "from a replica", 100, static_cast<uint64_t>(engine_->actor()));
  own.sequence = 41;
  ASSERT_OK(engine_->Apply({own}, Atomicity::kEach, Noon()));
  ASSERT_OK_AND_ASSIGN(const WriteResult put, Put("key", "value"));
  EXPECT_EQ(put.sequences[0], 42u);
  EXPECT_EQ(id.shard(), base::KeyIdOf("key").shard());
}

TEST_F(EngineTest, DotsAreContiguousPerShardAcrossRestarts) {
  std::map<uint8_t, uint64_t> last;
  for (int life = 0; life < 3; ++life) {
    for (int i = 0; i < 40; ++i) {
      const std::string key = absl::StrCat("key", i);
      ASSERT_OK_AND_ASSIGN(const WriteResult put, Put(key, "v"));
      EXPECT_EQ(put.sequences[0], ++last[base::KeyIdOf(key).shard()]);
    }
    Sync();
    Open();
  }
}

TEST_F(EngineTest, ExpiredValuesAreHiddenFromReadsOnly) {
  Record record = RecordOf("key", "value", 200);
  record.expires_at_ms = static_cast<uint64_t>(absl::ToUnixMillis(Noon()));
  ASSERT_OK(engine_->Apply({record}, Atomicity::kEach, Noon()));
  EXPECT_EQ(Value("key", Noon() - absl::Milliseconds(1)), "value");
  EXPECT_EQ(Value("key", Noon()), "absent");
  ASSERT_OK_AND_ASSIGN(const ReadResult read, engine_->Get("key", Noon()));
  EXPECT_EQ(read.version, record.version);
  EXPECT_EQ(AllEntries(*engine_).size(), 1u);
  EXPECT_OK(engine_->GetRecord(base::KeyIdOf("key"), nullptr));
}

TEST_F(EngineTest, EntriesCarryWhatALeafNeeds) {
  ASSERT_OK_AND_ASSIGN(const WriteResult put, Put("key", "value"));
  const std::vector<Entry> entries = AllEntries(*engine_);
  ASSERT_EQ(entries.size(), 1u);
  EXPECT_EQ(entries[0].key_id, base::KeyIdOf("key"));
  EXPECT_EQ(entries[0].version, put.versions[0]);
  EXPECT_EQ(entries[0].sequence, 1u);
  EXPECT_EQ(entries[0].value_digest, base::DigestOfValue("value"));
  EXPECT_EQ(entries[0].record_bytes, 88u);
  EXPECT_FALSE(entries[0].tombstone);
}

TEST_F(EngineTest, GetRecordOfAnAbsentKeyIsNotFound) {
  EXPECT_THAT(engine_->GetRecord(base::KeyIdOf("x"), nullptr),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("key_id 2d711642b726")));
}

TEST_F(EngineTest, ObserverHearsOfEveryChangeAndOfEveryKeyAtOpen) {
  const base::KeyId a = base::KeyIdOf("a");
  const base::KeyId b = base::KeyIdOf("b");
  ASSERT_OK(Put("a", "1"));
  ASSERT_OK(Put("a", "2"));
  ASSERT_OK(Delete("b"));
  EXPECT_THAT(listener_.heard, ElementsAre(a, a, b));
  listener_.heard.clear();
  ASSERT_OK(engine_->Apply({RecordOf("a", "older", 5)}, Atomicity::kEach, Noon()));
  EXPECT_TRUE(listener_.heard.empty());
  Sync();
  Open();
  EXPECT_THAT(listener_.heard, ElementsAre(std::min(a, b), std::max(a, b)));
}

TEST_F(EngineTest, FillsSegmentsAndReadsAllOfThemAfterReopening) {
  const std::string value(900, 'v');
  for (int i = 0; i < 200; ++i) ASSERT_OK(Put(absl::StrCat("key", i), absl::StrCat(value, i)));
  EXPECT_GT(engine_->stats().segment_count, 10u);
  for (int i = 0; i < 200; ++i) EXPECT_EQ(Value(absl::StrCat("key", i)), absl::StrCat(value, i));
  Sync();
  Open();
  EXPECT_EQ(engine_->recovery_report().record_count, 200u);
  EXPECT_FALSE(engine_->recovery_report().tail_cut);
  for (int i = 0; i < 200; ++i) EXPECT_EQ(Value(absl::StrCat("key", i)), absl::StrCat(value, i));
  EXPECT_OK(CheckEntriesAgainstLog(*engine_, &fs_));
}

TEST_F(EngineTest, UnflushedBytesAreBoundedThoughNobodyFlushes) {
  for (int i = 0; i < 100; ++i) ASSERT_OK(Put("key", std::string(1000, 'v')));
  engine_.reset();
  fs_.Kill();
  Open();
  // At most unflushed_bytes_max, 4096, and the write that went beyond it were only in memory.
  EXPECT_GE(engine_->appended_lsn(), 100u - 5u);
}

TEST_F(EngineTest, CloseMarksTheDirectoryCleanAndFreesIt) {
  ASSERT_OK(Put("key", "value"));
  const base::ActorId actor = engine_->actor();
  EXPECT_TRUE(engine_->recovery_report().created);
  EXPECT_TRUE(engine_->recovery_report().new_actor);
  ASSERT_OK(engine_->Close());
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Engine> next,
                       Engine::Open(&fs_, kDirectory, options_, &rng_, nullptr));
  EXPECT_TRUE(next->recovery_report().clean);
  EXPECT_FALSE(next->recovery_report().created);
  EXPECT_FALSE(next->recovery_report().new_actor);
  EXPECT_EQ(next->actor(), actor);
  EXPECT_EQ(next->node_id(), engine_->node_id());
}

TEST_F(EngineTest, UncleanEndKeepsTheActorOnlyIfEveryWriteWasSynced) {
  for (const SyncPolicy policy : {SyncPolicy::kAlways, SyncPolicy::kInterval, SyncPolicy::kNone}) {
    options_.sync = policy;
    Open();
    const base::ActorId actor = engine_->actor();
    engine_.reset();
    options_.sync = SyncPolicy::kAlways;  // What counts is the policy of the life that ended.
    Open();
    EXPECT_EQ(engine_->actor() == actor, policy == SyncPolicy::kAlways);
    EXPECT_EQ(engine_->recovery_report().new_actor, policy != SyncPolicy::kAlways);
  }
}

TEST_F(EngineTest, DirectoryInUseIsRefused) {
  const auto second = Engine::Open(&fs_, kDirectory, options_, &rng_, nullptr);
  EXPECT_THAT(second, StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_EQ(base::ReasonOf(second.status()), base::kReasonDirectoryInUse);
}

TEST_F(EngineTest, MissingStoreIsNotCreatedUnlessAskedFor) {
  options_.create_if_missing = false;
  EXPECT_THAT(Engine::Open(&fs_, "/other", options_, &rng_, nullptr),
              StatusIs(absl::StatusCode::kNotFound));
  ASSERT_OK(fs_.CreateDirectory("/empty"));
  EXPECT_THAT(Engine::Open(&fs_, "/empty", options_, &rng_, nullptr),
              StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(EngineTest, ForeignDirectoriesAreRefusedAndLeftAlone) {
  const auto open = [this](const char* directory) {
    return Engine::Open(&fs_, directory, options_, &rng_, nullptr).status();
  };
  const auto expect_foreign = [](const absl::Status& status, const char* text) {
    EXPECT_THAT(status, StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr(text)));
    EXPECT_EQ(base::ReasonOf(status), base::kReasonDirectoryForeign);
  };
  fs_.Install("/text/notes.txt", "mine");
  expect_foreign(open("/text"), "/text holds notes.txt but no identity");
  fs_.Install("/log/0000000000000001.log", "mine");
  expect_foreign(open("/log"), "holds 0000000000000001.log but no identity");
  fs_.Install("/identity/identity", "Dear diary, this is not yours.");
  expect_foreign(open("/identity"), "not a slipstream directory");
  engine_.reset();
  fs_.Install("/data/0000000000000001.log", std::string(16384, 'x'));
  expect_foreign(open("/data"), "segment magic");
  fs_.Install("/data/0000000000000001.log", "x");
  expect_foreign(open("/data"), "too short");
  EXPECT_EQ(fs_.Contents("/data/0000000000000001.log"), "x");
  fs_.Install("/new/lost+found", "");
  EXPECT_OK(open("/new"));
}

TEST_F(EngineTest, InvalidOptionsAreRefusedBeforeAnythingIsTouched) {
  options_.segment_bytes = 4096;
  EXPECT_THAT(Engine::Open(&fs_, "/other", options_, &rng_, nullptr),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(fs_.ListDirectory("/other"), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(EngineTest, SegmentsOfAnotherLengthAreReadAndNewOnesGetTheNewLength) {
  ASSERT_OK(Put("old", "1"));
  Sync();
  ASSERT_OK(engine_->Maintain());
  options_.segment_bytes = 65536;
  options_.reserve_segments = 0;
  Open();
  EXPECT_EQ(engine_->stats().log_bytes, 16384u);
  for (int i = 0; i < 10; ++i) {
    ASSERT_OK(Put("new", std::string(1000, 'v')));
    Sync();
  }
  EXPECT_EQ(Value("old"), "1");
  Open();
  EXPECT_EQ(Value("old"), "1");
  EXPECT_EQ(engine_->stats().log_bytes, 16384u + 65536u);
}

TEST_F(EngineTest, WitnessIsWrittenOnceWhenIdle) {
  ASSERT_OK(Put("key", "value"));
  Sync();
  EXPECT_THAT(engine_->Maintain(), base::testing::IsOkAndHolds(true));  // Prepares a segment.
  ASSERT_OK(engine_->Maintain());                                       // Sees a change.
  EXPECT_EQ(engine_->stats().flush_count, 1u);
  EXPECT_THAT(engine_->Maintain(), base::testing::IsOkAndHolds(false));
  EXPECT_EQ(engine_->stats().flush_count, 2u);
  for (int i = 0; i < 3; ++i) ASSERT_OK(engine_->Maintain());
  EXPECT_EQ(engine_->stats().flush_count, 2u);
  EXPECT_EQ(engine_->appended_lsn(), 1u);
}

TEST_F(EngineTest, NoWitnessForWhatIsNotDurable) {
  ASSERT_OK(Put("key", "value"));
  ASSERT_OK(engine_->Flush(Engine::FlushMode::kWrite));
  for (int i = 0; i < 4; ++i) ASSERT_OK(engine_->Maintain());
  EXPECT_EQ(engine_->stats().flush_count, 1u);
  EXPECT_EQ(engine_->durable_lsn(), 0u);
}

TEST_F(EngineTest, FlushWithNothingNewDoesNoInputOrOutput) {
  ASSERT_OK(Put("key", "value"));
  Sync();
  const uint64_t call_count = fs_.call_count();
  EXPECT_THAT(engine_->Flush(Engine::FlushMode::kSync), base::testing::IsOkAndHolds(Lsn{1}));
  EXPECT_EQ(fs_.call_count(), call_count);
}

TEST_F(EngineTest, SyncAfterAnUnsyncedWriteMakesItDurable) {
  ASSERT_OK(Put("key", "value"));
  EXPECT_THAT(engine_->Flush(Engine::FlushMode::kWrite), base::testing::IsOkAndHolds(Lsn{0}));
  EXPECT_THAT(engine_->Flush(Engine::FlushMode::kSync), base::testing::IsOkAndHolds(Lsn{1}));
}

TEST_F(EngineTest, SameSeedAndCallsGiveTheSameBytes) {
  const auto run = [] {
    MemoryFileSystem fs;
    testing::Script script(&fs, SmallOptions(), 42);
    EXPECT_OK(script.Run(100, testing::Script::OnError::kStop));
    std::string all;
    const absl::StatusOr<std::vector<std::string>> names = fs.ListDirectory(kDirectory);
    for (const std::string& name : *names) {
      absl::StrAppend(&all, name, fs.Contents(JoinPath(kDirectory, name)));
    }
    return all;
  };
  EXPECT_EQ(run(), run());
}

}  // namespace
}  // namespace slipstream::storage

// The data path of a replica: what clients get, what peers are answered, and what must be durable
// before either leaves.
#include "node/replica.h"

#include <algorithm>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "base/digest.h"
#include "base/error_reason.h"
#include "base/key_id.h"
#include "base/random.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "merkle/proof.h"
#include "merkle/reconcile.h"
#include "merkle/tree.h"
#include "node/testing/replica_cluster.h"
#include "storage/engine.h"
#include "storage/entry.h"
#include "storage/memory_file_system.h"

namespace slipstream::node {
namespace {

using base::testing::StatusIs;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr storage::Engine::FlushMode kSync = storage::Engine::FlushMode::kSync;

storage::Record MakeRecord(std::string key, std::string value, base::Hlc hlc, uint64_t actor = 9) {
  return {.key = std::move(key),
          .value = std::move(value),
          .version = {hlc, base::ActorId{actor}},
          .sequence = 1};
}

class ReplicaTest : public testing::Test {
 protected:
  Replica& replica() { return cluster_.at(0); }
  absl::Time now() const { return cluster_.now(); }

  std::vector<std::string> Keys(const ScanPage& page) {
    std::vector<std::string> keys;
    for (const ScanItem& item : page.items) keys.push_back(item.record.key);
    return keys;
  }

  // All pages of a scan, one after the other.
  std::vector<ScanItem> ScanAll(ScanOptions options) {
    std::vector<ScanItem> items;
    while (true) {
      absl::StatusOr<ScanPage> page = replica().Scan(options, now());
      EXPECT_OK(page);
      if (!page.ok()) return items;
      for (ScanItem& item : page->items) items.push_back(std::move(item));
      if (!page->last_key_id.has_value()) return items;
      options.after = page->last_key_id;
    }
  }

  ReplicaCluster cluster_{1};
};

TEST_F(ReplicaTest, ReadsWhatWasWritten) {
  const storage::WriteResult written = cluster_.Put(0, "a", "1");
  ASSERT_OK_AND_ASSIGN(const storage::ReadResult read, replica().Get("a", now()));
  EXPECT_TRUE(read.found);
  EXPECT_EQ(read.value, "1");
  EXPECT_EQ(read.version, written.versions[0]);
}

TEST_F(ReplicaTest, SummaryCountsLiveKeys) {
  cluster_.Put(0, "a", "1");
  cluster_.Put(0, "b", "2");
  cluster_.Delete(0, "a");
  storage::Lsn lsn = 0;
  const NodeSummary summary = replica().Summary(&lsn);
  EXPECT_EQ(summary.key_count, 1);
  EXPECT_EQ(summary.name, "name0");
  EXPECT_EQ(summary.node_id, replica().engine().node_id());
  EXPECT_EQ(summary.actor, replica().engine().actor());
  EXPECT_EQ(summary.hlc, replica().engine().last_hlc());
  EXPECT_EQ(summary.root, replica().tree().Root());
}

TEST_F(ReplicaTest, TheRootIsThatOfTheLiveEntriesAlone) {
  cluster_.Put(0, "a", "1");
  const base::Digest before = cluster_.Root(0);
  cluster_.Put(0, "b", "2");
  EXPECT_NE(cluster_.Root(0), before);
  cluster_.Delete(0, "b");
  EXPECT_EQ(cluster_.Root(0), before);
}

TEST_F(ReplicaTest, ARestartKeepsTheRoot) {
  for (int i = 0; i < 100; ++i) cluster_.Put(0, std::to_string(i), "value");
  cluster_.Delete(0, "50");
  ASSERT_OK(replica().engine().Flush(kSync));
  const base::Digest root = cluster_.Root(0);
  cluster_.Kill(0);
  cluster_.Start(0);
  EXPECT_EQ(cluster_.Root(0), root);
  storage::Lsn lsn = 0;
  EXPECT_EQ(replica().Summary(&lsn).key_count, 99);
}

// Settles the tree bucket by bucket; returns how many were dirty, about.
size_t CountDirtyBuckets(merkle::Tree& tree) {
  size_t count = 0;
  while (tree.Settle(1)) ++count;
  return count;
}

TEST(ReplicaCheckpointTest, ARestartHashesOnlyWhatChangedSinceTheCheckpoint) {
  for (const size_t memory_limit_bytes : {size_t{0}, size_t{1}}) {
    ReplicaOptions options = ReplicaCluster::DefaultOptions();
    options.storage.checkpoint_bytes = 64 << 10;
    options.storage.memory_limit_bytes = memory_limit_bytes;
    ReplicaCluster cluster(1, options);
    for (int i = 0; i < 3000; ++i) cluster.Put(0, absl::StrCat("key", i), "value");
    cluster.Root(0);
    // Until all is in a checkpoint, with the tree as it is now.
    while (cluster.at(0).engine().stats().dirty_count != 0) {
      for (int i = 0; i < 20; ++i) cluster.Put(0, absl::StrCat("filler", i), "value");
      cluster.Root(0);
      for (bool more = true; more;) {
        ASSERT_OK_AND_ASSIGN(more, cluster.at(0).engine().Maintain());
      }
    }
    for (int i = 0; i < 5; ++i) cluster.Put(0, absl::StrCat("key", i), "changed");
    cluster.Delete(0, "key5");
    ASSERT_OK(cluster.at(0).engine().Flush(kSync));
    const base::Digest root = cluster.Root(0);
    cluster.Kill(0);
    cluster.Start(0);
    EXPECT_LE(CountDirtyBuckets(cluster.at(0).tree()), 6u);
    EXPECT_EQ(cluster.Root(0), root);
    // It is the root that a tree made of all entries has.
    cluster.Kill(0);
    ASSERT_OK(cluster.disk(0).Remove("data/index"));
    cluster.Start(0);
    EXPECT_GT(CountDirtyBuckets(cluster.at(0).tree()), 100u);
    EXPECT_EQ(cluster.Root(0), root);
  }
}

TEST_F(ReplicaTest, ProvesPresenceAndAbsence) {
  cluster_.Put(0, "a", "1");
  storage::Lsn lsn = 0;
  ASSERT_OK_AND_ASSIGN(const auto present, replica().Prove("a", &lsn));
  EXPECT_EQ(present.root, cluster_.Root(0));
  EXPECT_EQ(*merkle::VerifyProof(present.proof, base::KeyIdOf("a"), present.root),
            merkle::Presence::kPresent);
  ASSERT_OK_AND_ASSIGN(const auto absent, replica().Prove("b", &lsn));
  EXPECT_EQ(*merkle::VerifyProof(absent.proof, base::KeyIdOf("b"), absent.root),
            merkle::Presence::kAbsent);
}

TEST_F(ReplicaTest, RefusesOptionsThatCannotWork) {
  storage::MemoryFileSystem disk;
  base::Random rng(1);
  ReplicaOptions options = ReplicaCluster::DefaultOptions();
  options.gossip_interval = absl::ZeroDuration();
  EXPECT_THAT(Replica::Open(&disk, "data", options, &rng),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("gossip_interval")));
  options = ReplicaCluster::DefaultOptions();
  options.message_bytes_max = 4095;
  EXPECT_THAT(Replica::Open(&disk, "data", options, &rng),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("message_bytes_max")));
}

TEST_F(ReplicaTest, RefusesADirectoryInUse) {
  base::Random rng(1);
  EXPECT_THAT(Replica::Open(&cluster_.disk(0), "data", ReplicaCluster::DefaultOptions(), &rng),
              StatusIs(absl::StatusCode::kFailedPrecondition));
}

// Scan.

TEST_F(ReplicaTest, ScanListsLiveKeysInOrderWithAllThatTheirLeavesNeed) {
  for (int i = 0; i < 300; ++i) cluster_.Put(0, std::to_string(i), "value" + std::to_string(i));
  for (int i = 0; i < 300; i += 3) cluster_.Delete(0, std::to_string(i));
  const std::vector<ScanItem> items = ScanAll({});
  EXPECT_THAT(items, SizeIs(200));
  for (size_t index = 0; index < items.size(); ++index) {
    const storage::Record& record = items[index].record;
    EXPECT_EQ(record.value, "value" + record.key);
    EXPECT_EQ(items[index].value_digest, base::DigestOfValue(record.value));
    if (index == 0) continue;
    EXPECT_LT(base::KeyIdOf(items[index - 1].record.key), base::KeyIdOf(record.key));
  }
}

TEST_F(ReplicaTest, ScanPagesMakeUpTheWhole) {
  for (int i = 0; i < 300; ++i) cluster_.Put(0, std::to_string(i), std::string(i % 40, 'x'));
  for (size_t bound : {1, 7, 299, 300, 301}) {
    EXPECT_THAT(ScanAll({.items_max = bound}), SizeIs(300)) << bound;
    EXPECT_THAT(ScanAll({.bytes_max = bound}), SizeIs(300)) << bound;
    EXPECT_THAT(ScanAll({.visited_max = bound}), SizeIs(300)) << bound;
  }
}

TEST_F(ReplicaTest, ScanKeepsItsBounds) {
  for (int i = 0; i < 50; ++i) cluster_.Put(0, std::to_string(10 + i), std::string(98, 'x'));
  ASSERT_OK_AND_ASSIGN(const ScanPage by_items, replica().Scan({.items_max = 5}, now()));
  EXPECT_THAT(by_items.items, SizeIs(5));
  EXPECT_TRUE(by_items.last_key_id.has_value());
  ASSERT_OK_AND_ASSIGN(const ScanPage by_bytes, replica().Scan({.bytes_max = 350}, now()));
  EXPECT_THAT(by_bytes.items, SizeIs(3));
  ASSERT_OK_AND_ASSIGN(const ScanPage tiny, replica().Scan({.bytes_max = 1}, now()));
  EXPECT_THAT(tiny.items, SizeIs(1)) << "there must be progress";
  ASSERT_OK_AND_ASSIGN(const ScanPage visited,
                       replica().Scan({.key_prefix = "none", .visited_max = 20}, now()));
  EXPECT_THAT(visited.items, IsEmpty());
  EXPECT_TRUE(visited.last_key_id.has_value());
}

TEST_F(ReplicaTest, ScanFiltersByPrefixAndLeavesValuesOut) {
  cluster_.Put(0, "user/1", "a");
  cluster_.Put(0, "user/2", "b");
  cluster_.Put(0, "item/1", "c");
  const std::vector<ScanItem> items = ScanAll({.key_prefix = "user/", .keys_only = true});
  ASSERT_THAT(items, SizeIs(2));
  for (const ScanItem& item : items) {
    EXPECT_THAT(item.record.key, testing::StartsWith("user/"));
    EXPECT_EQ(item.record.value, "");
    EXPECT_EQ(item.value_digest, base::DigestOfValue(item.record.key == "user/1" ? "a" : "b"));
  }
}

TEST_F(ReplicaTest, ScanHidesExpiredRecords) {
  storage::Record record = MakeRecord("a", "1", base::HlcFromTime(now()));
  record.expires_at_ms = absl::ToUnixMillis(now()) + 1000;
  ASSERT_OK(replica().engine().Apply({record}, storage::Atomicity::kAll, now()));
  EXPECT_THAT(Keys(*replica().Scan({}, now())), ElementsAre("a"));
  EXPECT_THAT(Keys(*replica().Scan({}, now() + absl::Seconds(1))), IsEmpty());
}

TEST_F(ReplicaTest, ScanOfNothingIsComplete) {
  ASSERT_OK_AND_ASSIGN(const ScanPage page, replica().Scan({}, now()));
  EXPECT_THAT(page.items, IsEmpty());
  EXPECT_FALSE(page.last_key_id.has_value());
}

// The output rule.

class OutputRuleTest : public ReplicaTest {
 protected:
  // The Lsn that the answer to `request` waits for.
  storage::Lsn LsnOf(const PeerRequest& request) {
    storage::Lsn lsn = 12345;
    EXPECT_OK(replica().Answer(request, now(), &lsn));
    return lsn;
  }

  std::vector<PeerRequest> Requests() {
    merkle::ReconcileRequest reconcile;
    reconcile.lists.push_back({});
    return {ExchangeRootsRequest{}, reconcile, FetchRecordsRequest{.key_ids = {base::KeyIdOf("a")}},
            PushRecordsRequest{.groups = {{MakeRecord("a", "old", 1)}}}};
  }
};

TEST_F(OutputRuleTest, NoAnswerLeavesBeforeWhatItShowsIsDurable) {
  const storage::WriteResult written = cluster_.Put(0, "a", "1");
  ASSERT_GT(written.lsn, replica().engine().durable_lsn());
  for (const PeerRequest& request : Requests()) EXPECT_GE(LsnOf(request), written.lsn);
  storage::Lsn lsn = 0;
  replica().Summary(&lsn);
  EXPECT_GE(lsn, written.lsn);
  lsn = 0;
  ASSERT_OK(replica().Prove("a", &lsn));
  EXPECT_GE(lsn, written.lsn);
  EXPECT_GE(replica().Get("a", now())->lsn, written.lsn);
  EXPECT_GE(replica().Scan({}, now())->lsn, written.lsn);
}

TEST_F(OutputRuleTest, NothingWaitsWhenAllIsDurable) {
  cluster_.Put(0, "a", "1");
  ASSERT_OK(replica().engine().Flush(kSync));
  for (const PeerRequest& request : Requests()) {
    EXPECT_LE(LsnOf(request), replica().engine().durable_lsn());
  }
  storage::Lsn lsn = 0;
  replica().Summary(&lsn);
  EXPECT_LE(lsn, replica().engine().durable_lsn());
  EXPECT_LE(replica().Get("a", now())->lsn, replica().engine().durable_lsn());
  EXPECT_LE(replica().Scan({}, now())->lsn, replica().engine().durable_lsn());
}

TEST_F(OutputRuleTest, APushIsAnsweredWhenItIsDurable) {
  const storage::Lsn lsn =
      LsnOf(PushRecordsRequest{.groups = {{MakeRecord("a", "1", base::HlcFromTime(now()))}}});
  EXPECT_EQ(lsn, replica().engine().appended_lsn());
  EXPECT_GT(lsn, replica().engine().durable_lsn());
}

TEST(WeakSyncTest, NothingWaits) {
  for (const storage::SyncPolicy sync :
       {storage::SyncPolicy::kInterval, storage::SyncPolicy::kNone}) {
    ReplicaOptions options = ReplicaCluster::DefaultOptions();
    options.storage.sync = sync;
    ReplicaCluster cluster(1, options);
    EXPECT_EQ(cluster.Put(0, "a", "1").lsn, 0);
    EXPECT_EQ(cluster.at(0).Get("a", cluster.now())->lsn, 0);
    EXPECT_EQ(cluster.at(0).Scan({}, cluster.now())->lsn, 0);
    storage::Lsn lsn = 12345;
    ASSERT_OK(cluster.at(0).Answer(ExchangeRootsRequest{}, cluster.now(), &lsn));
    EXPECT_EQ(lsn, 0);
  }
}

// Answers to peers.

class AnswerTest : public ReplicaTest {
 protected:
  template <typename Response>
  absl::StatusOr<Response> Ask(const PeerRequest& request) {
    storage::Lsn lsn = 0;
    absl::StatusOr<PeerResponse> response = replica().Answer(request, now(), &lsn);
    if (!response.ok()) return response.status();
    return std::get<Response>(*std::move(response));
  }

  absl::StatusOr<PushRecordsResponse> Push(std::vector<std::vector<storage::Record>> groups) {
    return Ask<PushRecordsResponse>(PushRecordsRequest{.groups = std::move(groups)});
  }

  base::Hlc current_ = base::HlcFromTime(now());
};

TEST_F(AnswerTest, ExchangeTellsTheOwnSummary) {
  cluster_.Put(0, "a", "1");
  ASSERT_OK_AND_ASSIGN(const auto response, Ask<ExchangeRootsResponse>(ExchangeRootsRequest{}));
  EXPECT_EQ(response.responder.root, cluster_.Root(0));
  EXPECT_EQ(response.responder.key_count, 1);
}

TEST_F(AnswerTest, FetchReturnsCurrentRecordsAndTombstones) {
  cluster_.Put(0, "a", "1");
  cluster_.Delete(0, "b");
  const FetchRecordsRequest request{
      .key_ids = {base::KeyIdOf("a"), base::KeyIdOf("absent"), base::KeyIdOf("b")}};
  ASSERT_OK_AND_ASSIGN(const auto response, Ask<FetchRecordsResponse>(request));
  EXPECT_EQ(response.handled_count, 3);
  ASSERT_THAT(response.records, SizeIs(2));
  EXPECT_EQ(response.records[0].value, "1");
  EXPECT_TRUE(response.records[1].tombstone);
}

TEST_F(AnswerTest, FetchIsCutAtTheMessageBoundButReturnsOneRecord) {
  ReplicaOptions options = ReplicaCluster::DefaultOptions();
  options.message_bytes_max = 4096;
  ReplicaCluster cluster(1, options);
  FetchRecordsRequest request;
  for (int i = 0; i < 10; ++i) {
    cluster.Put(0, std::to_string(i), std::string(i == 0 ? 10'000 : 1000, 'x'));
    request.key_ids.push_back(base::KeyIdOf(std::to_string(i)));
  }
  std::vector<size_t> counts;
  while (!request.key_ids.empty()) {
    storage::Lsn lsn = 0;
    const auto response = cluster.at(0).Answer(request, cluster.now(), &lsn);
    ASSERT_OK(response);
    const auto& fetched = std::get<FetchRecordsResponse>(*response);
    ASSERT_GT(fetched.handled_count, 0);
    counts.push_back(fetched.records.size());
    request.key_ids.erase(request.key_ids.begin(), request.key_ids.begin() + fetched.handled_count);
  }
  EXPECT_THAT(counts, ElementsAre(1, 3, 3, 3));
}

TEST_F(AnswerTest, FetchOfTooManyIsRefused) {
  FetchRecordsRequest request;
  request.key_ids.resize(4096);
  EXPECT_OK(Ask<FetchRecordsResponse>(request));
  request.key_ids.resize(4097);
  const auto response = Ask<FetchRecordsResponse>(request);
  EXPECT_THAT(response, StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("4097")));
  EXPECT_EQ(base::ReasonOf(response.status()), base::kReasonMessageInvalid);
}

TEST_F(AnswerTest, PushAppliesWhatIsNewer) {
  cluster_.Put(0, "a", "own");
  ASSERT_OK_AND_ASSIGN(const auto response, Push({{MakeRecord("a", "old", current_ - 1)},
                                                  {MakeRecord("b", "new", current_)}}));
  EXPECT_EQ(response.applied_count, 1);
  EXPECT_EQ(response.held_back_count, 0);
  EXPECT_EQ(cluster_.Get(0, "a"), "own");
  EXPECT_EQ(cluster_.Get(0, "b"), "new");
  EXPECT_EQ(replica().push_stats().received_record_count, 1);
}

TEST_F(AnswerTest, PushTwiceIsPushOnce) {
  const storage::Record record = MakeRecord("a", "1", current_);
  EXPECT_EQ(Push({{record}})->applied_count, 1);
  EXPECT_EQ(Push({{record}})->applied_count, 0);
}

TEST_F(AnswerTest, RecordsFromTheFutureAreHeldBackWithTheirGroup) {
  const base::Hlc limit = base::HlcFromTime(now() + replica().options().clock_skew_max);
  const base::Hlc clock = replica().engine().last_hlc();
  ASSERT_OK_AND_ASSIGN(
      const auto response,
      Push({{MakeRecord("a", "1", current_), MakeRecord("b", "1", limit + (1 << 16))},
            {MakeRecord("c", "1", limit + (1 << 16))},
            {MakeRecord("d", "1", current_)}}));
  EXPECT_EQ(response.applied_count, 1);
  EXPECT_EQ(response.held_back_count, 3);
  EXPECT_EQ(cluster_.Get(0, "a"), absl::nullopt);
  EXPECT_EQ(cluster_.Get(0, "d"), "1");
  EXPECT_EQ(replica().repair_stats().held_back_record_count, 3);
  EXPECT_EQ(replica().engine().last_hlc(), std::max(clock, current_))
      << "its clock must not follow";
  EXPECT_EQ(Push({{MakeRecord("e", "1", limit)}})->applied_count, 1) << "at the limit";
}

TEST_F(AnswerTest, RefusesRecordsThatNobodyCanHaveWritten) {
  const storage::Record good = MakeRecord("good", "1", current_);
  std::vector<storage::Record> bad(7, MakeRecord("bad", "1", current_));
  bad[0].key.clear();
  bad[1].key.assign(4097, 'k');
  bad[2].value.assign(storage::kValueBytesCeiling + 1, 'v');
  bad[3].tombstone = true;
  bad[4].version.hlc = 0;
  bad[5].sequence = 0;
  bad[6].key = "good";  // Twice in one group.
  for (size_t index = 0; index < bad.size(); ++index) {
    const auto response = Push({{good}, {good, bad[index]}});
    EXPECT_THAT(response, StatusIs(absl::StatusCode::kInvalidArgument)) << index;
    EXPECT_EQ(base::ReasonOf(response.status()), base::kReasonMessageInvalid);
  }
  EXPECT_THAT(Push({{}}), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_EQ(cluster_.Get(0, "good"), absl::nullopt) << "a request is refused whole";
}

TEST_F(AnswerTest, TakesRecordsAtTheirLimits) {
  storage::Record record = MakeRecord(std::string(4096, 'k'), "", current_);
  EXPECT_EQ(Push({{record}})->applied_count, 1);
}

TEST_F(AnswerTest, RefusesReconciliationThatBreaksTheProtocol) {
  merkle::ReconcileRequest request;
  request.subtrees.push_back({.prefix = base::MakePrefix(base::KeyId{}, 3), .present = 1});
  const auto response = Ask<merkle::ReconcileResponse>(request);
  EXPECT_THAT(response, StatusIs(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace slipstream::node

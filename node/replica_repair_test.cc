// Repair: replicas that have missed writes, or lost them, find and move what differs.
#include <algorithm>
#include <functional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "base/error_reason.h"
#include "base/key_id.h"
#include "base/random.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "merkle/reconcile.h"
#include "node/replica.h"
#include "node/replica_types.h"
#include "node/testing/replica_cluster.h"
#include "storage/engine.h"
#include "storage/entry.h"
#include "storage/memory_file_system.h"
#include "storage/scrub_progress.h"

namespace slipstream::node {
namespace {

using base::testing::StatusIs;

constexpr size_t kReconcileKind = 1;
constexpr size_t kFetchKind = 2;
constexpr size_t kPushKind = 3;

// Sums over the replicas of a cluster, as either side may have started a session.
RepairStats Sum(ReplicaCluster& cluster, size_t replica_count) {
  RepairStats sum;
  for (size_t index = 0; index < replica_count; ++index) {
    const RepairStats stats = cluster.at(index).repair_stats();
    sum.session_count += stats.session_count;
    sum.failed_session_count += stats.failed_session_count;
    sum.round_trip_count += stats.round_trip_count;
    sum.metadata_bytes += stats.metadata_bytes;
    sum.received_record_count += stats.received_record_count;
    sum.received_record_bytes += stats.received_record_bytes;
    sum.sent_record_count += stats.sent_record_count;
    sum.sent_record_bytes += stats.sent_record_bytes;
    sum.held_back_record_count += stats.held_back_record_count;
  }
  return sum;
}

// Flips a bit of `marker`, which stands in one place on `disk`.
void FlipBitOf(storage::MemoryFileSystem& disk, const std::string& marker) {
  ASSERT_OK_AND_ASSIGN(const std::vector<std::string> files, disk.ListDirectory("data"));
  int flip_count = 0;
  for (const std::string& file : files) {
    const std::string path = absl::StrCat("data/", file);
    const size_t offset = disk.Contents(path).find(marker);
    if (offset == std::string::npos) continue;
    disk.FlipBit(path, offset, 3);
    ++flip_count;
  }
  ASSERT_EQ(flip_count, 1);
}

// Bytes that do not compress.
std::string RandomBytes(size_t count, uint64_t seed) {
  base::Random rng(seed);
  std::string bytes;
  while (bytes.size() < count) bytes += static_cast<char>(rng.Below(256));
  return bytes;
}

class ReplicaRepairTest : public testing::Test {
 protected:
  // Two replicas that agree on 1,000 keys and then are cut off from each other.
  void SetUp() override {
    cluster_.Step();
    for (int i = 0; i < 1000; ++i) cluster_.Put(0, absl::StrCat("key", i), "value");
    cluster_.Step();
    ASSERT_TRUE(cluster_.Converged());
    cluster_.Isolate(1, true);
    cluster_.Run(absl::Seconds(3));
  }

  void Heal() {
    cluster_.Isolate(1, false);
    cluster_.Run(absl::Seconds(3));
  }

  ReplicaCluster cluster_{2};
};

TEST_F(ReplicaRepairTest, MovesExactlyWhatDiffersBothWays) {
  cluster_.Put(0, "key1", "newer");   // 9 bytes of key and value,
  cluster_.Put(0, "only0", "x");      // 6,
  cluster_.Delete(0, "key2");         // 4;
  cluster_.Put(1, "key3", "newest");  // 10,
  cluster_.Delete(1, "key4");         // 4.
  Heal();
  EXPECT_TRUE(cluster_.Converged());
  for (size_t index = 0; index < 2; ++index) {
    EXPECT_EQ(cluster_.Get(index, "key1"), "newer");
    EXPECT_EQ(cluster_.Get(index, "only0"), "x");
    EXPECT_EQ(cluster_.Get(index, "key2"), absl::nullopt);
    EXPECT_EQ(cluster_.Get(index, "key3"), "newest");
    EXPECT_EQ(cluster_.Get(index, "key4"), absl::nullopt);
    EXPECT_EQ(cluster_.at(index).engine().stats().tombstone_count, 2);
  }
  const RepairStats stats = Sum(cluster_, 2);
  EXPECT_EQ(stats.session_count, 1);
  EXPECT_EQ(stats.failed_session_count, 0);
  EXPECT_EQ(stats.received_record_count + stats.sent_record_count, 5);
  EXPECT_EQ(stats.received_record_bytes + stats.sent_record_bytes, 33);
  EXPECT_LE(stats.round_trip_count, 6);
  // Each message has the transport's overhead and, but for records, nothing else.
  EXPECT_EQ(stats.metadata_bytes,
            2 * ReplicaCluster::kMessageOverheadBytes * stats.round_trip_count);
}

TEST_F(ReplicaRepairTest, TheNewestOfTwoWritesWinsOnBothSides) {
  cluster_.Put(0, "key1", "first");
  cluster_.Run(absl::Seconds(1));
  cluster_.Delete(1, "key1");
  cluster_.Delete(0, "key2");
  cluster_.Run(absl::Seconds(1));
  cluster_.Put(1, "key2", "again");
  Heal();
  EXPECT_TRUE(cluster_.Converged());
  for (size_t index = 0; index < 2; ++index) {
    EXPECT_EQ(cluster_.Get(index, "key1"), absl::nullopt);
    EXPECT_EQ(cluster_.Get(index, "key2"), "again");
  }
}

TEST_F(ReplicaRepairTest, MovesLargeAmountsInBoundedMessages) {
  for (int i = 0; i < 3000; ++i) {
    cluster_.Put(i % 2, absl::StrCat("new", i), std::string(1000, 'x'));
  }
  Heal();
  EXPECT_TRUE(cluster_.Converged());
  const RepairStats stats = Sum(cluster_, 2);
  EXPECT_EQ(stats.received_record_count + stats.sent_record_count, 3000);
  EXPECT_EQ(stats.session_count, 1);
  EXPECT_GE(stats.round_trip_count, 5) << "either side has more than a message holds";
}

TEST_F(ReplicaRepairTest, DoesNotFetchWhatHasComeMeanwhile) {
  // Each side has more than fits one response.
  for (int i = 0; i < 20; ++i) {
    cluster_.Put(0, absl::StrCat("0-", i), std::string(100'000, 'x'));
    cluster_.Put(1, absl::StrCat("1-", i), std::string(100'000, 'x'));
  }
  // While the first of them are fetched, pushes bring all.
  int fetch_count = 0;
  cluster_.interceptor =
      [&](size_t from, size_t to,
          const PeerRequest& request) -> absl::optional<absl::StatusOr<PeerResponse>> {
    if (request.index() != kFetchKind) return absl::nullopt;
    ++fetch_count;
    for (int i = 0; i < 20; ++i) {
      const base::KeyId key_id = base::KeyIdOf(absl::StrCat(to, "-", i));
      const auto record = cluster_.at(to).engine().GetRecord(key_id, nullptr);
      EXPECT_OK(record);
      EXPECT_OK(
          cluster_.at(from).engine().Apply({*record}, storage::Atomicity::kAll, cluster_.now()));
    }
    return absl::nullopt;
  };
  Heal();
  EXPECT_TRUE(cluster_.Converged());
  EXPECT_EQ(fetch_count, 1);
}

TEST_F(ReplicaRepairTest, ARestartedReplicaIsRepairedAtOnce) {
  cluster_.Isolate(1, false);
  cluster_.Run(absl::Seconds(3));
  for (int round = 0; round < 4; ++round) {
    cluster_.Kill(1);
    cluster_.Run(absl::Seconds(5));
    cluster_.Put(0, absl::StrCat("round", round), "value");
    cluster_.Start(1);
    // The one that restarts has the smaller or the greater node_id: as chance has it.
    cluster_.Run(absl::Seconds(1));
    EXPECT_TRUE(cluster_.Converged()) << round;
  }
}

TEST_F(ReplicaRepairTest, AnEmptyReplicaGetsEverything) {
  ReplicaCluster cluster(3);
  cluster.Kill(2);
  cluster.Step();
  for (int i = 0; i < 2000; ++i) cluster.Put(0, absl::StrCat("key", i), "value");
  cluster.Delete(1, "key7");
  cluster.Run(absl::Seconds(2));
  cluster.Start(2);
  cluster.Run(absl::Seconds(2));
  EXPECT_TRUE(cluster.Converged());
  // Each record once, although two peers have it all; tombstones, too.
  const RepairStats stats = Sum(cluster, 3);
  EXPECT_EQ(stats.received_record_count + stats.sent_record_count, 2000);
}

TEST_F(ReplicaRepairTest, ADamagedRecordIsNotHandedOutAndIsHealed) {
  cluster_.Isolate(1, false);
  cluster_.Run(absl::Seconds(3));
  ReplicaOptions options = ReplicaCluster::DefaultOptions();
  const std::string marker = "a value that is easily found on disk";
  cluster_.Put(0, "damaged", marker);
  cluster_.Run(absl::Seconds(2));
  ASSERT_TRUE(cluster_.Converged());
  FlipBitOf(cluster_.disk(0), marker);
  storage::Lsn lsn = 0;
  const auto fetched = cluster_.at(0).Answer(
      FetchRecordsRequest{.key_ids = {base::KeyIdOf("damaged")}}, cluster_.now(), &lsn);
  ASSERT_OK(fetched);
  EXPECT_TRUE(std::get<FetchRecordsResponse>(*fetched).records.empty());
  EXPECT_EQ(std::get<FetchRecordsResponse>(*fetched).handled_count, 1);
  EXPECT_FALSE(cluster_.Converged());
  cluster_.Run(absl::Seconds(3));
  EXPECT_TRUE(cluster_.Converged());
  EXPECT_EQ(cluster_.Get(0, "damaged"), marker);
  EXPECT_EQ(cluster_.at(0).engine().stats().damaged_key_count, 0);
}

TEST_F(ReplicaRepairTest, ScrubbingFindsDamageThatNobodyReadsAndAGossipRoundHealsIt) {
  ReplicaCluster cluster(3);
  const std::string marker = "a value that is easily found on disk";
  cluster.Put(0, "damaged", marker);
  cluster.Step();
  // Until the segment takes no more frames.
  for (int i = 0; i < 20; ++i) {
    cluster.Put(0, absl::StrCat("filler", i), RandomBytes(200'000, static_cast<uint64_t>(i)));
    cluster.Step();
  }
  cluster.Run(absl::Seconds(5));
  ASSERT_TRUE(cluster.Converged());
  ASSERT_EQ(cluster.at(0).engine().stats().damaged_key_count, 0);
  FlipBitOf(cluster.disk(0), marker);
  absl::optional<storage::ScrubFinding> finding;
  for (bool ended_pass = false; !ended_pass;) {
    ASSERT_OK_AND_ASSIGN(const ScrubStep step, cluster.at(0).Scrub());
    if (step.store.finding.has_value()) finding = step.store.finding;
    ended_pass = step.store.ended_pass;
  }
  ASSERT_TRUE(finding.has_value());
  EXPECT_EQ(finding->key_ids, std::vector<base::KeyId>{base::KeyIdOf("damaged")});
  EXPECT_FALSE(cluster.Converged());
  // One round with each peer, at whatever moment of its interval this is.
  cluster.Run(1.2 * ReplicaCluster::DefaultOptions().gossip_interval);
  EXPECT_TRUE(cluster.Converged());
  EXPECT_EQ(cluster.Get(0, "damaged"), marker);
  EXPECT_EQ(cluster.at(0).engine().stats().damaged_key_count, 0);
}

TEST_F(ReplicaRepairTest, ScrubbingComparesTheTreeWithTheEntries) {
  for (int step = 0; step < 200; ++step) ASSERT_OK(cluster_.at(0).Scrub());
  EXPECT_EQ(cluster_.at(0).tree_difference_count(), 0);
}

TEST_F(ReplicaRepairTest, FetchedRecordsFromTheFutureAreHeldBackUntilTheirTime) {
  storage::Record record{
      .key = "future",
      .value = "1",
      .version = {base::HlcFromTime(cluster_.now() + absl::Seconds(100)), base::ActorId{9}},
      .sequence = 1};
  ASSERT_OK(cluster_.at(1).engine().Apply({record}, storage::Atomicity::kAll, cluster_.now()));
  Heal();
  EXPECT_EQ(cluster_.Get(0, "future"), absl::nullopt);
  EXPECT_GT(cluster_.at(0).repair_stats().held_back_record_count, 0);
  const uint64_t sessions = Sum(cluster_, 2).session_count;
  cluster_.Run(absl::Seconds(30));
  EXPECT_LE(Sum(cluster_, 2).session_count, sessions + 12) << "it backs off";
  cluster_.Run(absl::Seconds(40));
  EXPECT_EQ(cluster_.Get(0, "future"), "1");
  EXPECT_TRUE(cluster_.Converged());
}

TEST_F(ReplicaRepairTest, SessionsEndWhenThePeerGoesAndCountAsFailed) {
  cluster_.Put(0, "key1", "newer");
  int reconcile_count = 0;
  cluster_.interceptor =
      [&](size_t, size_t,
          const PeerRequest& request) -> absl::optional<absl::StatusOr<PeerResponse>> {
    if (request.index() != kReconcileKind || ++reconcile_count > 3) return absl::nullopt;
    return absl::DeadlineExceededError("no answer");
  };
  cluster_.Isolate(1, false);
  cluster_.Run(absl::Seconds(20));
  const RepairStats stats = Sum(cluster_, 2);
  EXPECT_EQ(stats.failed_session_count, 3);
  EXPECT_EQ(stats.session_count, 1);
  EXPECT_TRUE(cluster_.Converged());
}

TEST_F(ReplicaRepairTest, SessionsUnderWayAreBounded) {
  ReplicaOptions options = ReplicaCluster::DefaultOptions();
  options.sessions_max = 2;
  ReplicaCluster cluster(6, options);
  for (size_t index = 0; index < 6; ++index) {
    cluster.Put(index, absl::StrCat("key", index), "value");
  }
  // One by one the replicas meet all peers; the calls of their sessions are left without answer.
  Outbox outbox;
  cluster.at(0).Tick(cluster.now(), outbox);
  size_t session_count = 0;
  std::vector<PeerCall> calls = std::move(outbox.calls);
  ASSERT_EQ(calls.size(), 6);
  for (const PeerCall& call : calls) {
    NodeSummary summary{.node_id = ~uint64_t{0} - call.peer,
                        .root = base::Sha256(absl::StrCat("root", call.peer))};
    Outbox next;
    cluster.at(0).OnReply(call.call_id, PeerResponse(ExchangeRootsResponse{.responder = summary}),
                          WireBytes{}, cluster.now(), next);
    for (const PeerCall& session_call : next.calls) {
      EXPECT_EQ(session_call.request.index(), kReconcileKind);
      ++session_count;
    }
  }
  EXPECT_EQ(session_count, 2);
}

TEST_F(ReplicaRepairTest, SessionCallsWaitForWhatTheyShow) {
  const storage::WriteResult written = cluster_.Put(0, "undurable", "1");
  cluster_.Isolate(1, false);
  std::vector<PeerCall> calls;
  for (int step = 0; step < 100 && calls.empty(); ++step) {
    // Time passes for replica 0 alone, whose exchanges are answered by a stranger.
    const absl::Time now = std::max(cluster_.now(), cluster_.at(0).next_tick());
    Outbox outbox;
    cluster_.at(0).Tick(now, outbox);
    for (const PeerCall& call : outbox.calls) {
      EXPECT_GE(call.release_lsn, written.lsn);
      NodeSummary summary{.node_id = ~uint64_t{0}, .root = base::Sha256("stranger")};
      Outbox next;
      cluster_.at(0).OnReply(call.call_id,
                             PeerResponse(ExchangeRootsResponse{.responder = summary}), WireBytes{},
                             now, next);
      for (PeerCall& session_call : next.calls) calls.push_back(std::move(session_call));
    }
  }
  ASSERT_FALSE(calls.empty());
  EXPECT_GE(calls[0].release_lsn, written.lsn);
}

// Answers that a peer must not give: they end the session, which is counted and reported, and
// nothing else happens. What a record says is checked as in pushes.
struct HostileAnswer {
  std::string name;
  size_t kind = 0;  // Of the requests that get this answer.
  std::function<PeerResponse(const PeerRequest&)> make;
};

class HostileAnswerTest : public ReplicaRepairTest,
                          public testing::WithParamInterface<HostileAnswer> {};

TEST_P(HostileAnswerTest, EndsTheSession) {
  for (int i = 0; i < 5; ++i) {
    cluster_.Put(0, absl::StrCat("only0-", i), "value");
    cluster_.Put(1, absl::StrCat("only1-", i), "value");
  }
  bool hostile = true;
  int hostile_count = 0;
  cluster_.interceptor =
      [&](size_t, size_t,
          const PeerRequest& request) -> absl::optional<absl::StatusOr<PeerResponse>> {
    if (!hostile || request.index() != GetParam().kind) return absl::nullopt;
    ++hostile_count;
    return GetParam().make(request);
  };
  Heal();
  ASSERT_GT(hostile_count, 0);
  EXPECT_GT(Sum(cluster_, 2).failed_session_count, 0);
  const absl::Status error_0 = cluster_.at(0).members()[1].repair_error;
  const absl::Status error_1 = cluster_.at(1).members()[0].repair_error;
  const absl::Status error = error_0.ok() ? error_1 : error_0;
  EXPECT_THAT(error, StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_EQ(base::ReasonOf(error), base::kReasonMessageInvalid);
  for (size_t index = 0; index < 2; ++index) {
    EXPECT_EQ(cluster_.Get(index, "stranger"), absl::nullopt);
  }
  hostile = false;
  cluster_.Run(absl::Seconds(40));
  EXPECT_TRUE(cluster_.Converged());
}

storage::Record Stranger() {
  return {.key = "stranger", .value = "1", .version = {1 << 20, base::ActorId{3}}, .sequence = 1};
}

INSTANTIATE_TEST_SUITE_P(
    All, HostileAnswerTest,
    testing::ValuesIn(std::vector<HostileAnswer>{
        {"AnotherKind", kReconcileKind,
         [](const PeerRequest&) { return PeerResponse(FetchRecordsResponse{}); }},
        {"ReconcileHandledTooMany", kReconcileKind,
         [](const PeerRequest&) {
           return PeerResponse(merkle::ReconcileResponse{.handled_count = 1000});
         }},
        {"FetchHandledNone", kFetchKind,
         [](const PeerRequest&) { return PeerResponse(FetchRecordsResponse{}); }},
        {"FetchHandledTooMany", kFetchKind,
         [](const PeerRequest& request) {
           const size_t count = std::get<FetchRecordsRequest>(request).key_ids.size();
           return PeerResponse(
               FetchRecordsResponse{.handled_count = static_cast<uint32_t>(count + 1)});
         }},
        {"FetchNotAskedFor", kFetchKind,
         [](const PeerRequest&) {
           return PeerResponse(FetchRecordsResponse{.records = {Stranger()}, .handled_count = 1});
         }},
        {"FetchInvalidRecord", kFetchKind,
         [](const PeerRequest&) {
           return PeerResponse(FetchRecordsResponse{.records = {{}}, .handled_count = 1});
         }},
        {"PushAppliedTooMany", kPushKind,
         [](const PeerRequest&) {
           return PeerResponse(PushRecordsResponse{.applied_count = 1000});
         }},
    }),
    [](const testing::TestParamInfo<HostileAnswer>& info) { return info.param.name; });

}  // namespace
}  // namespace slipstream::node

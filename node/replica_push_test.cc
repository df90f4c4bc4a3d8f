// New writes on their way to the peers, and what a replica knows of its peers.
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/digest.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "node/replica.h"
#include "node/testing/replica_cluster.h"
#include "storage/engine.h"
#include "storage/entry.h"
#include "storage/precondition.h"

namespace slipstream::node {
namespace {

using base::testing::StatusIs;
using testing::HasSubstr;
using testing::SizeIs;

constexpr size_t kPushKind = 3;

size_t CountPushes(const ReplicaCluster& cluster, size_t to) {
  size_t count = 0;
  for (const auto& delivery : cluster.deliveries) {
    if (delivery.to == to && delivery.kind == kPushKind) ++count;
  }
  return count;
}

class ReplicaPushTest : public testing::Test {
 protected:
  void SetUp() override { cluster_.Step(); }  // Everybody has met everybody.

  ReplicaCluster cluster_{3};
};

TEST_F(ReplicaPushTest, AWriteReachesAllPeersAtOnceWithoutASession) {
  cluster_.Put(0, "a", "1");
  cluster_.Delete(1, "b");
  cluster_.Step();
  EXPECT_TRUE(cluster_.Converged());
  for (size_t index = 0; index < 3; ++index) {
    EXPECT_EQ(cluster_.Get(index, "a"), "1");
    EXPECT_EQ(cluster_.at(index).repair_stats().session_count, 0);
    EXPECT_EQ(cluster_.at(index).engine().stats().tombstone_count, 1);
  }
  EXPECT_EQ(cluster_.at(0).push_stats().pushed_record_count, 2);
  EXPECT_EQ(cluster_.at(2).push_stats().received_record_count, 2);
  EXPECT_EQ(cluster_.at(0).push_stats().dropped_record_count, 0);
}

TEST_F(ReplicaPushTest, ACallWaitsForItsRecordsToBeDurable) {
  const storage::WriteResult written = cluster_.Put(0, "a", "1");
  Outbox outbox;
  cluster_.at(0).Tick(cluster_.now(), outbox);
  ASSERT_THAT(outbox.calls, SizeIs(2));
  for (const PeerCall& call : outbox.calls) {
    EXPECT_EQ(call.request.index(), kPushKind);
    EXPECT_EQ(call.release_lsn, written.lsn);
    EXPECT_EQ(call.timeout, cluster_.at(0).options().call_timeout);
  }
}

TEST_F(ReplicaPushTest, HasOutgoingTellsOfQueuedWrites) {
  EXPECT_FALSE(cluster_.at(0).has_outgoing());
  cluster_.Put(0, "a", "1");
  EXPECT_TRUE(cluster_.at(0).has_outgoing());
  Outbox outbox;
  cluster_.at(0).Tick(cluster_.now(), outbox);
  EXPECT_FALSE(cluster_.at(0).has_outgoing());
}

TEST_F(ReplicaPushTest, ABatchIsOneGroup) {
  cluster_.Write(0, {{.key = "a", .value = "1"}, {.key = "b", .value = "2"}});
  Outbox outbox;
  cluster_.at(0).Tick(cluster_.now(), outbox);
  const auto& push = std::get<PushRecordsRequest>(outbox.calls[0].request);
  ASSERT_THAT(push.groups, SizeIs(1));
  EXPECT_THAT(push.groups[0], SizeIs(2));
}

TEST_F(ReplicaPushTest, ATransactionIsOneGroupAndAConflictPushesNothing) {
  const std::vector<storage::Mutation> pair = {{.key = "a", .value = "1"},
                                               {.key = "b", .value = "2"}};
  const storage::Precondition absent{.kind = storage::Precondition::Kind::kAbsent, .key = "a"};
  storage::Lsn lsn = 0;
  ASSERT_OK(cluster_.at(0).Transact({absent}, pair, cluster_.now(), &lsn));
  EXPECT_EQ(lsn, 3u);
  Outbox outbox;
  cluster_.at(0).Tick(cluster_.now(), outbox);
  const auto& push = std::get<PushRecordsRequest>(outbox.calls[0].request);
  ASSERT_THAT(push.groups, SizeIs(1));
  EXPECT_THAT(push.groups[0], SizeIs(2));
  // The conflict tells of records that are not durable: its answer has to wait for them.
  lsn = 0;
  EXPECT_THAT(cluster_.at(0).Transact({absent}, pair, cluster_.now(), &lsn),
              StatusIs(absl::StatusCode::kAborted));
  EXPECT_EQ(lsn, 3u);
  EXPECT_FALSE(cluster_.at(0).has_outgoing());
}

TEST_F(ReplicaPushTest, HasNoMoreCallsUnderWayThanAllowed) {
  std::vector<PeerCall> calls;
  for (int i = 0; i < 10; ++i) {
    cluster_.Put(0, std::to_string(i), "value");
    Outbox outbox;
    cluster_.at(0).Tick(cluster_.now(), outbox);
    for (PeerCall& call : outbox.calls) calls.push_back(std::move(call));
  }
  EXPECT_THAT(calls, SizeIs(2 * cluster_.at(0).options().push_calls_max));
  // An answer makes room: the rest goes in one call.
  Outbox outbox;
  cluster_.at(0).OnReply(calls[0].call_id, PeerResponse(PushRecordsResponse{.applied_count = 1}),
                         WireBytes{}, cluster_.now(), outbox);
  ASSERT_THAT(outbox.calls, SizeIs(1));
  EXPECT_THAT(std::get<PushRecordsRequest>(outbox.calls[0].request).groups, SizeIs(8));
}

TEST_F(ReplicaPushTest, AnUnreachablePeerGetsNothing) {
  cluster_.Kill(2);
  cluster_.Run(absl::Seconds(3));
  const size_t before = CountPushes(cluster_, 2);
  for (int i = 0; i < 10; ++i) {
    cluster_.Put(0, std::to_string(i), "value");
    cluster_.Step();
  }
  EXPECT_EQ(CountPushes(cluster_, 2), before);
  EXPECT_EQ(cluster_.Root(0), cluster_.Root(1));
  EXPECT_EQ(cluster_.at(0).push_stats().dropped_record_count, 0);
}

TEST_F(ReplicaPushTest, AFailedPushIsCountedAndTheLossFoundOutSoon) {
  cluster_.SetLink(0, 2, false);
  cluster_.Put(0, "a", "1");
  cluster_.Step();
  EXPECT_EQ(cluster_.at(0).push_stats().dropped_record_count, 1);
  cluster_.Run(absl::Milliseconds(300));
  EXPECT_FALSE(cluster_.at(0).members()[2].reachable);
}

TEST_F(ReplicaPushTest, WhatDoesNotFitTheQueueIsDroppedAndRepaired) {
  ReplicaOptions options = ReplicaCluster::DefaultOptions();
  options.push_queue_bytes_max = 4096;
  ReplicaCluster cluster(2, options);
  cluster.Step();
  for (int i = 0; i < 20; ++i) cluster.Put(0, std::to_string(i), std::string(1000, 'x'));
  EXPECT_EQ(cluster.at(0).push_stats().dropped_record_count, 17);
  cluster.Run(absl::Seconds(3));
  EXPECT_TRUE(cluster.Converged());
}

TEST_F(ReplicaPushTest, ABatchLargerThanAMessageIsLeftToRepair) {
  ReplicaOptions options = ReplicaCluster::DefaultOptions();
  options.message_bytes_max = 8192;
  ReplicaCluster cluster(2, options);
  cluster.Step();
  const std::string value(5000, 'x');
  cluster.Write(0, {{.key = "a", .value = value}, {.key = "b", .value = value}});
  cluster.Step();
  EXPECT_EQ(cluster.Get(1, "a"), absl::nullopt);
  EXPECT_EQ(cluster.at(0).push_stats().dropped_record_count, 2);
  cluster.Run(absl::Seconds(3));
  EXPECT_EQ(cluster.Get(1, "a"), value);
  EXPECT_TRUE(cluster.Converged());
}

TEST(ReplicaAloneTest, MakesNoPushesAndIsNeverDue) {
  ReplicaCluster cluster(1);
  cluster.Run(absl::Seconds(5));
  EXPECT_TRUE(cluster.at(0).members()[0].self);
  cluster.Put(0, "a", "1");
  EXPECT_FALSE(cluster.at(0).has_outgoing());
}

// Members.

TEST_F(ReplicaPushTest, MembersTellWhoIsThere) {
  cluster_.Kill(2);
  cluster_.Put(1, "a", "1");
  cluster_.Run(absl::Seconds(3));
  const std::vector<MemberState> members = cluster_.at(0).members();
  ASSERT_THAT(members, SizeIs(3));
  EXPECT_TRUE(members[0].self);
  EXPECT_OK(members[0].error);
  EXPECT_EQ(members[1].endpoint, "node1");
  EXPECT_TRUE(members[1].reachable);
  EXPECT_OK(members[1].error);
  EXPECT_EQ(members[1].summary->name, "name1");
  EXPECT_EQ(members[1].summary->root, cluster_.Root(1));
  EXPECT_EQ(members[1].summary->key_count, 1);
  EXPECT_GE(*members[1].last_seen, cluster_.now() - absl::Seconds(1.1));
  EXPECT_FALSE(members[2].reachable);
  EXPECT_THAT(members[2].error, StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_LE(*members[2].last_seen, cluster_.now() - absl::Seconds(3));
}

TEST_F(ReplicaPushTest, ACopiedDataDirectoryIsReportedAndNotUsed) {
  // Node 2 answers as if it had node 1's identity.
  cluster_.interceptor =
      [this](size_t, size_t to,
             const PeerRequest& request) -> absl::optional<absl::StatusOr<PeerResponse>> {
    if (to != 2 || request.index() != 0) return absl::nullopt;
    NodeSummary summary{.node_id = cluster_.at(1).engine().node_id(), .name = "copy"};
    return PeerResponse(ExchangeRootsResponse{.responder = summary});
  };
  cluster_.Run(absl::Seconds(2));
  const std::vector<MemberState> members = cluster_.at(0).members();
  EXPECT_TRUE(members[1].reachable);
  EXPECT_FALSE(members[2].reachable);
  EXPECT_THAT(members[2].error,
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("copy of the other")));
  const size_t before = CountPushes(cluster_, 2);
  cluster_.Put(0, "a", "1");
  cluster_.Step();
  EXPECT_EQ(CountPushes(cluster_, 2), before);
}

TEST_F(ReplicaPushTest, AReplyToNothingIsIgnored) {
  Outbox outbox;
  cluster_.at(0).OnReply(999'999, absl::UnavailableError("late"), WireBytes{}, cluster_.now(),
                         outbox);
  EXPECT_TRUE(outbox.calls.empty());
}

}  // namespace
}  // namespace slipstream::node

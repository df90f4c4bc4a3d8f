#include "gossip/gossip.h"

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/digest.h"
#include "base/random.h"
#include "base/version.h"
#include "gmock/gmock.h"
#include "gossip/node_summary.h"
#include "gtest/gtest.h"

namespace slipstream::gossip {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr absl::Duration kInterval = absl::Seconds(1);

NodeSummary Node(uint64_t node_id, absl::string_view root) {
  return {.node_id = node_id,
          .actor = base::ActorId{node_id * 100},
          .name = std::to_string(node_id),
          .root = base::Sha256(root),
          .hlc = 1000};
}

class GossipTest : public testing::Test {
 protected:
  // A node in the middle, so that peers below and above it can be had.
  static constexpr uint64_t kOwnId = 50;

  Gossip& Start(size_t peer_count) {
    std::vector<std::string> endpoints;
    for (size_t index = 0; index < peer_count; ++index) {
      endpoints.push_back("peer" + std::to_string(index));
    }
    gossip_.emplace(endpoints, GossipOptions{.interval = kInterval, .sessions_max = 2}, &rng_);
    return *gossip_;
  }

  std::vector<PeerIndex> Tick() {
    GossipActions actions;
    gossip_->Tick(now_, actions);
    EXPECT_THAT(actions.sessions, IsEmpty());
    return actions.exchanges;
  }

  // Waits until an exchange with `peer` is due; others that are due before are left open.
  void AwaitExchange(PeerIndex peer) {
    for (int step = 0; step < 1000; ++step) {
      now_ = std::max(now_, gossip_->next_tick());
      for (const PeerIndex index : Tick()) {
        if (index == peer) return;
        gossip_->OnExchangeFailed(index, absl::UnavailableError("not of this test"));
      }
    }
    FAIL() << "no exchange";
  }

  // The sessions that an exchange with `peer`, started already, makes start.
  std::vector<PeerIndex> Exchange(PeerIndex peer, const NodeSummary& theirs) {
    GossipActions actions;
    gossip_->OnExchanged(peer, theirs, own_, now_, actions);
    return actions.sessions;
  }

  std::vector<PeerIndex> Hear(const NodeSummary& theirs) {
    GossipActions actions;
    gossip_->OnHeard(theirs, own_, now_, actions);
    return actions.sessions;
  }

  absl::Time now_ = absl::FromUnixSeconds(1'000'000);
  base::Random rng_{1};
  NodeSummary own_ = Node(kOwnId, "own");
  absl::optional<Gossip> gossip_;
};

TEST_F(GossipTest, ExchangesWithAllPeersAtOnceAtTheStart) {
  Start(3);
  EXPECT_LE(gossip_->next_tick(), now_);
  EXPECT_THAT(Tick(), ElementsAre(0, 1, 2));
  EXPECT_THAT(Tick(), IsEmpty());
}

TEST_F(GossipTest, WithoutPeersNothingIsEverDue) {
  Start(0);
  EXPECT_EQ(gossip_->next_tick(), absl::InfiniteFuture());
  EXPECT_THAT(Tick(), IsEmpty());
}

TEST_F(GossipTest, ExchangesEveryIntervalWithALittleChance) {
  Start(1);
  Tick();
  for (int round = 0; round < 100; ++round) {
    Exchange(0, Node(60, "own"));
    EXPECT_GE(gossip_->next_tick(), now_ + kInterval * 0.9);
    EXPECT_LE(gossip_->next_tick(), now_ + kInterval * 1.1);
    now_ = gossip_->next_tick();
    EXPECT_THAT(Tick(), ElementsAre(0));
  }
}

TEST_F(GossipTest, HasOneExchangeUnderWayWithAPeer) {
  Start(1);
  Tick();
  now_ += 10 * kInterval;
  EXPECT_THAT(Tick(), IsEmpty());
  Exchange(0, Node(60, "own"));
  EXPECT_THAT(Tick(), ElementsAre(0));
}

TEST_F(GossipTest, APeerIsReachableIfItAnsweredTheLastExchange) {
  Start(1);
  EXPECT_EQ(gossip_->peer(0).state, PeerState::kUnknown);
  EXPECT_FALSE(gossip_->peer(0).error.ok());
  Tick();
  Exchange(0, Node(60, "own"));
  EXPECT_EQ(gossip_->peer(0).state, PeerState::kReachable);
  EXPECT_TRUE(gossip_->peer(0).error.ok());
  EXPECT_EQ(gossip_->peer(0).last_seen, now_);
  EXPECT_EQ(gossip_->peer(0).summary->node_id, 60);
  AwaitExchange(0);
  gossip_->OnExchangeFailed(0, absl::UnavailableError("gone"));
  EXPECT_EQ(gossip_->peer(0).state, PeerState::kUnreachable);
  EXPECT_EQ(gossip_->peer(0).error, absl::UnavailableError("gone"));
  // It is probed on.
  EXPECT_LE(gossip_->next_tick(), now_ + kInterval * 1.1);
}

TEST_F(GossipTest, LeavesItselfOut) {
  Start(2);
  Tick();
  EXPECT_THAT(Exchange(0, own_), IsEmpty());
  EXPECT_EQ(gossip_->peer(0).state, PeerState::kSelf);
  EXPECT_TRUE(gossip_->peer(0).error.ok());
  EXPECT_THAT(Exchange(1, Node(60, "own")), IsEmpty());
  const absl::Time start = now_;
  while (now_ < start + kInterval * (Gossip::kSelfIntervals * 0.8)) {
    now_ = gossip_->next_tick();
    EXPECT_THAT(Tick(), ElementsAre(1));
    Exchange(1, Node(60, "own"));
  }
}

TEST_F(GossipTest, ACopyOfTheOwnDataDirectoryIsAConflict) {
  for (int kind = 0; kind < 3; ++kind) {
    Start(1);
    Tick();
    NodeSummary copy = Node(kOwnId, "other");
    if (kind == 0) copy.actor = base::ActorId{7};
    if (kind == 1) copy.name = "other";
    if (kind == 2) copy.hlc = own_.hlc + 1;
    EXPECT_THAT(Exchange(0, copy), IsEmpty());
    EXPECT_EQ(gossip_->peer(0).state, PeerState::kConflict);
    EXPECT_EQ(gossip_->peer(0).error.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(gossip_->peer(0).error.message(), HasSubstr("peer0 answers with node id"));
  }
}

TEST_F(GossipTest, TwoPeersWithOneNodeIdAreAConflict) {
  Start(2);
  Tick();
  EXPECT_THAT(Exchange(0, Node(60, "own")), IsEmpty());
  EXPECT_THAT(Exchange(1, Node(60, "other")), IsEmpty());
  EXPECT_EQ(gossip_->peer(0).state, PeerState::kReachable);
  EXPECT_EQ(gossip_->peer(1).state, PeerState::kConflict);
  EXPECT_THAT(gossip_->peer(1).error.message(), HasSubstr("peer0 has"));
}

TEST_F(GossipTest, AConflictEndsWhenTheFirstHolderOfTheIdIsGone) {
  Start(2);
  Tick();
  Exchange(0, Node(60, "own"));
  Exchange(1, Node(60, "own"));
  AwaitExchange(0);
  gossip_->OnExchangeFailed(0, absl::UnavailableError("gone"));
  AwaitExchange(1);
  Exchange(1, Node(60, "own"));
  EXPECT_EQ(gossip_->peer(1).state, PeerState::kReachable);
}

TEST_F(GossipTest, EqualRootsNeedNoSession) {
  Start(1);
  Tick();
  EXPECT_THAT(Exchange(0, Node(60, "own")), IsEmpty());
}

TEST_F(GossipTest, TheSmallerNodeIdStartsASessionAtOnce) {
  Start(1);
  Tick();
  EXPECT_THAT(Exchange(0, Node(60, "other")), ElementsAre(0));
}

TEST_F(GossipTest, TheGreaterNodeIdStartsOnlyIfTheDifferenceIsNeglected) {
  Start(1);
  Tick();
  EXPECT_THAT(Exchange(0, Node(40, "other")), IsEmpty());
  AwaitExchange(0);
  EXPECT_THAT(Exchange(0, Node(40, "another")), IsEmpty());  // Somebody is at it.
  AwaitExchange(0);
  EXPECT_THAT(Exchange(0, Node(40, "another")), ElementsAre(0));
}

TEST_F(GossipTest, OfNodesWithOneRootOnlyTheSmallestStarts) {
  Start(2);
  Tick();
  EXPECT_THAT(Exchange(0, Node(40, "own")), IsEmpty());
  EXPECT_THAT(Exchange(1, Node(60, "other")), IsEmpty());
  AwaitExchange(1);
  EXPECT_THAT(Exchange(1, Node(60, "other")), ElementsAre(1)) << "nor did that one";
}

TEST_F(GossipTest, OfPeersWithOneRootOnlyOneIsRepairedAtATime) {
  Start(3);
  Tick();
  EXPECT_THAT(Exchange(0, Node(60, "other")), ElementsAre(0));
  EXPECT_THAT(Exchange(1, Node(61, "other")), IsEmpty());
  EXPECT_THAT(Exchange(2, Node(62, "third")), ElementsAre(2));
}

TEST_F(GossipTest, SessionsAreBounded) {
  Start(4);
  Tick();
  EXPECT_THAT(Exchange(0, Node(60, "a")), ElementsAre(0));
  EXPECT_THAT(Exchange(1, Node(61, "b")), ElementsAre(1));
  EXPECT_THAT(Exchange(2, Node(62, "c")), IsEmpty());
  gossip_->OnSessionEnded(0, SessionOutcome::kFailed, now_);
  EXPECT_THAT(Exchange(3, Node(63, "d")), ElementsAre(3));
}

TEST_F(GossipTest, APeerHasOneSession) {
  Start(1);
  Tick();
  EXPECT_THAT(Exchange(0, Node(60, "a")), ElementsAre(0));
  AwaitExchange(0);
  EXPECT_THAT(Exchange(0, Node(60, "b")), IsEmpty());
}

TEST_F(GossipTest, ASessionThatBroughtNothingIsNotRepeatedAtOnce) {
  Start(1);
  Tick();
  EXPECT_THAT(Exchange(0, Node(60, "other")), ElementsAre(0));
  gossip_->OnSessionEnded(0, SessionOutcome::kNothing, now_);
  const absl::Time ended = now_;
  int exchange_count = 0;
  do {
    AwaitExchange(0);
    ++exchange_count;
  } while (Exchange(0, Node(60, "other")).empty());
  EXPECT_GE(now_, ended + kInterval);
  EXPECT_LE(exchange_count, 3);
}

TEST_F(GossipTest, ASessionOfUseHurriesTheExchangesWithAllReachablePeers) {
  Start(3);
  Tick();
  Exchange(0, Node(60, "other"));
  Exchange(1, Node(61, "own"));
  gossip_->OnExchangeFailed(2, absl::UnavailableError("gone"));
  gossip_->OnSessionEnded(0, SessionOutcome::kRepaired, now_);
  now_ += kInterval / 4;
  EXPECT_THAT(Tick(), ElementsAre(0, 1));
}

TEST_F(GossipTest, TheSideThatRepairedGoesOnPromptly) {
  Start(1);
  Tick();
  Exchange(0, Node(40, "other"));
  AwaitExchange(0);
  ASSERT_THAT(Exchange(0, Node(40, "other")), ElementsAre(0));
  gossip_->OnSessionEnded(0, SessionOutcome::kRepaired, now_);
  AwaitExchange(0);
  EXPECT_THAT(Exchange(0, Node(40, "another")), ElementsAre(0));
}

TEST_F(GossipTest, APeerThatComesBackIsNotBackedOffFrom) {
  Start(1);
  Tick();
  for (int round = 0; round < 4; ++round) {
    while (Exchange(0, Node(60, "other")).empty()) AwaitExchange(0);
    gossip_->OnSessionEnded(0, SessionOutcome::kFailed, now_);
    AwaitExchange(0);
  }
  ASSERT_THAT(Exchange(0, Node(60, "other")), IsEmpty()) << "for 8 intervals at least";
  AwaitExchange(0);
  gossip_->OnExchangeFailed(0, absl::UnavailableError("gone"));
  AwaitExchange(0);
  EXPECT_THAT(Exchange(0, Node(60, "other")), ElementsAre(0));
}

TEST_F(GossipTest, AnUnreachablePeerThatIsHeardOfIsAskedSoon) {
  Start(2);
  Tick();
  Exchange(0, Node(60, "own"));
  Exchange(1, Node(61, "own"));
  AwaitExchange(0);
  gossip_->OnExchangeFailed(0, absl::UnavailableError("gone"));
  now_ += kInterval / 2;
  EXPECT_THAT(Hear(Node(60, "other")), IsEmpty()) << "it may not be reachable";
  EXPECT_LE(gossip_->next_tick(), now_);
}

TEST_F(GossipTest, AnUnknownNodeThatIsHeardOfMakesUnreachablePeersBeAsked) {
  Start(2);
  Tick();
  Exchange(0, Node(60, "own"));
  gossip_->OnExchangeFailed(1, absl::UnavailableError("not started"));
  now_ += kInterval / 2;
  Hear(Node(61, "other"));
  EXPECT_THAT(Tick(), ElementsAre(1));
}

TEST_F(GossipTest, WhatAReachablePeerTellsCountsLikeAnExchange) {
  Start(1);
  Tick();
  EXPECT_THAT(Exchange(0, Node(60, "own")), IsEmpty());
  EXPECT_THAT(Hear(Node(60, "other")), ElementsAre(0));
}

TEST_F(GossipTest, HearingItselfMeansNothing) {
  Start(1);
  Tick();
  gossip_->OnExchangeFailed(0, absl::UnavailableError("gone"));
  const absl::Time next = gossip_->next_tick();
  EXPECT_THAT(Hear(own_), IsEmpty());
  EXPECT_EQ(gossip_->next_tick(), next);
}

TEST_F(GossipTest, HurryKeepsAQuarterOfAnIntervalBetweenExchanges) {
  Start(1);
  const absl::Time start = now_;
  Tick();
  gossip_->OnExchangeFailed(0, absl::UnavailableError("gone"));
  for (int round = 0; round < 10; ++round) gossip_->HurryExchange(0, now_);
  EXPECT_EQ(gossip_->next_tick(), start + kInterval / 4);
}

}  // namespace
}  // namespace slipstream::gossip

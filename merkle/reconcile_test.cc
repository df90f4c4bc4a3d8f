#include "merkle/reconcile.h"

#include <algorithm>
#include <set>
#include <vector>

#include "absl/status/status.h"
#include "base/key_id.h"
#include "base/random.h"
#include "base/testing/status_matchers.h"
#include "base/version.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "merkle/reconcile_message.h"
#include "merkle/testing/fake_replica.h"
#include "merkle/testing/loopback.h"
#include "merkle/tree.h"

namespace slipstream::merkle {
namespace {

using ::slipstream::base::testing::StatusIs;
using testing::FakeRecord;
using testing::FakeReplica;
using ::testing::IsEmpty;
using testing::RandomKeyId;
using testing::RandomRecord;
using testing::RunSession;
using testing::SessionOptions;
using testing::SessionResult;
using ::testing::SizeIs;

FakeRecord RandomTombstone(base::Random& rng, base::Hlc hlc) {
  FakeRecord record = RandomRecord(rng, hlc);
  record.tombstone = true;
  return record;
}

// Two replicas and what happens to them.
class ReconcileTest : public ::testing::Test {
 protected:
  // Puts `count` equal entries into both.
  void FillBoth(int count, int zero_bits = 0) {
    for (int i = 0; i < count; ++i) {
      const base::KeyId key_id = NewKeyId(zero_bits);
      const FakeRecord record = RandomRecord(rng_, hlc_++);
      left_.Set(key_id, record);
      right_.Set(key_id, record);
      key_ids_.push_back(key_id);
    }
  }

  base::KeyId NewKeyId(int zero_bits) {
    base::KeyId key_id = RandomKeyId(rng_);
    const base::KeyId rest = base::RangeOf(base::MakePrefix({}, zero_bits)).last;
    for (size_t i = 0; i < base::kKeyIdBytes; ++i) key_id.bytes[i] &= rest.bytes[i];
    return key_id;
  }

  // Overwrites `count` different entries of FillBoth, alternately on each side.
  void Overwrite(size_t count) {
    for (size_t i = 0; i < count; ++i) {
      std::swap(key_ids_[i], key_ids_[i + rng_.Below(key_ids_.size() - i)]);
      (i % 2 == 0 ? left_ : right_).Set(key_ids_[i], RandomRecord(rng_, hlc_++));
    }
  }

  // Makes `count` keys differ in any of the ways in which they can.
  void Diverge(int count, int zero_bits = 0) {
    for (int i = 0; i < count; ++i) {
      const bool old_key = !key_ids_.empty() && rng_.OneIn(2);
      const base::KeyId key_id =
          old_key ? key_ids_[rng_.Below(key_ids_.size())] : NewKeyId(zero_bits);
      FakeReplica& one = rng_.OneIn(2) ? left_ : right_;
      FakeReplica& other = &one == &left_ ? right_ : left_;
      const base::Hlc older = hlc_++;
      if (rng_.OneIn(3)) other.Apply(key_id, AnyRecord(older));
      if (rng_.OneIn(8)) {
        one.Erase(key_id);
      } else {
        one.Apply(key_id, AnyRecord(hlc_++));
      }
    }
  }

  FakeRecord AnyRecord(base::Hlc hlc) {
    return rng_.OneIn(3) ? RandomTombstone(rng_, hlc) : RandomRecord(rng_, hlc);
  }

  // Checks that each finding is a difference, told once and on the right side, then applies all.
  void Apply(const SessionResult& found) {
    std::set<base::KeyId> seen;
    for (const EntrySummary& entry : found.needed) {
      EXPECT_TRUE(seen.insert(entry.key_id).second);
      const auto theirs = right_.Find(entry.key_id);
      ASSERT_TRUE(theirs.has_value());
      EXPECT_EQ(theirs->version, entry.version);
      EXPECT_TRUE(left_.Apply(entry.key_id, *theirs));
    }
    for (const base::KeyId& key_id : found.offered) {
      EXPECT_TRUE(seen.insert(key_id).second);
      const auto mine = left_.Find(key_id);
      ASSERT_TRUE(mine.has_value());
      EXPECT_TRUE(right_.Apply(key_id, *mine));
    }
  }

  SessionResult Run(const SessionOptions& options = {}) {
    return RunSession(left_, right_, options, rng_);
  }

  bool RootsAgree() { return left_.tree().Root() == right_.tree().Root(); }

  base::Random rng_{1};
  base::Hlc hlc_ = 1;
  FakeReplica left_;
  FakeReplica right_;
  std::vector<base::KeyId> key_ids_;
};

SessionOptions BothLimits(const ReconcileLimits& limits) {
  SessionOptions options;
  options.initiator_limits = limits;
  options.responder_limits = limits;
  return options;
}

TEST_F(ReconcileTest, EqualReplicasNeedOneRoundTrip) {
  FillBoth(1000);
  const SessionResult result = Run();
  EXPECT_OK(result.status);
  EXPECT_EQ(result.round_trips, 1u);
  EXPECT_THAT(result.needed, IsEmpty());
  EXPECT_THAT(result.offered, IsEmpty());
  EXPECT_LE(result.request_bytes + result.response_bytes, 180u);
}

TEST_F(ReconcileTest, EmptyReplicasAreEqual) {
  const SessionResult result = Run();
  EXPECT_OK(result.status);
  EXPECT_EQ(result.round_trips, 1u);
}

TEST_F(ReconcileTest, AnyTwoReplicasAreEqualAfterOneSession) {
  for (uint64_t seed = 0; seed < 60; ++seed) {
    rng_ = base::Random(seed);
    const int zero_bits = std::vector<int>{0, 0, 8, 77, 150}[seed % 5];
    FillBoth(static_cast<int>(rng_.Below(400)), zero_bits);
    Diverge(static_cast<int>(rng_.Below(60)), zero_bits);
    ReconcileLimits limits;
    limits.list_entries_max = rng_.Below(20);
    limits.message_bytes_max = rng_.OneIn(2) ? 256 << 10 : rng_.Below(4000);
    SessionOptions options = BothLimits(limits);
    options.responder_limits.list_entries_max = rng_.Below(20);
    const SessionResult result = Run(options);
    ASSERT_OK(result.status) << "seed " << seed;
    Apply(result);
    ASSERT_TRUE(RootsAgree()) << "seed " << seed;
    key_ids_.clear();
    for (const auto& [key_id, record] : left_.Records()) {
      if (rng_.OneIn(2)) continue;
      left_.Erase(key_id);
      right_.Erase(key_id);
    }
  }
}

TEST_F(ReconcileTest, ATombstoneAgainstAnOlderLiveEntryIsHandedOver) {
  FillBoth(100);
  left_.Set(key_ids_[0], RandomTombstone(rng_, hlc_++));
  right_.Set(key_ids_[1], RandomTombstone(rng_, hlc_++));
  const SessionResult result = Run();
  EXPECT_THAT(result.offered, ::testing::ElementsAre(key_ids_[0]));
  ASSERT_THAT(result.needed, SizeIs(1));
  EXPECT_EQ(result.needed[0].key_id, key_ids_[1]);
}

TEST_F(ReconcileTest, ATombstoneDoesNotBeatANewerLiveEntry) {
  FillBoth(100);
  left_.Set(key_ids_[0], RandomTombstone(rng_, hlc_++));
  right_.Set(key_ids_[0], RandomRecord(rng_, hlc_++));
  Apply(Run());
  EXPECT_FALSE(left_.Find(key_ids_[0])->tombstone);
  EXPECT_TRUE(RootsAgree());
}

TEST_F(ReconcileTest, TombstonesUnknownToTheOtherSideAreNoDifference) {
  FillBoth(100);
  for (int i = 0; i < 1000; ++i) {
    (i % 2 == 0 ? left_ : right_).Set(NewKeyId(0), RandomTombstone(rng_, hlc_++));
  }
  const SessionResult result = Run();
  EXPECT_OK(result.status);
  EXPECT_EQ(result.round_trips, 1u);
}

TEST_F(ReconcileTest, ALiveEntryIsFoundAmongManyTombstones) {
  for (FakeReplica* replica : {&left_, &right_}) {
    for (int i = 0; i < 3000; ++i) replica->Set(NewKeyId(0), RandomTombstone(rng_, hlc_++));
  }
  left_.Set(NewKeyId(0), RandomRecord(rng_, hlc_++));
  right_.Set(NewKeyId(0), RandomRecord(rng_, hlc_++));
  const SessionResult result = Run();
  EXPECT_OK(result.status);
  Apply(result);
  EXPECT_TRUE(RootsAgree());
  EXPECT_LE(result.round_trips, 4u);
  EXPECT_LE(result.needed.size() + result.offered.size(), 20u);
}

TEST_F(ReconcileTest, AReplicaOfTombstonesMeetsOneOfLiveEntries) {
  for (int i = 0; i < 500; ++i) {
    const base::KeyId key_id = NewKeyId(60);
    left_.Set(key_id, RandomTombstone(rng_, 2));
    right_.Set(key_id, RandomRecord(rng_, rng_.OneIn(2) ? 1 : 3));
  }
  const SessionResult result = Run();
  EXPECT_OK(result.status);
  EXPECT_EQ(result.needed.size() + result.offered.size(), 500u);
  Apply(result);
  EXPECT_TRUE(RootsAgree());
}

// Equal versions, but one side's floor is later: expired there, live here.
TEST_F(ReconcileTest, EntriesThatDifferOnlyInBeingExpiredYieldNothing) {
  FillBoth(100);
  FakeRecord expired = *left_.Find(key_ids_[0]);
  expired.tombstone = true;
  left_.Set(key_ids_[0], expired);
  ASSERT_FALSE(RootsAgree());
  const SessionResult result = Run();
  EXPECT_OK(result.status);
  EXPECT_THAT(result.needed, IsEmpty());
  EXPECT_THAT(result.offered, IsEmpty());
}

TEST_F(ReconcileTest, AnEmptyInitiatorNeedsEverything) {
  for (int i = 0; i < 5000; ++i) right_.Set(NewKeyId(0), RandomRecord(rng_, hlc_++));
  const SessionResult result = Run();
  EXPECT_OK(result.status);
  EXPECT_THAT(result.needed, SizeIs(5000));
  // An entry of a verdict is 35 bytes; all else is little beside it.
  EXPECT_LE(result.request_bytes + result.response_bytes, 5000u * 38);
  Apply(result);
  EXPECT_TRUE(RootsAgree());
}

TEST_F(ReconcileTest, AnEmptyAnsweringSideIsOfferedEverything) {
  for (int i = 0; i < 5000; ++i) left_.Set(NewKeyId(0), RandomRecord(rng_, hlc_++));
  const SessionResult result = Run();
  EXPECT_OK(result.status);
  EXPECT_THAT(result.offered, SizeIs(5000));
  EXPECT_EQ(result.round_trips, 1u);
  EXPECT_LE(result.request_bytes + result.response_bytes, 400u);
}

TEST_F(ReconcileTest, OneDifferenceAmongManyCostsLittle) {
  FillBoth(10'000);
  for (int i = 0; i < 10; ++i) {
    Overwrite(1);
    const SessionResult result = Run();
    EXPECT_LE(result.round_trips, 4u);
    EXPECT_LE(result.request_bytes + result.response_bytes, 1100u);
    Apply(result);
    ASSERT_TRUE(RootsAgree());
  }
}

TEST_F(ReconcileTest, ManyDifferencesAreCheaperApiece) {
  FillBoth(10'000);
  Overwrite(1000);
  const SessionResult result = Run();
  EXPECT_EQ(result.needed.size(), 500u);
  EXPECT_EQ(result.offered.size(), 500u);
  EXPECT_LE(result.round_trips, 5u);
  EXPECT_LE(result.request_bytes + result.response_bytes, 1000u * 300);
}

TEST_F(ReconcileTest, MessagesKeepToTheirBoundAndGoOn) {
  FillBoth(5000);
  Overwrite(800);
  for (const size_t bytes_max : {0, 1, 300, 3000, 10'000}) {
    const ReconcileLimits limits{.message_bytes_max = bytes_max};
    const SessionResult result = Run(BothLimits(limits));
    EXPECT_OK(result.status);
    EXPECT_EQ(result.needed.size() + result.offered.size(), 800u) << bytes_max;
    // One item is always handled, and answered by at most 16 subtrees.
    EXPECT_LE(result.largest_message_bytes, std::max<size_t>(bytes_max + 40, 16 * 160));
  }
}

TEST_F(ReconcileTest, AVerdictThatFitsIntoNoMessageIsSoughtBelow) {
  FillBoth(10);
  for (int i = 0; i < 3000; ++i) right_.Set(NewKeyId(8), RandomRecord(rng_, hlc_++));
  const ReconcileLimits limits{.message_bytes_max = 4000};
  const SessionResult result = Run(BothLimits(limits));
  EXPECT_OK(result.status);
  EXPECT_THAT(result.needed, SizeIs(3000));
  EXPECT_LE(result.largest_message_bytes, 4000u + 40);
}

TEST_F(ReconcileTest, WhatIsAskedInVainStaysBelowWhatIsAnswered) {
  FillBoth(10'000);
  Overwrite(4000);
  const ReconcileLimits limits{.message_bytes_max = 8000};
  const SessionResult result = Run(BothLimits(limits));
  EXPECT_OK(result.status);
  EXPECT_LE(2 * result.request_bytes, result.response_bytes);
  EXPECT_LE(result.request_bytes + result.response_bytes, 4000u * 500);
}

TEST_F(ReconcileTest, SessionsThatEndAtTheirBoundFindTheRestInTheNext) {
  FillBoth(2000);
  Overwrite(500);
  for (int i = 0; i < 300; ++i) right_.Set(NewKeyId(4), RandomRecord(rng_, hlc_++));
  const ReconcileLimits limits{.differences_max = 100};
  for (int session = 0; session < 8; ++session) {
    const SessionResult result = Run(BothLimits(limits));
    EXPECT_OK(result.status);
    EXPECT_EQ(result.needed.size() + result.offered.size(), 100u);
    Apply(result);
  }
  EXPECT_TRUE(RootsAgree());
}

TEST_F(ReconcileTest, ABoundOfZeroDifferencesStillMakesProgress) {
  FillBoth(100);
  Overwrite(5);
  const ReconcileLimits limits{.differences_max = 0};
  for (int session = 0; session < 5; ++session) Apply(Run(BothLimits(limits)));
  EXPECT_TRUE(RootsAgree());
}

TEST_F(ReconcileTest, ASessionThatNeedsTooManyRequestsFailsAndKeepsWhatItFound) {
  FillBoth(2000);
  Overwrite(500);
  ReconcileLimits limits;
  limits.message_bytes_max = 1000;
  limits.requests_max = 20;
  const SessionResult result = Run(BothLimits(limits));
  EXPECT_THAT(result.status, StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_EQ(result.round_trips, 20u);
  EXPECT_GT(result.needed.size() + result.offered.size(), 0u);
  Apply(result);
}

TEST_F(ReconcileTest, ChangesBetweenMessagesNeitherBreakASessionNorHideADifferenceForGood) {
  for (uint64_t seed = 0; seed < 15; ++seed) {
    rng_ = base::Random(seed);
    FillBoth(300);
    Diverge(100);
    SessionOptions options = BothLimits({.message_bytes_max = 256 + rng_.Below(4000)});
    options.between_messages = [this] { Diverge(static_cast<int>(rng_.Below(4))); };
    const SessionResult busy = Run(options);
    ASSERT_OK(busy.status) << "seed " << seed;
    for (const EntrySummary& entry : busy.needed) {
      if (const auto theirs = right_.Find(entry.key_id)) left_.Apply(entry.key_id, *theirs);
    }
    for (const base::KeyId& key_id : busy.offered) {
      if (const auto mine = left_.Find(key_id)) right_.Apply(key_id, *mine);
    }
    const SessionResult quiet = Run();
    ASSERT_OK(quiet.status);
    Apply(quiet);
    ASSERT_TRUE(RootsAgree()) << "seed " << seed;
  }
}

TEST_F(ReconcileTest, TheSameSeedGivesTheSameSession) {
  FillBoth(1000);
  Overwrite(50);
  base::Random one(5);
  base::Random two(5);
  const SessionResult first = RunSession(left_, right_, {}, one);
  const SessionResult second = RunSession(left_, right_, {}, two);
  EXPECT_EQ(first.needed, second.needed);
  EXPECT_EQ(first.offered, second.offered);
}

TEST_F(ReconcileTest, TheFirstRequestIsTheRootsSubtreeHoweverFewEntriesThereAre) {
  Reconciler session(&left_, {}, &rng_);
  const ReconcileRequest request = session.NextRequest();
  EXPECT_THAT(request.lists, IsEmpty());
  ASSERT_THAT(request.subtrees, SizeIs(1));
  EXPECT_EQ(request.subtrees[0].prefix, base::KeyPrefix{});
}

TEST_F(ReconcileTest, SessionsAreSaltedAfresh) {
  Reconciler first(&left_, {}, &rng_);
  Reconciler second(&left_, {}, &rng_);
  EXPECT_NE(first.NextRequest().salt, second.NextRequest().salt);
}

}  // namespace
}  // namespace slipstream::merkle

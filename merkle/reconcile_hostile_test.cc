// Messages that no honest peer sends: each ends the session, none the process.
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/error_reason.h"
#include "base/key_id.h"
#include "base/random.h"
#include "base/testing/status_matchers.h"
#include "base/version.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "merkle/reconcile.h"
#include "merkle/reconcile_message.h"
#include "merkle/testing/fake_replica.h"

namespace slipstream::merkle {
namespace {

using ::slipstream::base::testing::IsOk;
using ::slipstream::base::testing::StatusIs;
using ::testing::IsEmpty;

void Fill(base::Random& rng, int count, testing::FakeReplica& replica) {
  for (int i = 0; i < count; ++i) {
    replica.Set(testing::RandomKeyId(rng), testing::RandomRecord(rng, 1000));
  }
}

void ExpectInvalid(const absl::Status& status) {
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_EQ(base::ReasonOf(status), base::kReasonMessageInvalid);
}

base::KeyPrefix RootChild(uint32_t value) { return base::ExtendPrefix({}, value, kChildBits); }

// A session that has asked about the root, and the honest answer to that.
class HostileResponseTest : public ::testing::Test {
 protected:
  HostileResponseTest() {
    Fill(rng_, 500, mine_);
    Fill(rng_, 500, theirs_);
    request_ = session_.NextRequest();
    honest_ = *Respond(theirs_, request_, {});
  }

  // Goes on until the session asks about lists; `request_` and `honest_` are then of that round.
  void GoOnToLists() {
    while (request_.lists.empty()) {
      ASSERT_OK(session_.HandleResponse(honest_));
      request_ = session_.NextRequest();
      ASSERT_OK_AND_ASSIGN(honest_, Respond(theirs_, request_, {}));
    }
    // Alone, so that a test changes what it thinks it changes.
    ASSERT_FALSE(honest_.verdicts.empty());
  }

  base::Random rng_{1};
  testing::FakeReplica mine_;
  testing::FakeReplica theirs_;
  Reconciler session_{&mine_, {}, &rng_};
  ReconcileRequest request_;
  ReconcileResponse honest_;
};

using ResponseChange = std::function<void(ReconcileResponse&)>;

TEST_F(HostileResponseTest, EachLieAboutSubtreesEndsTheSession) {
  ASSERT_EQ(honest_.subtrees.size(), 16u);
  const std::vector<ResponseChange> lies = {
      [](auto& response) { response.handled_count = 0; },
      [](auto& response) { response.handled_count = 2; },
      [](auto& response) { response.handled_count = UINT32_MAX; },
      [](auto& response) { response = {}; },
      [](auto& response) { response.subtrees[0].fingerprints.pop_back(); },
      [](auto& response) { response.subtrees[0].present ^= 1; },
      [](auto& response) { response.subtrees[0].prefix.bit_count = 5; },
      [](auto& response) { response.subtrees[0].prefix.bit_count = -4; },
      [](auto& response) { response.subtrees[0].prefix.bit_count = 8; },
      [](auto& response) { response.subtrees[0].prefix.bits.bytes[7] = 1; },
      [](auto& response) { response.subtrees[0].prefix = {}; },
      [](auto& response) { response.subtrees.push_back(response.subtrees[3]); },
      [](auto& response) { response.lists.push_back({.prefix = RootChild(3), .entries = {}}); },
      [](auto& response) {
        response.subtrees.clear();
        response.lists = {{.prefix = {}, .entries = {}}};
      },
      [](auto& response) {
        response.subtrees.clear();
        response.lists = {{.prefix = base::ExtendPrefix(RootChild(1), 1, 4), .entries = {}}};
      },
      [](auto& response) {
        response.subtrees.clear();
        response.lists = {{.prefix = RootChild(1), .entries = {EntrySummary{}}}};
      },
      [](auto& response) {
        response.subtrees.clear();
        response.verdicts = {{.prefix = {}, .wanted = {}, .newer = {}}};
      },
      [](auto& response) {
        response.subtrees.clear();
        response.verdicts = {{.prefix = RootChild(1), .wanted = {}, .newer = {}}};
      },
  };
  for (size_t i = 0; i < lies.size(); ++i) {
    SCOPED_TRACE("lie " + std::to_string(i));
    Reconciler session(&mine_, {}, &rng_);
    session.NextRequest();
    ReconcileResponse response = honest_;
    lies[i](response);
    ExpectInvalid(session.HandleResponse(response));
    EXPECT_TRUE(session.done());
    EXPECT_THAT(session.TakeNeeded(), IsEmpty());
    EXPECT_THAT(session.TakeOffered(), IsEmpty());
  }
}

TEST_F(HostileResponseTest, EachLieAboutListsEndsTheSession) {
  GoOnToLists();
  const ListVerdict verdict = honest_.verdicts[0];
  EntryList asked;
  for (const EntryList& list : request_.lists) {
    if (list.prefix == verdict.prefix) asked = list;
  }
  const base::KeyId outside = base::RangeOf(RootChild(asked.prefix.bits.bytes[0] / 16 ^ 1)).first;
  const base::KeyId unlisted = base::RangeOf(asked.prefix).last;
  const std::vector<std::function<void(ListVerdict&)>> lies = {
      [&](ListVerdict& lie) { lie.wanted = {outside}; },
      [&](ListVerdict& lie) { lie.wanted = {unlisted}; },
      [&](ListVerdict& lie) { lie.newer = {{.key_id = outside, .version = {.hlc = 9999}}}; },
      [&](ListVerdict& lie) {
        lie.wanted.clear();
        lie.newer = {asked.entries.at(0)};
      },
      [&](ListVerdict& lie) {
        lie.wanted.clear();
        lie.newer = {{.key_id = asked.entries.at(0).key_id, .version = {.hlc = 1}}};
      },
      [&](ListVerdict& lie) {
        lie.wanted = {asked.entries.at(0).key_id};
        lie.newer = {{.key_id = asked.entries.at(0).key_id, .version = {.hlc = 9999}}};
      },
      [&](ListVerdict& lie) { lie.wanted.assign(2, asked.entries.at(0).key_id); },
      [&](ListVerdict& lie) { lie.prefix = base::MakePrefix(unlisted, 160); },
      [&](ListVerdict& lie) { lie.prefix = {}; },
  };
  if (asked.entries.empty()) GTEST_FAIL() << "the first list is empty: choose another seed";
  for (size_t i = 0; i < lies.size(); ++i) {
    SCOPED_TRACE("lie " + std::to_string(i));
    // The session and what it found so far are those before the lie.
    Reconciler session = session_;
    ReconcileResponse response = honest_;
    lies[i](response.verdicts[0]);
    ExpectInvalid(session.HandleResponse(response));
    EXPECT_TRUE(session.done());
  }
}

TEST_F(HostileResponseTest, WhatWasFoundBeforeALieStaysValid) {
  GoOnToLists();
  ASSERT_OK(session_.HandleResponse(honest_));
  while (!session_.done()) {
    session_.NextRequest();
    ExpectInvalid(session_.HandleResponse({}));
  }
  EXPECT_GT(session_.TakeNeeded().size() + session_.TakeOffered().size(), 0u);
}

TEST_F(HostileResponseTest, AResponseToNoRequestIsRefused) {
  ASSERT_OK(session_.HandleResponse(honest_));
  ExpectInvalid(session_.HandleResponse(honest_));
  EXPECT_FALSE(session_.done());
}

// A peer for which everything always differs cannot keep a session going, nor make it remember
// more than its bound.
TEST(HostilePeerTest, APeerThatAlwaysDiffersIsLeft) {
  base::Random rng(1);
  testing::FakeReplica mine;
  Fill(rng, 2000, mine);
  const ReconcileLimits limits{.requests_max = 50};
  Reconciler session(&mine, limits, &rng);
  absl::Status status;
  while (!session.done()) {
    const ReconcileRequest request = session.NextRequest();
    ReconcileResponse response;
    // The first item alone, so that the rest is asked again and again.
    response.handled_count = 1;
    const auto differ = [&response](const base::KeyPrefix& prefix) {
      if (prefix.bit_count > 156) return;
      response.subtrees.push_back(
          {.prefix = prefix, .present = 0xffff, .fingerprints = std::vector<uint64_t>(16, 1)});
    };
    if (!request.subtrees.empty()) {
      for (uint32_t i = 0; i < 16; ++i) {
        differ(base::ExtendPrefix(request.subtrees[0].prefix, i, kChildBits));
      }
    } else {
      differ(request.lists[0].prefix);
    }
    status = session.HandleResponse(response);
  }
  ExpectInvalid(status);
  EXPECT_EQ(session.request_count(), 50u);
}

TEST(HostilePeerTest, NoMoreSubtreesAreRememberedThanTheBound) {
  base::Random rng(1);
  testing::FakeReplica mine;
  Fill(rng, 2000, mine);
  Reconciler session(&mine, {.differences_max = 5}, &rng);
  session.NextRequest();
  ReconcileResponse response;
  response.handled_count = 1;
  for (uint32_t i = 0; i < 16; ++i) response.subtrees.push_back({.prefix = RootChild(i)});
  ASSERT_OK(session.HandleResponse(response));
  const ReconcileRequest request = session.NextRequest();
  EXPECT_EQ(request.subtrees.size() + request.lists.size(), 5u);
}

TEST(HostileRequestTest, EachIsRefused) {
  base::Random rng(1);
  testing::FakeReplica replica;
  Fill(rng, 100, replica);
  const ChildFingerprints root;
  const ChildFingerprints child{.prefix = RootChild(1)};
  const EntryList list{.prefix = RootChild(2), .entries = {}};
  ChildFingerprints odd = child;
  odd.present = 1;
  EntryList outside = list;
  outside.entries = {EntrySummary{}};
  EntryList deep = list;
  deep.prefix.bit_count = 164;
  const std::vector<ReconcileRequest> requests = {
      {.salt = {}, .subtrees = {root, child}, .lists = {}},
      {.salt = {}, .subtrees = {root}, .lists = {list}},
      {.salt = {}, .subtrees = {child, child}, .lists = {}},
      {.salt = {}, .subtrees = {}, .lists = {list, list}},
      {.salt = {}, .subtrees = {odd}, .lists = {}},
      {.salt = {}, .subtrees = {}, .lists = {outside}},
      {.salt = {}, .subtrees = {}, .lists = {deep}},
  };
  for (const ReconcileRequest& request : requests) {
    ExpectInvalid(Respond(replica, request, {}).status());
  }
}

TEST(HostileRequestTest, AnEmptyOneIsAnsweredWithNothing) {
  testing::FakeReplica replica;
  ASSERT_OK_AND_ASSIGN(const ReconcileResponse response, Respond(replica, {}, {}));
  EXPECT_EQ(response.handled_count, 0u);
}

TEST(HostileRequestTest, NoMoreItemsAreHandledThanTheBound) {
  testing::FakeReplica replica;
  ReconcileRequest request;
  for (uint32_t i = 0; i < 65'536; i += 8) {
    base::KeyId key_id;
    key_id.bytes[0] = static_cast<uint8_t>(i >> 8);
    key_id.bytes[1] = static_cast<uint8_t>(i);
    request.lists.push_back({.prefix = base::MakePrefix(key_id, 16), .entries = {}});
  }
  ASSERT_OK_AND_ASSIGN(const ReconcileResponse response, Respond(replica, request, {}));
  EXPECT_EQ(response.handled_count, kRequestItemsMax);
}

void Mutate(base::Random& rng, base::KeyPrefix& prefix) {
  switch (rng.Below(4)) {
    case 0:
      prefix.bit_count = static_cast<int>(rng.Below(200)) - 20;
      break;
    case 1:
      prefix.bits.bytes[rng.Below(20)] ^= static_cast<uint8_t>(1 << rng.Below(8));
      break;
    case 2:
      prefix.bit_count += rng.OneIn(2) ? 4 : -4;
      break;
    default:
      prefix = base::MakePrefix(testing::RandomKeyId(rng), 4 * static_cast<int>(rng.Below(41)));
  }
}

void Mutate(base::Random& rng, std::vector<EntrySummary>& entries) {
  if (entries.empty() || rng.OneIn(4)) {
    entries.push_back({.key_id = testing::RandomKeyId(rng), .version = {.hlc = rng.Below(2000)}});
  } else if (rng.OneIn(3)) {
    entries.push_back(entries[rng.Below(entries.size())]);
  } else if (rng.OneIn(2)) {
    entries[rng.Below(entries.size())].key_id.bytes[rng.Below(20)] ^= 1;
  } else {
    entries.erase(entries.begin() + static_cast<std::ptrdiff_t>(rng.Below(entries.size())));
  }
}

void Mutate(base::Random& rng, ChildFingerprints& subtree) {
  if (rng.OneIn(3)) {
    Mutate(rng, subtree.prefix);
  } else if (rng.OneIn(2)) {
    subtree.present ^= static_cast<uint16_t>(1 << rng.Below(16));
  } else {
    subtree.fingerprints.resize(rng.Below(18), rng.Next());
  }
}

void Mutate(base::Random& rng, EntryList& list) {
  if (rng.OneIn(2)) {
    Mutate(rng, list.prefix);
  } else {
    Mutate(rng, list.entries);
  }
}

void Mutate(base::Random& rng, ListVerdict& verdict) {
  if (rng.OneIn(3)) {
    Mutate(rng, verdict.prefix);
  } else if (rng.OneIn(2)) {
    Mutate(rng, verdict.newer);
  } else {
    verdict.wanted.push_back(testing::RandomKeyId(rng));
  }
}

template <typename T>
void MutateOneOf(base::Random& rng, std::vector<T>& items) {
  if (items.empty()) return;
  const size_t index = rng.Below(items.size());
  if (rng.OneIn(8)) {
    items.push_back(items[index]);
  } else {
    Mutate(rng, items[index]);
  }
}

TEST(HostileMutationTest, NoMutationOfHonestMessagesCrashesOrKeepsASessionGoing) {
  testing::FakeReplica mine;
  testing::FakeReplica theirs;
  base::Random fill_rng(1);
  Fill(fill_rng, 300, mine);
  Fill(fill_rng, 300, theirs);
  size_t refused_count = 0;
  for (uint64_t seed = 0; seed < 300; ++seed) {
    base::Random rng(seed);
    Reconciler session(&mine, {.list_entries_max = 2, .requests_max = 100}, &rng);
    while (!session.done()) {
      ReconcileRequest request = session.NextRequest();
      ReconcileRequest mutated = request;
      if (rng.OneIn(2)) MutateOneOf(rng, mutated.subtrees);
      if (rng.OneIn(2)) MutateOneOf(rng, mutated.lists);
      auto response = Respond(theirs, mutated, {});
      if (!response.ok()) response = Respond(theirs, request, {});
      ASSERT_OK(response);
      if (rng.OneIn(2)) {
        MutateOneOf(rng, response->subtrees);
        MutateOneOf(rng, response->lists);
        MutateOneOf(rng, response->verdicts);
        if (rng.OneIn(4)) response->handled_count = static_cast<uint32_t>(rng.Below(40));
      }
      if (!session.HandleResponse(*response).ok()) ++refused_count;
    }
    EXPECT_LE(session.request_count(), 100u);
  }
  EXPECT_GT(refused_count, 200u);
}

}  // namespace
}  // namespace slipstream::merkle

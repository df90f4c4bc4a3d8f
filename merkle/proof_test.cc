#include "merkle/proof.h"

#include <functional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "base/digest.h"
#include "base/key_id.h"
#include "base/random.h"
#include "base/testing/status_matchers.h"
#include "base/version.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "merkle/leaf.h"
#include "merkle/tree_verify.h"

namespace slipstream::merkle {
namespace {

using ::slipstream::base::testing::IsOkAndHolds;
using ::slipstream::base::testing::StatusIs;
using ::testing::HasSubstr;

std::vector<Leaf> LeavesOf(int count) {
  std::vector<Leaf> leaves;
  for (int i = 0; i < count; ++i) {
    leaves.push_back({.key_id = base::KeyIdOf("key-" + std::to_string(i)),
                      .version = {.hlc = static_cast<base::Hlc>(i + 1), .actor = base::ActorId{7}},
                      .expires_at_ms = 0,
                      .value_digest = base::DigestOfValue(std::to_string(i))});
  }
  return leaves;
}

base::Digest RootOf(const std::vector<Leaf>& leaves) { return DigestByDefinition(leaves, {}); }

TEST(VerifyProofTest, ProvesPresenceOfEveryEntry) {
  for (const int count : {1, 2, 3, 50}) {
    const std::vector<Leaf> leaves = LeavesOf(count);
    for (const Leaf& leaf : leaves) {
      EXPECT_THAT(VerifyProof(ProofByDefinition(leaves, leaf.key_id), leaf.key_id, RootOf(leaves)),
                  IsOkAndHolds(Presence::kPresent));
    }
  }
}

TEST(VerifyProofTest, ProvesAbsenceOfWhatIsNotThere) {
  for (const int count : {0, 1, 2, 3, 50}) {
    const std::vector<Leaf> leaves = LeavesOf(count);
    for (int i = 0; i < 50; ++i) {
      const base::KeyId key_id = base::KeyIdOf("absent-" + std::to_string(i));
      EXPECT_THAT(VerifyProof(ProofByDefinition(leaves, key_id), key_id, RootOf(leaves)),
                  IsOkAndHolds(Presence::kAbsent));
    }
  }
}

TEST(VerifyProofTest, AnyFlippedBitOfAnyByteIsFound) {
  const std::vector<Leaf> leaves = LeavesOf(40);
  const base::KeyId key_id = leaves[3].key_id;
  const Proof good = ProofByDefinition(leaves, key_id);
  const base::Digest root = RootOf(leaves);
  const auto expect_refused = [&key_id, &root](const Proof& proof) {
    EXPECT_THAT(VerifyProof(proof, key_id, root), StatusIs(absl::StatusCode::kDataLoss));
  };
  for (size_t i = 0; i < good.siblings.size(); ++i) {
    for (size_t byte = 0; byte < 32; ++byte) {
      Proof bad = good;
      bad.siblings[i].bytes[byte] ^= static_cast<uint8_t>(1 << (byte % 8));
      expect_refused(bad);
    }
  }
  for (size_t byte = 0; byte < 20; ++byte) {
    Proof bad = good;
    bad.end->key_id.bytes[byte] ^= static_cast<uint8_t>(1 << (byte % 8));
    expect_refused(bad);
    bad = good;
    bad.end->value_digest.bytes[byte] ^= static_cast<uint8_t>(1 << (byte % 8));
    expect_refused(bad);
  }
  for (int bit = 0; bit < 64; ++bit) {
    std::vector<Proof> bad(3, good);
    bad[0].end->version.hlc ^= uint64_t{1} << bit;
    bad[1].end->version.actor = base::ActorId{7 ^ uint64_t{1} << bit};
    bad[2].end->expires_at_ms ^= uint64_t{1} << bit;
    for (const Proof& proof : bad) expect_refused(proof);
  }
}

TEST(VerifyProofTest, AnyChangeOfShapeIsFound) {
  const std::vector<Leaf> leaves = LeavesOf(40);
  const base::KeyId key_id = leaves[3].key_id;
  const Proof good = ProofByDefinition(leaves, key_id);
  ASSERT_GE(good.siblings.size(), 3u);
  const std::vector<std::function<void(Proof&)>> changes = {
      [](Proof& proof) { proof.siblings.pop_back(); },
      [](Proof& proof) { proof.siblings.erase(proof.siblings.begin()); },
      [](Proof& proof) { proof.siblings.clear(); },
      [](Proof& proof) { proof.siblings.push_back(proof.siblings.front()); },
      [](Proof& proof) { proof.siblings.push_back(base::Digest{}); },
      [](Proof& proof) { proof.siblings.insert(proof.siblings.begin(), base::Digest{}); },
      [](Proof& proof) { std::swap(proof.siblings[0], proof.siblings[1]); },
      [](Proof& proof) { proof.end.reset(); },
      [&leaves](Proof& proof) { proof.end = leaves[4]; },
      [](Proof& proof) { proof = Proof{}; },
  };
  for (size_t i = 0; i < changes.size(); ++i) {
    Proof bad = good;
    changes[i](bad);
    EXPECT_THAT(VerifyProof(bad, key_id, RootOf(leaves)), StatusIs(absl::StatusCode::kDataLoss))
        << "change " << i;
  }
}

TEST(VerifyProofTest, AProofForAnotherKeyNeverShowsWhatIsNotSo) {
  const std::vector<Leaf> leaves = LeavesOf(40);
  std::set<base::KeyId> present;
  for (const Leaf& leaf : leaves) present.insert(leaf.key_id);
  for (const Leaf& proved : leaves) {
    const Proof proof = ProofByDefinition(leaves, proved.key_id);
    for (const Leaf& asked : leaves) {
      if (asked.key_id == proved.key_id) continue;
      EXPECT_THAT(VerifyProof(proof, asked.key_id, RootOf(leaves)),
                  StatusIs(absl::StatusCode::kDataLoss));
    }
  }
}

TEST(VerifyProofTest, NamesTheStepThatFails) {
  const std::vector<Leaf> leaves = LeavesOf(2);
  const base::KeyId key_id = leaves[0].key_id;
  const Proof good = ProofByDefinition(leaves, key_id);
  const base::Digest root = RootOf(leaves);

  Proof bad{.siblings = std::vector<base::Digest>(161, root), .end = leaves[0]};
  EXPECT_THAT(VerifyProof(bad, key_id, root),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("161 siblings")));

  bad = good;
  bad.siblings.push_back(base::Digest{});
  EXPECT_THAT(VerifyProof(bad, key_id, root),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("last sibling")));

  bad = good;
  bad.end->key_id.bytes[0] ^= 0x80;
  EXPECT_THAT(VerifyProof(bad, key_id, root),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("does not share")));

  bad = {.siblings = std::vector<base::Digest>(160, root), .end = std::nullopt};
  EXPECT_THAT(VerifyProof(bad, key_id, root),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("depth 160")));

  EXPECT_THAT(VerifyProof(good, key_id, base::Digest{}),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("not to 0000")));
}

// Roots that no set of entries has, but that a careless verifier would accept proofs against.
TEST(VerifyProofTest, RefusesProofsThatNoTreeGives) {
  const std::vector<Leaf> leaves = LeavesOf(1);
  const base::KeyId key_id = leaves[0].key_id;
  const base::Digest leaf = DigestOfLeaf(leaves[0]);
  const base::Digest zero;
  const bool goes_left = key_id.bit(0) == 0;
  const base::Digest lifted = goes_left ? DigestOfNode(leaf, zero) : DigestOfNode(zero, leaf);
  EXPECT_THAT(VerifyProof({.siblings = {zero}, .end = leaves[0]}, key_id, lifted),
              StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_THAT(
      VerifyProof({.siblings = {zero}, .end = std::nullopt}, key_id, DigestOfNode(zero, zero)),
      StatusIs(absl::StatusCode::kDataLoss));
}

TEST(VerifyProofTest, TwoEntriesThatDifferInTheLastBitHaveTheLongestProof) {
  std::vector<Leaf> leaves = LeavesOf(2);
  leaves[1].key_id = leaves[0].key_id;
  leaves[1].key_id.bytes[19] ^= 1;
  for (const Leaf& leaf : leaves) {
    const Proof proof = ProofByDefinition(leaves, leaf.key_id);
    EXPECT_EQ(proof.siblings.size(), 160u);
    EXPECT_THAT(VerifyProof(proof, leaf.key_id, RootOf(leaves)), IsOkAndHolds(Presence::kPresent));
  }
}

}  // namespace
}  // namespace slipstream::merkle

// The tree, proofs and the brute force against the test vectors of the Python definition.
#include <algorithm>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "base/digest.h"
#include "base/key_id.h"
#include "base/testing/status_matchers.h"
#include "base/version.h"
#include "gtest/gtest.h"
#include "merkle/leaf.h"
#include "merkle/proof.h"
#include "merkle/subtree.h"
#include "merkle/testing/fake_replica.h"
#include "merkle/tree_verify.h"
#include "nlohmann/json.hpp"

namespace slipstream::merkle {
namespace {

using ::slipstream::base::testing::IsOkAndHolds;

nlohmann::json ReadVectors() {
  std::ifstream file("merkle/testdata/merkle_vectors.json");
  return nlohmann::json::parse(file);
}

std::string Bytes(const nlohmann::json& hex) {
  return absl::HexStringToBytes(hex.get<std::string>());
}

base::KeyId KeyIdFrom(const nlohmann::json& hex) {
  base::KeyId key_id;
  const std::string bytes = Bytes(hex);
  std::copy(bytes.begin(), bytes.end(), key_id.bytes.begin());
  return key_id;
}

base::Digest DigestFrom(const nlohmann::json& hex) {
  base::Digest digest;
  EXPECT_TRUE(base::FromHex(hex.get<std::string>(), digest));
  return digest;
}

void Fill(const nlohmann::json& entries, testing::FakeReplica& replica) {
  for (const nlohmann::json& entry : entries) {
    replica.Set(base::KeyIdOf(Bytes(entry["key"])),
                {.version = {.hlc = entry["hlc"].get<uint64_t>(),
                             .actor = base::ActorId{entry["actor"].get<uint64_t>()}},
                 .tombstone = false,
                 .expires_at_ms = entry["expires_at"].get<uint64_t>(),
                 .value_digest = base::DigestOfValue(Bytes(entry["value"]))});
  }
}

TEST(TreeVectorsTest, RootsAreThoseOfTheReference) {
  const nlohmann::json vectors = ReadVectors();
  ASSERT_EQ(vectors["cases"].size(), 6u);
  for (const nlohmann::json& item : vectors["cases"]) {
    testing::FakeReplica replica;
    Fill(item["entries"], replica);
    EXPECT_EQ(base::ToHex(replica.tree().Root()), item["root"]) << item["name"];
    EXPECT_EQ(base::ToHex(DigestByDefinition(replica.Leaves(), {})), item["root"]) << item["name"];
  }
}

TEST(TreeVectorsTest, ProofsAreThoseOfTheReference) {
  const nlohmann::json vectors = ReadVectors();
  size_t proof_count = 0;
  for (const nlohmann::json& item : vectors["cases"]) {
    testing::FakeReplica replica;
    Fill(item["entries"], replica);
    for (const nlohmann::json& expected : item["proofs"]) {
      const base::KeyId key_id = base::KeyIdOf(Bytes(expected["key"]));
      ASSERT_OK_AND_ASSIGN(const Tree::RootedProof proved, replica.tree().Prove(key_id));
      std::vector<std::string> siblings;
      for (const base::Digest& sibling : proved.proof.siblings) {
        siblings.push_back(base::ToHex(sibling));
      }
      EXPECT_EQ(nlohmann::json(siblings), expected["siblings"]) << item["name"];
      ASSERT_EQ(proved.proof.end.has_value(), !expected["end_key_id"].is_null());
      if (!proved.proof.end.has_value()) continue;
      EXPECT_EQ(proved.proof.end->key_id, KeyIdFrom(expected["end_key_id"]));
      EXPECT_EQ(base::ToHex(DigestOfLeaf(*proved.proof.end)), expected["end_leaf"]);
      const Presence presence =
          proved.proof.end->key_id == key_id ? Presence::kPresent : Presence::kAbsent;
      EXPECT_THAT(VerifyProof(proved.proof, key_id, DigestFrom(item["root"])),
                  IsOkAndHolds(presence));
      ++proof_count;
    }
  }
  EXPECT_EQ(proof_count, 10u);
}

TEST(TreeVectorsTest, RawLeavesFoldToTheReference) {
  const nlohmann::json vectors = ReadVectors();
  ASSERT_EQ(vectors["raw"].size(), 3u);
  for (const nlohmann::json& item : vectors["raw"]) {
    std::vector<KeyedDigest> leaves;
    for (const nlohmann::json& leaf : item["leaves"]) {
      leaves.emplace_back(KeyIdFrom(leaf["key_id"]), DigestFrom(leaf["leaf"]));
    }
    std::sort(leaves.begin(), leaves.end());
    EXPECT_EQ(base::ToHex(DigestByDefinition(leaves)), item["root"]) << item["name"];
    SubtreeFolder folder(0);
    for (const auto& [key_id, digest] : leaves) folder.Add(key_id, digest);
    EXPECT_EQ(base::ToHex(folder.Finish().digest), item["root"]) << item["name"];
  }
}

}  // namespace
}  // namespace slipstream::merkle

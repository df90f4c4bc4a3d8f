#include "merkle/subtree.h"

#include <algorithm>
#include <vector>

#include "base/digest.h"
#include "base/key_id.h"
#include "base/random.h"
#include "gtest/gtest.h"
#include "merkle/leaf.h"
#include "merkle/testing/fake_replica.h"
#include "merkle/tree_verify.h"

namespace slipstream::merkle {
namespace {

base::Digest RandomDigest(base::Random& rng) {
  base::Digest digest;
  for (uint8_t& byte : digest.bytes) byte = static_cast<uint8_t>(rng.Next() >> 56);
  return digest;
}

TEST(SubtreeTest, JoinCollapsesWhatHoldsOneLeafOrNone) {
  base::Random rng(1);
  const Subtree empty;
  const Subtree one{.digest = RandomDigest(rng), .size = SubtreeSize::kOne};
  EXPECT_EQ(Join(empty, empty), empty);
  EXPECT_EQ(Join(one, empty), one);
  EXPECT_EQ(Join(empty, one), one);
}

TEST(SubtreeTest, JoinHashesWhatHoldsMore) {
  base::Random rng(1);
  const Subtree empty;
  const Subtree one{.digest = RandomDigest(rng), .size = SubtreeSize::kOne};
  const Subtree many{.digest = RandomDigest(rng), .size = SubtreeSize::kMany};
  for (const auto& [left, right] : std::vector<std::pair<Subtree, Subtree>>{
           {one, one}, {one, many}, {many, one}, {many, many}, {empty, many}, {many, empty}}) {
    const Subtree joined = Join(left, right);
    EXPECT_EQ(joined.size, SubtreeSize::kMany);
    EXPECT_EQ(joined.digest, DigestOfNode(left.digest, right.digest));
  }
}

// Folds `leaves` below `depth` and compares with the definition.
void ExpectFoldsByDefinition(std::vector<KeyedDigest> leaves, int depth) {
  std::sort(leaves.begin(), leaves.end());
  SubtreeFolder folder(depth);
  for (const auto& [key_id, digest] : leaves) folder.Add(key_id, digest);
  const Subtree folded = folder.Finish();
  EXPECT_EQ(folded.digest, DigestByDefinition(leaves, depth));
  EXPECT_EQ(folded.size, leaves.empty()       ? SubtreeSize::kEmpty
                         : leaves.size() == 1 ? SubtreeSize::kOne
                                              : SubtreeSize::kMany);
}

TEST(SubtreeFolderTest, FoldsAnySetByDefinition) {
  base::Random rng(2);
  for (int run = 0; run < 200; ++run) {
    const int shared_bits = static_cast<int>(rng.Below(158));
    const base::KeyPrefix shared = base::MakePrefix(testing::RandomKeyId(rng), shared_bits);
    std::vector<KeyedDigest> leaves;
    for (uint64_t i = rng.Below(rng.OneIn(4) ? 200 : 5); i > 0; --i) {
      base::KeyId key_id = testing::RandomKeyId(rng);
      for (size_t byte = 0; byte < base::kKeyIdBytes; ++byte) {
        const base::KeyId mask_end = base::RangeOf(base::MakePrefix({}, shared_bits)).last;
        key_id.bytes[byte] = static_cast<uint8_t>((key_id.bytes[byte] & mask_end.bytes[byte]) |
                                                  shared.bits.bytes[byte]);
      }
      if (std::none_of(leaves.begin(), leaves.end(),
                       [&key_id](const KeyedDigest& leaf) { return leaf.first == key_id; })) {
        leaves.emplace_back(key_id, RandomDigest(rng));
      }
    }
    ExpectFoldsByDefinition(leaves, 0);
    ExpectFoldsByDefinition(leaves, shared_bits / 2);
    ExpectFoldsByDefinition(leaves, shared_bits);
  }
}

TEST(SubtreeFolderTest, FoldsTheDeepestPathThereIs) {
  base::Random rng(3);
  // Each key_id shares one bit less with the first than the one before: 160 pending subtrees.
  std::vector<KeyedDigest> leaves = {{base::KeyId{}, RandomDigest(rng)}};
  for (int depth = 0; depth < base::kKeyIdBits; ++depth) {
    leaves.emplace_back(base::ExtendPrefix(base::MakePrefix({}, depth), 1, 1).bits,
                        RandomDigest(rng));
  }
  ExpectFoldsByDefinition(leaves, 0);
}

TEST(SubtreeFolderTest, StartsAnewAfterFinish) {
  base::Random rng(4);
  SubtreeFolder folder(0);
  folder.Add(testing::RandomKeyId(rng), RandomDigest(rng));
  folder.Finish();
  EXPECT_EQ(folder.Finish(), Subtree{});
}

}  // namespace
}  // namespace slipstream::merkle

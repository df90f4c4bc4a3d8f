#include "merkle/leaf.h"

#include <vector>

#include "base/digest.h"
#include "base/key_id.h"
#include "base/version.h"
#include "gtest/gtest.h"

namespace slipstream::merkle {
namespace {

// The case "one" of testdata/merkle_vectors.json.
Leaf VectorLeaf() {
  return {.key_id = base::KeyIdOf("key-0"),
          .version = {.hlc = 117309440000000000, .actor = base::ActorId{10509484535949048316u}},
          .expires_at_ms = 1800000000000,
          .value_digest = base::DigestOfValue(
              "\x30\xaf\xea\x3c\x19\x11\x5f\xa0\xda\x55\x76\x62\xae\xdf\x13\xab"
              "\x9b\x36\xfb\x9d\x0c\xfe\x44\x09\x51\xbb\xf9\x0f\x4e\x15\xc5\xa0")};
}

TEST(LeafTest, DigestIsThatOfTheDefinition) {
  EXPECT_EQ(base::ToHex(DigestOfLeaf(VectorLeaf())),
            "1dde506082bd98ef97b9c989b976be035c8fee0a88dc21f74f8a90cb6bcd19c0");
}

TEST(LeafTest, DigestCommitsToEveryField) {
  const Leaf leaf = VectorLeaf();
  std::vector<Leaf> changed(5, leaf);
  changed[0].key_id.bytes[19] ^= 1;
  changed[1].version.hlc ^= 1;
  changed[2].version.actor = base::ActorId{1};
  changed[3].expires_at_ms = 0;
  changed[4].value_digest.bytes[19] ^= 0x80;
  for (const Leaf& other : changed) EXPECT_NE(DigestOfLeaf(other), DigestOfLeaf(leaf));
}

TEST(LeafTest, NodeDigestDependsOnTheOrderOfItsHalves) {
  const base::Digest a = DigestOfLeaf(VectorLeaf());
  const base::Digest zero;
  EXPECT_NE(DigestOfNode(a, zero), DigestOfNode(zero, a));
  // printf '\x01' | cat - <(head -c 64 /dev/zero) | sha256sum
  EXPECT_EQ(base::ToHex(DigestOfNode(zero, zero)),
            "ae0798d0ecaed2b778eddebf18f071a561c53658c05e76cedecc27cafbdbc577");
}

}  // namespace
}  // namespace slipstream::merkle

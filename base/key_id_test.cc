#include "base/key_id.h"

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/optional.h"
#include "base/digest.h"
#include "base/random.h"
#include "gtest/gtest.h"

namespace slipstream::base {
namespace {

KeyId RandomId(Random& rng) {
  KeyId id;
  for (uint8_t& byte : id.bytes) byte = static_cast<uint8_t>(rng.Next());
  return id;
}

TEST(KeyIdTest, IsTheFirstTwentyBytesOfSha256) {
  EXPECT_EQ(KeyIdOf("abc").view(), Sha256("abc").view().substr(0, kKeyIdBytes));
  EXPECT_EQ(KeyIdOf("abc").shard(), 0xba);
}

TEST(KeyIdTest, CountsBitsFromTheHighestOfTheFirstByte) {
  KeyId id;
  id.bytes[0] = 0x80;
  id.bytes[19] = 0x01;
  EXPECT_EQ(id.bit(0), 1);
  EXPECT_EQ(id.bit(1), 0);
  EXPECT_EQ(id.bit(158), 0);
  EXPECT_EQ(id.bit(159), 1);
}

TEST(KeyIdTest, SuccessorIsTheNextOneInTheOrder) {
  KeyId id;
  id.bytes[19] = 0xfe;
  KeyId expected;
  expected.bytes[19] = 0xff;
  EXPECT_EQ(Successor(id), expected);
  // The carry goes as far as it has to.
  id.bytes[19] = 0xff;
  id.bytes[18] = 0xff;
  expected = {};
  expected.bytes[17] = 1;
  EXPECT_EQ(Successor(id), expected);
  // Behind all ids with a prefix stands the first with the next one.
  for (int width = 1; width <= 8; ++width) {
    for (uint32_t number = 0; number + 1 < uint32_t{1} << width; ++number) {
      EXPECT_EQ(Successor(RangeOf(ExtendPrefix(KeyPrefix{}, number, width)).last),
                RangeOf(ExtendPrefix(KeyPrefix{}, number + 1, width)).first);
    }
  }
}

TEST(KeyIdTest, TheGreatestHasNoSuccessor) {
  EXPECT_EQ(Successor(RangeOf(KeyPrefix{}).last), absl::nullopt);
}

TEST(KeyPrefixTest, HoldsExactlyTheIdsOfItsRange) {
  Random rng(1);
  for (int round = 0; round < 200; ++round) {
    const KeyId id = RandomId(rng);
    const int bit_count = static_cast<int>(rng.Below(kKeyIdBits + 1));
    const KeyPrefix prefix = MakePrefix(id, bit_count);
    const KeyRange range = RangeOf(prefix);
    EXPECT_TRUE(HasPrefix(id, prefix));
    EXPECT_LE(range.first, id);
    EXPECT_GE(range.last, id);
    const KeyId other = RandomId(rng);
    EXPECT_EQ(HasPrefix(other, prefix), range.first <= other && other <= range.last);
    for (int i = 0; i < kKeyIdBits; ++i) {
      EXPECT_EQ(range.first.bit(i), i < bit_count ? id.bit(i) : 0);
      EXPECT_EQ(range.last.bit(i), i < bit_count ? id.bit(i) : 1);
    }
  }
}

TEST(KeyPrefixTest, ExtendsByTheHighestSuffixBitFirst) {
  const KeyPrefix root;
  EXPECT_EQ(ToString(ExtendPrefix(root, 0b0110, 4)), "0110");
  EXPECT_EQ(ToString(ExtendPrefix(ExtendPrefix(root, 0b101, 3), 0b0111000, 7)), "1010111000");
}

TEST(KeyPrefixTest, ExtendingByAnIdsOwnBitsFollowsTheId) {
  Random rng(2);
  const KeyId id = RandomId(rng);
  KeyPrefix prefix;
  while (prefix.bit_count < kKeyIdBits) {
    uint32_t suffix = 0;
    for (int i = 0; i < 4; ++i) {
      suffix = suffix * 2 + static_cast<uint32_t>(id.bit(prefix.bit_count + i));
    }
    prefix = ExtendPrefix(prefix, suffix, 4);
    EXPECT_EQ(prefix, MakePrefix(id, prefix.bit_count));
  }
  EXPECT_EQ(prefix.bits, id);
}

TEST(KeyPrefixTest, TheEmptyPrefixHoldsEverything) {
  const KeyRange range = RangeOf(KeyPrefix{});
  EXPECT_EQ(range.first, KeyId{});
  EXPECT_EQ(range.last.view(), std::string(kKeyIdBytes, '\xff'));
}

}  // namespace
}  // namespace slipstream::base

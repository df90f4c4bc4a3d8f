#include "merkle/reconcile_view.h"

#include <vector>

#include "base/digest.h"
#include "base/key_id.h"
#include "base/random.h"
#include "base/version.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "merkle/reconcile_message.h"
#include "merkle/testing/fake_replica.h"

namespace slipstream::merkle {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

base::KeyId KeyIdFrom(uint8_t first) {
  base::KeyId key_id;
  key_id.bytes[0] = first;
  return key_id;
}

base::KeyPrefix Child(uint8_t value) { return base::ExtendPrefix({}, value, kChildBits); }

EntrySummary EntryFrom(uint8_t first, base::Hlc hlc) {
  return {.key_id = KeyIdFrom(first), .version = {.hlc = hlc, .actor = base::ActorId{1}}};
}

TEST(FingerprintChildrenTest, HasOneForEachChildThatIsNotEmpty) {
  base::Random rng(1);
  testing::FakeReplica replica;
  replica.Set(KeyIdFrom(0x31), testing::RandomRecord(rng, 1));
  replica.Set(KeyIdFrom(0x32), testing::RandomRecord(rng, 1));
  replica.Set(KeyIdFrom(0xf0), testing::RandomRecord(rng, 1));
  const ChildFingerprints fingerprints = FingerprintChildren(replica, SessionSalt{}, {});
  EXPECT_EQ(fingerprints.present, 0x8008);
  EXPECT_EQ(fingerprints.fingerprints.size(), 2u);
}

TEST(FingerprintChildrenTest, LeavesTombstonesOut) {
  base::Random rng(1);
  testing::FakeReplica replica;
  testing::FakeRecord record = testing::RandomRecord(rng, 1);
  record.tombstone = true;
  replica.Set(KeyIdFrom(0x31), record);
  EXPECT_EQ(FingerprintChildren(replica, SessionSalt{}, {}).present, 0);
}

TEST(FingerprintChildrenTest, IsTheStartOfTheSaltedDigest) {
  base::Random rng(1);
  testing::FakeReplica replica;
  replica.Set(KeyIdFrom(0x31), testing::RandomRecord(rng, 1));
  SessionSalt salt;
  salt.fill(7);
  const std::string input(16, 7);
  const base::Digest expected =
      base::Sha256(input + std::string(replica.DigestOf(Child(3)).view()));
  uint64_t start = 0;
  for (size_t i = 8; i-- > 0;) start = start << 8 | expected.bytes[i];
  EXPECT_THAT(FingerprintChildren(replica, salt, {}).fingerprints, ElementsAre(start));
}

TEST(DifferingChildrenTest, FindsChangedAndMissingChildren) {
  const ChildFingerprints mine{
      .prefix = {}, .present = 0b1000'0000'0001'0111, .fingerprints = {1, 2, 3, 4, 5}};
  const ChildFingerprints theirs{
      .prefix = {}, .present = 0b1000'0000'0010'0011, .fingerprints = {1, 9, 3, 5}};
  EXPECT_THAT(DifferingChildren(mine, theirs), ElementsAre(Child(1), Child(2), Child(4), Child(5)));
  EXPECT_THAT(DifferingChildren(mine, mine), IsEmpty());
}

TEST(DifferingChildrenTest, AFingerprintOfZeroIsNoEmptyChild) {
  const ChildFingerprints zero{.prefix = {}, .present = 1, .fingerprints = {0}};
  EXPECT_THAT(DifferingChildren(zero, ChildFingerprints{}), ElementsAre(Child(0)));
}

TEST(CompareEntriesTest, TheGreaterVersionWinsAndEqualOnesAreNoDifference) {
  const std::vector<EntrySummary> mine = {EntryFrom(1, 5), EntryFrom(2, 5), EntryFrom(3, 5),
                                          EntryFrom(5, 5)};
  const std::vector<EntrySummary> theirs = {EntryFrom(1, 5), EntryFrom(2, 6), EntryFrom(3, 4),
                                            EntryFrom(4, 5)};
  const EntryDifferences differences = CompareEntries(mine, theirs);
  EXPECT_THAT(differences.mine_newer, ElementsAre(EntryFrom(3, 5), EntryFrom(5, 5)));
  EXPECT_THAT(differences.theirs_newer, ElementsAre(EntryFrom(2, 6), EntryFrom(4, 5)));
}

TEST(CompareEntriesTest, TheActorDecidesBetweenEqualHlcs) {
  EntrySummary greater = EntryFrom(1, 5);
  greater.version.actor = base::ActorId{2};
  const EntryDifferences differences = CompareEntries({EntryFrom(1, 5)}, {greater});
  EXPECT_THAT(differences.mine_newer, IsEmpty());
  EXPECT_THAT(differences.theirs_newer, ElementsAre(greater));
}

TEST(CompareEntriesTest, TakesEmptyLists) {
  EXPECT_THAT(CompareEntries({}, {}).mine_newer, IsEmpty());
  EXPECT_THAT(CompareEntries({EntryFrom(1, 1)}, {}).mine_newer, ElementsAre(EntryFrom(1, 1)));
  EXPECT_THAT(CompareEntries({}, {EntryFrom(1, 1)}).theirs_newer, ElementsAre(EntryFrom(1, 1)));
}

}  // namespace
}  // namespace slipstream::merkle

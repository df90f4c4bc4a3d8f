#include "merkle/tree.h"

#include <algorithm>
#include <functional>
#include <map>
#include <thread>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "base/digest.h"
#include "base/error_reason.h"
#include "base/key_id.h"
#include "base/random.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "merkle/leaf.h"
#include "merkle/leaf_source.h"
#include "merkle/proof.h"
#include "merkle/testing/fake_replica.h"
#include "merkle/tree_shard.h"
#include "merkle/tree_verify.h"

namespace slipstream::merkle {
namespace {

using ::slipstream::base::testing::IsOkAndHolds;
using ::slipstream::base::testing::StatusIs;
using testing::FakeReplica;
using testing::RandomKeyId;
using testing::RandomRecord;

// Leaves in a map; counts what is read and lets a test act after each visit. Single-threaded.
class HookedSource : public LeafSource {
 public:
  void VisitLeaves(const base::KeyRange& range,
                   absl::FunctionRef<bool(const Leaf&)> visit) const override {
    for (auto next = leaves_.lower_bound(range.first);
         next != leaves_.end() && next->first <= range.last; ++next) {
      ++visited_count_;
      if (!visit(next->second)) break;
    }
    after_visit_();
  }

  void Put(const base::KeyId& key_id, base::Hlc hlc) {
    leaves_[key_id] = {.key_id = key_id, .version = {.hlc = hlc}};
  }
  void Erase(const base::KeyId& key_id) { leaves_.erase(key_id); }
  void set_after_visit(std::function<void()> hook) { after_visit_ = std::move(hook); }
  size_t TakeVisitedCount() { return std::exchange(visited_count_, 0); }

  base::Digest RootByDefinition() const {
    std::vector<Leaf> leaves;
    for (const auto& [key_id, leaf] : leaves_) leaves.push_back(leaf);
    return DigestByDefinition(leaves, {});
  }

 private:
  std::map<base::KeyId, Leaf> leaves_;
  std::function<void()> after_visit_ = [] {};
  mutable size_t visited_count_ = 0;
};

// Returns `key_id` with its first `bit_count` bits all zero.
base::KeyId WithZeroBits(base::KeyId key_id, int bit_count) {
  const base::KeyId rest = base::RangeOf(base::MakePrefix({}, bit_count)).last;
  for (size_t i = 0; i < base::kKeyIdBytes; ++i) key_id.bytes[i] &= rest.bytes[i];
  return key_id;
}

// Puts or erases something.
void Step(base::Random& rng, const std::vector<base::KeyId>& pool, base::Hlc hlc,
          FakeReplica& replica) {
  const base::KeyId& key_id = pool[rng.Below(pool.size())];
  testing::FakeRecord record = RandomRecord(rng, hlc);
  record.tombstone = rng.OneIn(4);
  if (rng.OneIn(4)) {
    replica.Erase(key_id);
  } else {
    replica.Set(key_id, record);
  }
}

TEST(TreeTest, EmptyTreeHasTheZeroRoot) {
  FakeReplica replica;
  EXPECT_TRUE(replica.tree().Root().is_zero());
  EXPECT_FALSE(replica.tree().Settle(1));
  EXPECT_EQ(replica.tree().leaf_count(), 0u);
}

TEST(TreeTest, RootIsThatOfTheDefinitionAfterEveryStepOfAnyHistory) {
  for (uint64_t seed = 0; seed < 32; ++seed) {
    base::Random rng(seed);
    // Uniform keys, keys of one shard, and keys that share 80 and 152 bits.
    const int shared_bits = std::vector<int>{0, 8, 80, 152}[seed % 4];
    std::vector<base::KeyId> pool;
    for (uint64_t i = 1 + rng.Below(40); i > 0; --i) {
      pool.push_back(WithZeroBits(RandomKeyId(rng), shared_bits));
    }
    FakeReplica replica;
    for (base::Hlc step = 1; step <= 40; ++step) {
      Step(rng, pool, step, replica);
      if (rng.OneIn(3)) Step(rng, pool, step, replica);
      if (rng.OneIn(5)) replica.tree().Settle(1);
      const std::vector<Leaf> leaves = replica.Leaves();
      ASSERT_EQ(replica.tree().Root(), DigestByDefinition(leaves, {})) << "seed " << seed;
      ASSERT_EQ(replica.tree().leaf_count(), leaves.size()) << "seed " << seed;
    }
  }
}

TEST(TreeTest, RootDoesNotDependOnOrderOrHistory) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    base::Random rng(seed);
    std::vector<std::pair<base::KeyId, testing::FakeRecord>> entries;
    for (uint64_t i = rng.Below(400); i > 0; --i) {
      entries.emplace_back(RandomKeyId(rng), RandomRecord(rng, i));
    }
    FakeReplica straight;
    for (const auto& [key_id, record] : entries) straight.Set(key_id, record);
    FakeReplica winding;
    for (size_t i = entries.size(); i-- > 0;) {
      const base::KeyId other = RandomKeyId(rng);
      winding.Set(other, RandomRecord(rng, 1));
      winding.Set(entries[i].first, RandomRecord(rng, 1));
      if (rng.OneIn(20)) winding.tree().Root();
      winding.Set(entries[i].first, entries[i].second);
      winding.Erase(other);
    }
    EXPECT_EQ(winding.tree().Root(), straight.tree().Root()) << "seed " << seed;
  }
}

// Grows one shard key by key through two changes of its depth, and shrinks it again.
TEST(TreeTest, RootIsRightAroundEveryChangeOfShape) {
  base::Random rng(7);
  FakeReplica replica;
  std::vector<base::KeyId> key_ids;
  const auto expect_right = [&replica] {
    const std::vector<Leaf> leaves = replica.Leaves();
    ASSERT_EQ(replica.tree().Root(), DigestByDefinition(leaves, {})) << leaves.size();
    ASSERT_EQ(replica.tree().leaf_count(), leaves.size());
  };
  for (int i = 0; i < 300; ++i) {
    key_ids.push_back(WithZeroBits(RandomKeyId(rng), TreeShard::kPrefixBits));
    replica.Set(key_ids.back(), RandomRecord(rng, 1));
    if (i < 140 || i % 8 == 0) expect_right();
  }
  const uint64_t grown_bytes = replica.tree().memory_bytes();
  for (size_t i = 0; i < key_ids.size(); ++i) {
    replica.Erase(key_ids[i]);
    if (i > 260 || i % 8 == 0) expect_right();
  }
  EXPECT_LT(replica.tree().memory_bytes(), grown_bytes);
}

TEST(TreeTest, RootIsRightForBulkLoadsAroundEachChoiceOfDepth) {
  for (const int count : {1, 2, 8, 47, 48, 49, 64, 65, 95, 96, 97, 193, 500}) {
    base::Random rng(static_cast<uint64_t>(count));
    FakeReplica replica;
    for (int i = 0; i < count; ++i) {
      replica.Set(WithZeroBits(RandomKeyId(rng), 8), RandomRecord(rng, 1));
    }
    EXPECT_EQ(replica.tree().Root(), DigestByDefinition(replica.Leaves(), {})) << count;
  }
}

TEST(TreeTest, BulkLoadReadsEachLeafOnceToCountAndOnceToHash) {
  base::Random rng(1);
  HookedSource source;
  Tree tree(&source);
  const size_t count = 50'000;
  std::vector<base::KeyId> key_ids;
  for (size_t i = 0; i < count; ++i) {
    key_ids.push_back(RandomKeyId(rng));
    source.Put(key_ids.back(), 1);
    tree.MarkDirty(key_ids.back());
  }
  tree.Root();
  EXPECT_EQ(source.TakeVisitedCount(), 2 * count);
  EXPECT_EQ(tree.leaf_count(), count);

  source.Put(key_ids[0], 2);
  tree.MarkDirty(key_ids[0]);
  tree.Root();
  EXPECT_LE(source.TakeVisitedCount(), 2 * TreeShard::kLeavesPerBucketMax);
  tree.Root();
  EXPECT_EQ(source.TakeVisitedCount(), 0u);
}

TEST(TreeTest, AShardAboutToOutgrowItsDepthIsNotCountedAtEveryChange) {
  base::Random rng(1);
  HookedSource source;
  Tree tree(&source);
  const base::KeyPrefix shard = base::MakePrefix({}, TreeShard::kPrefixBits);
  const size_t count = (TreeShard::kLeavesPerBucketMax << 3) - 2;
  base::KeyId key_id;
  for (size_t i = 0; i < count; ++i) {
    key_id = WithZeroBits(RandomKeyId(rng), TreeShard::kPrefixBits);
    source.Put(key_id, 1);
    tree.MarkDirty(key_id);
    tree.DigestOf(shard);
  }
  source.TakeVisitedCount();
  const size_t change_count = 100;
  for (size_t i = 0; i < change_count; ++i) {
    source.Put(key_id, 2 + i);
    tree.MarkDirty(key_id);
    tree.DigestOf(shard);
  }
  EXPECT_LE(source.TakeVisitedCount(), change_count * 2 * TreeShard::kLeavesPerBucketMax);
}

TEST(TreeTest, MemoryIsAtMostFourBytesPerKey) {
  base::Random rng(1);
  HookedSource source;
  Tree tree(&source);
  const size_t count = 100'000;
  for (size_t i = 0; i < count; ++i) {
    const base::KeyId key_id = RandomKeyId(rng);
    source.Put(key_id, 1);
    tree.MarkDirty(key_id);
  }
  tree.Root();
  EXPECT_LE(tree.memory_bytes(), 4 * count);
}

// What is on disk is read in few calls, and no more of it than that: dirty buckets that stand next
// to each other come together, others alone.
TEST(TreeTest, DirtyNeighborsAreReadTogether) {
  base::Random rng(1);
  HookedSource source;
  Tree tree(&source);
  constexpr size_t kCount = 100'000;
  constexpr size_t kBucketsMin = kCount / TreeShard::kLeavesPerBucketMax;
  std::vector<base::KeyId> key_ids;
  for (size_t i = 0; i < kCount; ++i) {
    key_ids.push_back(RandomKeyId(rng));
    source.Put(key_ids.back(), 1);
    tree.MarkDirty(key_ids.back());
  }
  tree.Root();
  source.TakeVisitedCount();
  size_t visit_count = 0;
  source.set_after_visit([&visit_count] { ++visit_count; });
  for (const base::KeyId& key_id : key_ids) {
    source.Put(key_id, 2);
    tree.MarkDirty(key_id);
  }
  EXPECT_EQ(tree.Root(), source.RootByDefinition());
  EXPECT_LT(visit_count, kBucketsMin / 2);
  EXPECT_LE(source.TakeVisitedCount(), 2 * kCount);  // Some shards are counted first.

  visit_count = 0;
  for (size_t i = 0; i < 10; ++i) {
    source.Put(key_ids[i], 3);
    tree.MarkDirty(key_ids[i]);
  }
  EXPECT_EQ(tree.Root(), source.RootByDefinition());
  EXPECT_EQ(visit_count, 10u);
  EXPECT_LE(source.TakeVisitedCount(), 10 * 2 * TreeShard::kLeavesPerBucketMax);
}

TEST(TreeTest, ThreadsThatSettleDoNotWaitForEachOther) {
  HookedSource source;
  Tree tree(&source);
  for (const uint8_t shard : {0, 1, 2}) {
    const base::KeyId key_id{.bytes = {shard}};
    source.Put(key_id, 1);
    tree.MarkDirty(key_id);
  }
  // While the first is in one shard, another settles the others, though it may settle more.
  bool acted = false;
  source.set_after_visit([&] {
    if (std::exchange(acted, true)) return;
    std::thread([&tree] { EXPECT_FALSE(tree.Settle(100)); }).join();
  });
  tree.Settle(1);
  EXPECT_TRUE(acted);
  EXPECT_EQ(tree.Root(), source.RootByDefinition());
}

TEST(TreeTest, SettleDoesNoMoreThanItIsToldAndEndsClean) {
  base::Random rng(1);
  HookedSource source;
  Tree tree(&source);
  std::vector<base::KeyId> key_ids;
  for (size_t i = 0; i < 20'000; ++i) {
    key_ids.push_back(RandomKeyId(rng));
    source.Put(key_ids.back(), 1);
    tree.MarkDirty(key_ids.back());
  }
  tree.Root();
  source.TakeVisitedCount();
  for (const base::KeyId& key_id : key_ids) {
    if (!rng.OneIn(50)) continue;
    source.Put(key_id, 2);
    tree.MarkDirty(key_id);
  }
  size_t call_count = 0;
  bool dirty = true;
  for (; dirty; ++call_count) {
    dirty = tree.Settle(3);
    ASSERT_LE(source.TakeVisitedCount(), 3 * 2 * TreeShard::kLeavesPerBucketMax);
  }
  EXPECT_GT(call_count, 50u);
  EXPECT_EQ(tree.Root(), source.RootByDefinition());
  EXPECT_EQ(source.TakeVisitedCount(), 0u);
}

TEST(TreeTest, DigestsOfAllDepthsAreThoseOfTheDefinition) {
  for (const int shared_bits : {0, 8, 12, 90}) {
    base::Random rng(static_cast<uint64_t>(shared_bits));
    FakeReplica replica;
    std::vector<base::KeyId> key_ids;
    for (int i = 0; i < 300; ++i) {
      key_ids.push_back(WithZeroBits(RandomKeyId(rng), shared_bits));
      replica.Set(key_ids.back(), RandomRecord(rng, 1));
    }
    const std::vector<Leaf> leaves = replica.Leaves();
    const std::vector<base::KeyId> probes = {key_ids[0], key_ids[1], RandomKeyId(rng)};
    for (const base::KeyId& probe : probes) {
      for (int depth = 0; depth <= base::kKeyIdBits; ++depth) {
        const base::KeyPrefix prefix = base::MakePrefix(probe, depth);
        ASSERT_EQ(replica.tree().DigestOf(prefix), DigestByDefinition(leaves, prefix)) << depth;
      }
    }
  }
}

TEST(TreeTest, DigestOfSettlesWhatLiesBelow) {
  base::Random rng(1);
  FakeReplica replica;
  std::vector<base::KeyId> pool;
  for (int i = 0; i < 500; ++i) pool.push_back(WithZeroBits(RandomKeyId(rng), 6));
  for (base::Hlc step = 1; step < 2000; ++step) {
    Step(rng, pool, step, replica);
    if (step % 10 != 0) continue;
    const base::KeyPrefix prefix =
        base::MakePrefix(pool[rng.Below(pool.size())], static_cast<int>(rng.Below(20)));
    ASSERT_EQ(replica.tree().DigestOf(prefix), DigestByDefinition(replica.Leaves(), prefix));
  }
}

TEST(TreeTest, AChangeWhileItsBucketIsReadIsNotLost) {
  for (const int count : {0, 30, 60, 64, 65, 300}) {
    base::Random rng(static_cast<uint64_t>(count));
    HookedSource source;
    Tree tree(&source);
    std::vector<base::KeyId> key_ids;
    for (int i = 0; i < count; ++i) {
      key_ids.push_back(WithZeroBits(RandomKeyId(rng), 8));
      source.Put(key_ids.back(), 1);
      tree.MarkDirty(key_ids.back());
    }
    // Something changes after each of the next visits: also after counting, before a new depth.
    int changes_left = 40;
    source.set_after_visit([&] {
      if (changes_left-- <= 0) return;
      const base::KeyId key_id = WithZeroBits(RandomKeyId(rng), 8);
      source.Put(key_id, 2);
      tree.MarkDirty(key_id);
      if (key_ids.empty()) return;
      source.Erase(key_ids.back());
      tree.MarkDirty(key_ids.back());
      key_ids.pop_back();
    });
    tree.MarkDirty(RandomKeyId(rng));
    tree.Settle(1);
    tree.Root();
    source.set_after_visit([] {});
    EXPECT_EQ(tree.Root(), source.RootByDefinition()) << count;
  }
}

TEST(TreeTest, ProvesEveryKeyAndAbsence) {
  for (const int shared_bits : {0, 5, 8, 80}) {
    for (const int count : {0, 1, 2, 3, 60}) {
      base::Random rng(static_cast<uint64_t>(shared_bits * 1000 + count));
      FakeReplica replica;
      std::vector<base::KeyId> probes = {RandomKeyId(rng)};
      for (int i = 0; i < count; ++i) {
        probes.push_back(WithZeroBits(RandomKeyId(rng), shared_bits));
        replica.Set(probes.back(), RandomRecord(rng, 1));
      }
      for (int i = 0; i < 10; ++i) probes.push_back(WithZeroBits(RandomKeyId(rng), shared_bits));
      const std::vector<Leaf> leaves = replica.Leaves();
      const base::Digest root = DigestByDefinition(leaves, {});
      for (const base::KeyId& key_id : probes) {
        ASSERT_OK_AND_ASSIGN(const Tree::RootedProof proved, replica.tree().Prove(key_id));
        EXPECT_EQ(proved.root, root);
        EXPECT_EQ(proved.proof, ProofByDefinition(leaves, key_id));
        const bool present = replica.Find(key_id).has_value();
        EXPECT_THAT(VerifyProof(proved.proof, key_id, root),
                    IsOkAndHolds(present ? Presence::kPresent : Presence::kAbsent));
      }
    }
  }
}

// Overwrites one entry, and marks it, after each visit while `changes_left` is positive.
class Meddler {
 public:
  Meddler() : tree_(&source_) {
    base::Random rng(1);
    for (int i = 0; i < 1000; ++i) {
      key_id_ = RandomKeyId(rng);
      source_.Put(key_id_, 1);
      tree_.MarkDirty(key_id_);
    }
    tree_.Root();
  }

  Tree& Start(int changes_left) {
    source_.set_after_visit([this, changes_left]() mutable {
      if (changes_left-- <= 0) return;
      source_.Put(key_id_, ++hlc_);
      tree_.MarkDirty(key_id_);
    });
    return tree_;
  }

  const base::KeyId& key_id() const { return key_id_; }
  base::Digest RootByDefinition() const { return source_.RootByDefinition(); }

 private:
  HookedSource source_;
  Tree tree_;
  base::KeyId key_id_;
  base::Hlc hlc_ = 1;
};

TEST(TreeTest, ProveGivesUpWhenTheTreeNeverRests) {
  Meddler meddler;
  const auto proved = meddler.Start(1'000'000).Prove(meddler.key_id());
  EXPECT_THAT(proved, StatusIs(absl::StatusCode::kAborted));
  EXPECT_EQ(base::ReasonOf(proved.status()), base::kReasonTreeBusy);
}

TEST(TreeTest, ProveTriesAgainWhenDisturbed) {
  Meddler meddler;
  ASSERT_OK_AND_ASSIGN(const Tree::RootedProof proved, meddler.Start(20).Prove(meddler.key_id()));
  EXPECT_EQ(proved.root, meddler.RootByDefinition());
  EXPECT_THAT(VerifyProof(proved.proof, meddler.key_id(), proved.root),
              IsOkAndHolds(Presence::kPresent));
}

// While the first shard is read, an entry of it changes and then one of the last: a single pass
// sees the second change without the first, a set that never was.
class MixedMomentsTest : public ::testing::Test {
 protected:
  MixedMomentsTest() {
    base::Random rng(1);
    for (int i = 0; i < 1000; ++i) {
      const base::KeyId key_id = RandomKeyId(rng);
      Put(key_id, 1);
      if (key_id.shard() == 0x00) first_ = key_id;
      if (key_id.shard() == 0x80) middle_ = key_id;
      if (key_id.shard() == 0xff) last_ = key_id;
    }
    tree_.Root();
    Put(first_, 2);
    source_.set_after_visit([this] {
      if (std::exchange(changed_, true)) return;
      Put(first_, 3);
      Put(last_, 3);
    });
  }

  void Put(const base::KeyId& key_id, base::Hlc hlc) {
    source_.Put(key_id, hlc);
    tree_.MarkDirty(key_id);
  }

  HookedSource source_;
  Tree tree_{&source_};
  base::KeyId first_;
  base::KeyId middle_;
  base::KeyId last_;
  bool changed_ = false;
};

TEST_F(MixedMomentsTest, RootTriesAgain) { EXPECT_EQ(tree_.Root(), source_.RootByDefinition()); }

TEST_F(MixedMomentsTest, ProveTriesAgain) {
  ASSERT_OK_AND_ASSIGN(const Tree::RootedProof proved, tree_.Prove(middle_));
  EXPECT_EQ(proved.root, source_.RootByDefinition());
}

TEST(TreeTest, RootEndsWhenTheTreeNeverRests) {
  Meddler meddler;
  Tree& tree = meddler.Start(1'000'000);
  tree.MarkDirty(meddler.key_id());
  tree.Root();
  EXPECT_EQ(meddler.Start(0).Root(), meddler.RootByDefinition());
}

// Verifies every bucket of every shard once, `bucket_count` a step.
size_t VerifyAll(Tree& tree, size_t bucket_count) {
  size_t difference_count = 0;
  Tree::VerifyPlace place;
  do {
    const Tree::Verified verified = tree.Verify(place, bucket_count);
    difference_count += verified.difference_count;
    place = verified.next;
  } while (place.shard != 0 || place.bucket != 0);
  return difference_count;
}

TEST(TreeTest, VerifyFindsWhatChangedWithoutAMarkAndTheNextSettlingMakesItRight) {
  for (const size_t bucket_count : {1, 3, 1000}) {
    HookedSource source;
    Tree tree(&source);
    base::Random rng(bucket_count);
    std::vector<base::KeyId> key_ids;
    for (int i = 0; i < 2000; ++i) {
      base::KeyId key_id = RandomKeyId(rng);
      key_id.bytes[0] = static_cast<uint8_t>(i % 3 * 100);  // Few shards, of several buckets.
      source.Put(key_id, 1);
      tree.MarkDirty(key_id);
      key_ids.push_back(key_id);
    }
    EXPECT_EQ(VerifyAll(tree, bucket_count), 0u) << "what is dirty may differ";
    EXPECT_EQ(tree.Root(), source.RootByDefinition());
    EXPECT_EQ(VerifyAll(tree, bucket_count), 0u);
    // Of one key, and of a shard that was empty.
    source.Put(key_ids[7], 2);
    base::KeyId other;
    other.bytes[0] = 50;
    source.Put(other, 1);
    EXPECT_NE(tree.Root(), source.RootByDefinition());
    EXPECT_EQ(VerifyAll(tree, bucket_count), 2u);
    EXPECT_EQ(VerifyAll(tree, bucket_count), 0u) << "marked dirty";
    EXPECT_EQ(tree.Root(), source.RootByDefinition());
    EXPECT_EQ(VerifyAll(tree, bucket_count), 0u);
  }
}

TEST(TreeTest, VerifyTakesAChangeBesideItForNoDifference) {
  HookedSource source;
  Tree tree(&source);
  base::Random rng(1);
  std::vector<base::KeyId> key_ids;
  for (int i = 0; i < 300; ++i) {
    key_ids.push_back(RandomKeyId(rng));
    source.Put(key_ids.back(), 1);
    tree.MarkDirty(key_ids.back());
  }
  tree.Root();
  base::Hlc hlc = 1;
  size_t next = 0;
  source.set_after_visit([&] {
    const base::KeyId& key_id = key_ids[next++ % key_ids.size()];
    source.Put(key_id, ++hlc);
    tree.MarkDirty(key_id);
  });
  EXPECT_EQ(VerifyAll(tree, 5), 0u);
  EXPECT_GT(next, 200u);
  source.set_after_visit([] {});
  EXPECT_EQ(tree.Root(), source.RootByDefinition());
}

}  // namespace
}  // namespace slipstream::merkle

// What Save returns and what Load makes of it, of whole trees.

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "base/digest.h"
#include "base/key_id.h"
#include "base/random.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "merkle/leaf.h"
#include "merkle/leaf_source.h"
#include "merkle/testing/fake_replica.h"
#include "merkle/tree.h"
#include "merkle/tree_shard.h"
#include "merkle/tree_verify.h"

namespace slipstream::merkle {
namespace {

using base::testing::StatusIs;
using testing::FakeReplica;
using testing::RandomKeyId;
using testing::RandomRecord;

constexpr size_t kHeaderBytes = 8;
constexpr size_t kBucketBytes = 37;
constexpr uint8_t kDirty = 0x80;

// Counts the leaves that a tree reads.
class CountingSource : public LeafSource {
 public:
  explicit CountingSource(const LeafSource* source) : source_(source) {}
  void VisitLeaves(const base::KeyRange& range,
                   absl::FunctionRef<bool(const Leaf&)> visit) const override {
    source_->VisitLeaves(range, [this, visit](const Leaf& leaf) {
      ++visited_count;
      return visit(leaf);
    });
  }

  mutable size_t visited_count = 0;

 private:
  const LeafSource* const source_;
};

std::vector<std::string> SaveAll(const Tree& tree) {
  std::vector<std::string> saved;
  for (int shard = 0; shard < base::kShardCount; ++shard) {
    saved.push_back(tree.Save(static_cast<uint8_t>(shard)));
  }
  return saved;
}

void LoadAll(Tree& tree, const std::vector<std::string>& saved) {
  for (int shard = 0; shard < base::kShardCount; ++shard) {
    ASSERT_OK(tree.Load(static_cast<uint8_t>(shard), saved[shard]));
  }
}

base::Digest RootByDefinition(const FakeReplica& replica) {
  return DigestByDefinition(replica.Leaves(), {});
}

// A key_id of few shards, so that these have many buckets.
base::KeyId CrowdedKeyId(base::Random& rng) {
  base::KeyId key_id = RandomKeyId(rng);
  key_id.bytes[0] &= 0xc1;
  return key_id;
}

void Change(base::Random& rng, std::vector<base::KeyId>& key_ids, base::Hlc hlc,
            FakeReplica& replica, std::vector<base::KeyId>& changed) {
  if (key_ids.empty() || rng.OneIn(2)) key_ids.push_back(CrowdedKeyId(rng));
  const size_t index = rng.Below(key_ids.size());
  const base::KeyId key_id = key_ids[index];
  changed.push_back(key_id);
  if (rng.OneIn(3)) {
    replica.Erase(key_id);
    key_ids.erase(key_ids.begin() + static_cast<ptrdiff_t>(index));
  } else {
    replica.Set(key_id, RandomRecord(rng, hlc));
  }
}

// Saves a tree in the middle of a history, dirty buckets and all, and goes on with what was saved
// and the names of what changed since.
TEST(TreeSaveTest, ALoadedTreeThatHearsOfWhatChangedSinceIsRight) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(seed);
    base::Random rng(seed);
    FakeReplica replica;
    std::vector<base::KeyId> key_ids;
    std::vector<base::KeyId> changed;
    base::Hlc hlc = 0;
    const auto change_some = [&](uint64_t count_max) {
      for (uint64_t i = rng.Below(count_max); i > 0; --i) {
        Change(rng, key_ids, ++hlc, replica, changed);
        if (rng.OneIn(20)) replica.tree().Settle(1 + rng.Below(4));
      }
    };
    change_some(uint64_t{1} << rng.Below(13));
    if (rng.OneIn(2)) replica.tree().Root();
    change_some(200);
    const std::vector<std::string> saved = SaveAll(replica.tree());
    changed.clear();
    change_some(rng.OneIn(3) ? 5000 : 100);
    Tree loaded(&replica);
    LoadAll(loaded, saved);
    for (const base::KeyId& key_id : changed) loaded.MarkDirty(key_id);
    if (rng.OneIn(2)) loaded.Settle(3);
    ASSERT_EQ(loaded.Root(), RootByDefinition(replica));
    ASSERT_EQ(loaded.leaf_count(), replica.Leaves().size());
    // And it goes on as any other.
    changed.clear();
    change_some(1000);
    for (const base::KeyId& key_id : changed) loaded.MarkDirty(key_id);
    ASSERT_EQ(loaded.Root(), RootByDefinition(replica));
  }
}

TEST(TreeSaveTest, SavesTheSameAgainAndWhatIsLoadedAsItWas) {
  base::Random rng(1);
  FakeReplica replica;
  for (base::Hlc i = 1; i <= 3000; ++i) replica.Set(CrowdedKeyId(rng), RandomRecord(rng, i));
  replica.tree().Root();
  for (base::Hlc i = 1; i <= 20; ++i) replica.Set(CrowdedKeyId(rng), RandomRecord(rng, i));
  const std::vector<std::string> saved = SaveAll(replica.tree());
  EXPECT_EQ(SaveAll(replica.tree()), saved);
  Tree loaded(&replica);
  LoadAll(loaded, saved);
  EXPECT_EQ(SaveAll(loaded), saved);
  EXPECT_EQ(loaded.leaf_count(), replica.tree().leaf_count());
  // What both own is the same but for what their vectors have to spare.
  EXPECT_LE(loaded.memory_bytes(), replica.tree().memory_bytes());
}

TEST(TreeSaveTest, ALoadedTreeReadsOnlyWhatIsDirty) {
  base::Random rng(1);
  FakeReplica replica;
  for (base::Hlc i = 1; i <= 20'000; ++i) replica.Set(RandomKeyId(rng), RandomRecord(rng, i));
  const base::Digest root = replica.tree().Root();
  const std::vector<std::string> clean = SaveAll(replica.tree());
  CountingSource source(&replica);
  Tree loaded(&source);
  LoadAll(loaded, clean);
  EXPECT_EQ(loaded.Root(), root);
  EXPECT_EQ(source.visited_count, 0u);
  // Three marked before the save, two after it.
  std::vector<base::KeyId> key_ids;
  for (int i = 0; i < 5; ++i) key_ids.push_back(RandomKeyId(rng));
  for (int i = 0; i < 3; ++i) replica.Set(key_ids[i], RandomRecord(rng, 1));
  const std::vector<std::string> dirty = SaveAll(replica.tree());
  for (int i = 3; i < 5; ++i) replica.Set(key_ids[i], RandomRecord(rng, 1));
  Tree again(&source);
  LoadAll(again, dirty);
  for (int i = 3; i < 5; ++i) again.MarkDirty(key_ids[i]);
  EXPECT_EQ(again.Root(), RootByDefinition(replica));
  EXPECT_GT(source.visited_count, 0u);
  EXPECT_LE(source.visited_count, 5 * 2 * TreeShard::kLeavesPerBucketMax);
}

// The layout of docs/merkle.md, byte by byte.
TEST(TreeSaveTest, SavesDepthDigestCountAndFlagsOfEachBucket) {
  FakeReplica replica;
  const std::string empty = replica.tree().Save(7);
  EXPECT_EQ(empty, std::string(kHeaderBytes + kBucketBytes, '\0'));
  base::Random rng(1);
  base::KeyId key_id = RandomKeyId(rng);
  key_id.bytes[0] = 7;
  replica.Set(key_id, RandomRecord(rng, 1));
  EXPECT_EQ(static_cast<uint8_t>(replica.tree().Save(7).back()), kDirty);
  const base::Digest digest = replica.tree().DigestOf(base::MakePrefix(key_id, 8));
  const std::string one = replica.tree().Save(7);
  EXPECT_EQ(one, std::string(kHeaderBytes, '\0') + std::string(digest.view()) +
                     std::string("\x01\0\0\0\x01", 5));
  for (base::Hlc i = 0; i < 100; ++i) {
    key_id = RandomKeyId(rng);
    key_id.bytes[0] = 7;
    replica.Set(key_id, RandomRecord(rng, 1));
  }
  replica.tree().DigestOf(base::MakePrefix(key_id, 8));
  const std::string many = replica.tree().Save(7);
  ASSERT_EQ(many.size(), kHeaderBytes + 4 * kBucketBytes);
  EXPECT_EQ(many.substr(0, kHeaderBytes), std::string("\x02\0\0\0\0\0\0\0", kHeaderBytes));
  for (uint32_t bucket = 0; bucket < 4; ++bucket) {
    base::KeyId first{.bytes = {7, static_cast<uint8_t>(bucket << 6)}};
    const size_t offset = kHeaderBytes + bucket * kBucketBytes;
    EXPECT_EQ(many.substr(offset, 32), replica.tree().DigestOf(base::MakePrefix(first, 10)).view());
    EXPECT_EQ(many[offset + kBucketBytes - 1], 2);
  }
}

TEST(TreeSaveTest, HostileBytesAreRefusedAndChangeNothing) {
  base::Random rng(1);
  FakeReplica replica;
  for (base::Hlc i = 1; i <= 300; ++i) {
    base::KeyId key_id = RandomKeyId(rng);
    key_id.bytes[0] = 7;
    replica.Set(key_id, RandomRecord(rng, i));
  }
  const base::Digest root = replica.tree().Root();
  const std::string whole = replica.tree().Save(7);
  const auto expect_refused = [&](const std::string& bytes) {
    ASSERT_THAT(replica.tree().Load(7, bytes), StatusIs(absl::StatusCode::kDataLoss));
    ASSERT_EQ(replica.tree().Save(7), whole);
    ASSERT_EQ(replica.tree().Root(), root);
  };
  for (size_t bytes = 0; bytes < whole.size(); ++bytes) expect_refused(whole.substr(0, bytes));
  expect_refused(whole + '\0');
  for (int depth = 0; depth < 256; ++depth) {
    std::string other = whole;
    if (other[0] == static_cast<char>(depth)) continue;
    other[0] = static_cast<char>(depth);
    expect_refused(other);
  }
  for (size_t offset = kHeaderBytes + kBucketBytes - 1; offset < whole.size();
       offset += kBucketBytes) {
    for (const int flags : {3, 4, 0x40, 0x7f, kDirty | 3, 0xff}) {
      std::string other = whole;
      other[offset] = static_cast<char>(flags);
      expect_refused(other);
    }
  }
}

// Digests and counts are believed: whoever keeps the bytes has a checksum over them. But whatever
// they say, nothing is read or written out of bounds, and a tree that is marked all over is right.
TEST(TreeSaveTest, WrongDigestsAndCountsAreForgottenOnceEverythingIsMarked) {
  base::Random rng(1);
  FakeReplica replica;
  std::vector<base::KeyId> key_ids;
  for (base::Hlc i = 1; i <= 300; ++i) {
    key_ids.push_back(RandomKeyId(rng));
    key_ids.back().bytes[0] = 7;
    replica.Set(key_ids.back(), RandomRecord(rng, i));
  }
  const base::Digest root = replica.tree().Root();
  const std::string whole = replica.tree().Save(7);
  for (int round = 0; round < 300; ++round) {
    std::string other = whole;
    for (int i = 0; i < 10; ++i) {
      const size_t offset = kHeaderBytes + rng.Below(other.size() - kHeaderBytes);
      if ((offset - kHeaderBytes) % kBucketBytes == kBucketBytes - 1) continue;
      other[offset] = static_cast<char>(rng.Next());
    }
    Tree loaded(&replica);
    ASSERT_OK(loaded.Load(7, other));
    loaded.Root();
    // A bucket that is empty has no key to mark it by.
    for (uint32_t bucket = 0; bucket < 256; ++bucket) {
      loaded.MarkDirty(base::KeyId{.bytes = {7, static_cast<uint8_t>(bucket)}});
    }
    ASSERT_EQ(loaded.Root(), root);
  }
}

}  // namespace
}  // namespace slipstream::merkle

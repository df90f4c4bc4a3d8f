#include "merkle/leaf_source.h"

#include <algorithm>
#include <vector>

#include "absl/functional/function_ref.h"
#include "base/key_id.h"
#include "base/random.h"
#include "gtest/gtest.h"
#include "merkle/leaf.h"
#include "merkle/testing/fake_replica.h"

namespace slipstream::merkle {
namespace {

// Holds `count` leaves, the last of them at the very end of the order.
class SortedSource : public LeafSource {
 public:
  explicit SortedSource(size_t count) {
    base::Random rng(count);
    for (size_t i = 0; i < count; ++i) leaves_.push_back({.key_id = testing::RandomKeyId(rng)});
    if (count != 0) leaves_[0].key_id = base::RangeOf({}).last;
    std::sort(leaves_.begin(), leaves_.end(),
              [](const Leaf& a, const Leaf& b) { return a.key_id < b.key_id; });
  }

  void VisitLeaves(const base::KeyRange& range,
                   absl::FunctionRef<bool(const Leaf&)> visit) const override {
    for (const Leaf& leaf : leaves_) {
      if (leaf.key_id < range.first || range.last < leaf.key_id) continue;
      if (!visit(leaf)) return;
    }
  }

  void Append(const base::KeyId& key_id) { leaves_.push_back({.key_id = key_id}); }
  const std::vector<Leaf>& leaves() const { return leaves_; }

 private:
  std::vector<Leaf> leaves_;
};

TEST(LeafReaderTest, ReadsEveryLeafOnceAroundTheBoundsOfAChunk) {
  const size_t chunk = LeafReader::kChunkLeavesMax;
  for (const size_t count : {size_t{0}, size_t{1}, chunk - 1, chunk, chunk + 1, 3 * chunk}) {
    const SortedSource source(count);
    LeafReader reader(&source);
    std::vector<Leaf> read;
    reader.ForEach(base::RangeOf({}), [&read](const Leaf& leaf) { read.push_back(leaf); });
    EXPECT_EQ(read, source.leaves()) << count;
  }
}

TEST(LeafReaderTest, GoesOnAfterAKeyIdThatEndsInOnes) {
  SortedSource source(0);
  // A chunk ends with one, as its size is a multiple of 256.
  for (uint32_t i = 0; i < 2 * LeafReader::kChunkLeavesMax + 100; ++i) {
    base::KeyId key_id;
    key_id.bytes[18] = static_cast<uint8_t>(i >> 8);
    key_id.bytes[19] = static_cast<uint8_t>(i);
    source.Append(key_id);
  }
  LeafReader reader(&source);
  std::vector<Leaf> read;
  reader.ForEach(base::RangeOf({}), [&read](const Leaf& leaf) { read.push_back(leaf); });
  EXPECT_EQ(read, source.leaves());
}

TEST(LeafReaderTest, ReadsOnlyTheRange) {
  const SortedSource source(3000);
  LeafReader reader(&source);
  const base::KeyRange range{.first = source.leaves()[100].key_id,
                             .last = source.leaves()[2700].key_id};
  std::vector<Leaf> read;
  reader.ForEach(range, [&read](const Leaf& leaf) { read.push_back(leaf); });
  EXPECT_EQ(read, std::vector<Leaf>(source.leaves().begin() + 100, source.leaves().begin() + 2701));
}

TEST(CountLeavesTest, CountsAroundTheBoundsOfAVisit) {
  for (const size_t count : {0, 1, 4095, 4096, 4097, 8192}) {
    EXPECT_EQ(CountLeaves(SortedSource(count), base::RangeOf({})), count);
  }
}

}  // namespace
}  // namespace slipstream::merkle

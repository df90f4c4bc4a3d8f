#include "storage/id_table.h"

#include <cstring>
#include <map>
#include <vector>

#include "base/key_id.h"
#include "base/random.h"
#include "gtest/gtest.h"

namespace slipstream::storage {
namespace {

// An id and one byte.
constexpr size_t kItemBytes = kIdSuffixBytes + 1;
using Model = std::map<base::KeyId, char>;

base::KeyId RandomId(base::Random& rng, int free_bits) {
  base::KeyId id;
  for (uint8_t& byte : id.bytes) byte = static_cast<uint8_t>(rng.Next());
  return base::MakePrefix(id, 8 + free_bits).bits;
}

base::KeyId WithShardByte(base::KeyId id) {
  id.bytes[0] = 0x5a;
  return id;
}

Model Contents(const IdTable& table, const base::KeyRange& range) {
  Model contents;
  table.Visit(range, [&contents](const char* item) {
    base::KeyId id = WithShardByte({});
    std::memcpy(id.bytes.data() + 1, item, kIdSuffixBytes);
    EXPECT_TRUE(contents.empty() || contents.rbegin()->first < id) << "not in order";
    contents[id] = item[kIdSuffixBytes];
    return true;
  });
  return contents;
}

void RunHistory(uint64_t seed, int free_bits) {
  base::Random rng(seed);
  IdTable table(kItemBytes);
  Model model;
  for (int step = 0; step < 20'000; ++step) {
    const base::KeyId id = WithShardByte(RandomId(rng, free_bits));
    char* const item = table.Find(id);
    ASSERT_EQ(item != nullptr, model.count(id) == 1);
    if (item != nullptr) ASSERT_EQ(item[kIdSuffixBytes], model[id]);
    if (rng.OneIn(3)) {
      table.Erase(id);
      model.erase(id);
    } else if (item == nullptr) {
      model[id] = table.Insert(id)[kIdSuffixBytes] = static_cast<char>(rng.Next());
    }
    ASSERT_EQ(table.item_count(), model.size());
    if (!rng.OneIn(500)) continue;
    base::KeyRange range{.first = id, .last = WithShardByte(RandomId(rng, 152))};
    if (range.last < range.first) std::swap(range.first, range.last);
    ASSERT_EQ(Contents(table, range),
              Model(model.lower_bound(range.first), model.upper_bound(range.last)));
    ASSERT_EQ(Contents(table, base::RangeOf(base::KeyPrefix{})), model);
  }
}

TEST(IdTableTest, AgreesWithAMapWhileItGrowsAndShrinks) {
  for (uint64_t seed = 1; seed <= 3; ++seed) RunHistory(seed, 152);
}

TEST(IdTableTest, AgreesWithAMapWhereIdsAreCrowded) {
  for (const int free_bits : {1, 5, 9, 12}) RunHistory(7, free_bits);
}

TEST(IdTableTest, TellsIdsThatDifferInTheLastByteOnly) {
  IdTable table(kItemBytes);
  base::KeyId id = WithShardByte({});
  for (int last = 255; last >= 0; --last) {
    id.bytes[19] = static_cast<uint8_t>(last);
    table.Insert(id)[kIdSuffixBytes] = static_cast<char>(last);
  }
  for (int last = 0; last < 256; ++last) {
    id.bytes[19] = static_cast<uint8_t>(last);
    ASSERT_NE(table.Find(id), nullptr);
    EXPECT_EQ(table.Find(id)[kIdSuffixBytes], static_cast<char>(last));
  }
}

TEST(IdTableTest, ErasedItemsGiveTheirMemoryBack) {
  base::Random rng(1);
  IdTable table(66);
  std::vector<base::KeyId> ids;
  for (int i = 0; i < 10'000; ++i) ids.push_back(RandomId(rng, 152));
  for (const base::KeyId& id : ids) table.Insert(id);
  EXPECT_GT(table.bytes(), 66u * ids.size());
  for (const base::KeyId& id : ids) table.Erase(id);
  // What is left are the buckets: 16 bytes for some 24 items, and an eighth to spare.
  EXPECT_LT(table.bytes(), ids.size());
  EXPECT_EQ(table.item_count(), 0u);
}

}  // namespace
}  // namespace slipstream::storage
